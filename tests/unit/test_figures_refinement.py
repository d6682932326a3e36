"""Figures of label refinement draw the numbers they are given."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from avvp.events import LABELS, SEGMENTS
from avvp.figures.refinement import (
    Curve,
    RefinedVideo,
    Removal,
    refined_labels,
    refinement_pipeline,
    removal_against_error,
    removal_curves,
    removals_by_class,
)

C = len(LABELS)


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def only(**values: float) -> list[float]:
    """Zeros but for the named classes."""
    return [values.get(name, 0.0) for name in LABELS]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_the_pipeline_shows_a_pair_and_its_two_exchanges():
    (ax,) = refinement_pipeline().axes
    words = " ".join(texts(ax))
    assert words.count("image $V^i$") == 2 and words.count("image $V^j$") == 1
    assert words.count("sound $A^i$") == 2 and words.count("sound $A^j$") == 1
    assert words.count("divided by $E_c$") == 2
    foreign = [patch for patch in ax.patches if patch.get_hatch() == "...."]
    assert len(foreign) == 2


def test_removals_are_shares_of_a_class_and_the_most_frequent_comes_first():
    removal = Removal(
        labels=only(Dog=40, Speech=10),
        absent=only(Dog=20),
        right=only(Dog=10),
        removed=only(Dog=16),
    )
    ax, _ = removals_by_class({"audio": removal, "visual": removal}).axes
    assert ax.get_yticklabels()[0].get_text() == "Dog (40)"
    right, wrong = ax.containers
    assert right[0].get_width() == pytest.approx(25)
    assert (wrong[0].get_x(), wrong[0].get_width()) == (pytest.approx(25), pytest.approx(15))
    assert ax.lines[0].get_xdata()[0] == pytest.approx(50)


def test_the_released_threshold_is_ringed_on_every_curve():
    curves = {
        "one partner": {"visual": [Curve([10, 30, 50], [90, 80, 70])] * 2},
        "four": {"visual": [Curve([20, 40, 60], [math.nan, 80, 70])]},
    }
    figure = removal_curves(curves, (0.1, 0.5, 0.9), released=0.5, random={"visual": 35})
    (ax,) = figure.axes
    rings = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [(ring.get_xdata()[0], ring.get_ydata()[0]) for ring in rings] == [
        (30, 80),
        (30, 80),
        (40, 80),
    ]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["one partner", "threshold 0.5", "four"]
    assert {"0.1", "0.9", "labels drawn at random"} <= set(texts(ax))


def test_a_class_without_error_stands_at_the_edge():
    figure = removal_against_error(
        {"visual": only(Dog=0.5, Cat=0.02)},
        {"visual": only(Dog=60)},
        {"visual": only(Dog=50, Cat=5)},
    )
    (ax,) = figure.axes
    wanted, removed = ax.lines
    dog, cat, speech = (LABELS.index(name) for name in ("Dog", "Cat", "Speech"))
    assert (removed.get_xdata()[dog], removed.get_ydata()[dog]) == (0.5, 60)
    assert (wanted.get_xdata()[cat], wanted.get_ydata()[cat]) == (0.02, 5)
    assert removed.get_xdata()[speech] == pytest.approx(0.01)
    assert texts(ax) == ["Dog"]


def test_a_label_is_told_kept_or_dropped_and_whether_rightly():
    def marked(*classes: int) -> torch.Tensor:
        return torch.isin(torch.arange(C), torch.tensor(classes))

    heard = torch.zeros(C, SEGMENTS, dtype=torch.bool)
    heard[0, 2:5] = True
    video = RefinedVideo("a video", marked(0, 3), marked(0), marked(3), heard, ~heard & False)
    audio, visual = refined_labels([video]).axes
    assert texts(audio) == ["label dropped, though it is there", "label kept, though it is absent"]
    assert texts(visual) == ["label kept, though it is absent", "label dropped"]
    spans = [p.get_extents() for bars in audio.collections for p in bars.get_paths()]
    assert (2, 5) in [(span.x0, span.x1) for span in spans]
