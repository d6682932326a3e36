"""Figures of the chapter on Cross-Modal learning draw what they are given, and fit their boxes."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.patches import FancyBboxPatch

from avvp.errors import AvvpError
from avvp.figures import use_style
from avvp.figures.adversarial import (
    critic_curves,
    influence_maps,
    learning_curves,
    probabilities_over_time,
    reversal_schedules,
)
from avvp.figures.schematics import cross_modal_network


@pytest.fixture(autouse=True)
def closed_figures():
    with plt.rc_context():
        plt.switch_backend("Agg")
        use_style()
        yield
    plt.close("all")


def test_every_label_of_the_network_fits_its_box_and_no_two_boxes_overlap():
    figure = cross_modal_network()
    figure.canvas.draw()
    (ax,) = figure.axes
    boxes = [p for p in ax.patches if isinstance(p, FancyBboxPatch)]
    places = [box.get_window_extent() for box in boxes]
    texts = [text for text in ax.texts if text.get_text()]
    assert len(texts) == len(boxes) == 14
    for text in texts:
        extent = text.get_window_extent()
        (box,) = (b for b in places if b.contains(*extent.get_points().mean(axis=0)))
        assert box.x0 < extent.x0 and extent.x1 < box.x1, text.get_text()
        assert box.y0 < extent.y0 and extent.y1 < box.y1, text.get_text()
    for i, one in enumerate(places):
        assert not any(one.overlaps(other) for other in places[i + 1 :])
    # White is what HAN has too: segments, the features that are pooled, pooling, its losses.
    assert sum(box.get_facecolor() == (1, 1, 1, 1) for box in boxes) == 6


def test_schedules_start_where_they_say():
    (ax,) = reversal_schedules(epochs=(40, 12)).axes
    starts = [line.get_ydata()[0] for line in ax.lines]
    assert starts == pytest.approx([math.tanh(5 / 40), math.tanh(5 / 12), 0])
    assert all(line.get_ydata()[-1] > 0.999 for line in ax.lines)
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told[0].endswith(f"starts at {starts[0]:.2f}")
    assert len({line.get_linestyle() for line in ax.lines}) == 3


LABELLED = {"ylabel": "changed", "xlabel": "moved", "colour_label": "change (points)"}


def test_influence_maps_share_one_scale():
    small, large = torch.eye(10), 3 * torch.ones(10, 10)
    figure = influence_maps({"one": small, "two": large}, **LABELLED)
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert [image.get_clim() for image in images[:2]] == [(0, 3), (0, 3)]
    assert [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes[:2]] == ["one", "two"]
    assert [ax.get_ylabel() for ax in figure.axes] == ["changed", "", "change (points)"]


@pytest.mark.parametrize(
    ("maps", "sentence"),
    [
        ({}, "There is no map to draw"),
        ({"A": torch.ones(9, 10)}, r"A has a map of shape \(9, 10\); expected \(10, 10\)"),
    ],
)
def test_maps_of_another_shape_are_refused(maps, sentence):
    with pytest.raises(AvvpError, match=sentence):
        influence_maps(maps, **LABELLED)


def critic(epochs: int, accuracy: float) -> dict[str, np.ndarray]:
    return {
        "epoch": np.arange(1, epochs + 1),
        "modality_accuracy": np.full(epochs, accuracy),
        "modality": np.full(epochs, 0.7),
    }


def learnt(kept: int) -> dict:
    scores = [10.0, 30.0, 20.0]
    return {
        "epoch": [1, 2, 3],
        "video": [0.3, 0.2, 0.2],
        "val/segment/type_av": scores,
        "selected_epoch": np.array(kept),
    }


def test_learning_curves_mark_the_epoch_that_was_kept():
    begun = {k: v for k, v in learnt(1).items() if k != "selected_epoch"}
    figure = learning_curves({"A": [learnt(2), learnt(1)], "B": [learnt(3), begun]}, idle=0.25)
    loss, score = figure.axes
    assert [line.get_ydata()[0] for line in loss.lines] == [0.3, 0.3, 0.3, 0.3, 0.25]
    stars = [line for line in score.lines if line.get_marker() == "*"]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in stars]
    assert places == [(2, 30.0), (1, 10.0), (3, 20.0)]
    assert len({line.get_color() for line in stars}) == 2
    (text,) = loss.texts
    assert text.get_position()[1] == 7  # above its line


def test_critic_curves_have_a_line_a_seed_and_the_line_of_chance():
    figure = critic_curves({"A": [critic(3, 0.25), critic(3, 0.5)], "B": [critic(1, 1.0)]})
    accuracy, loss = figure.axes
    assert [line.get_ydata()[0] for line in accuracy.lines] == [25, 50, 100, 50]
    assert [line.get_ydata()[0] for line in loss.lines] == pytest.approx([0.7] * 3 + [math.log(2)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]
    with pytest.raises(AvvpError, match="Curves of 1 to 4 systems, not 0"):
        critic_curves({})


def test_probabilities_stand_above_the_annotated_seconds():
    truth = torch.arange(10) > 6
    rising, flat = torch.linspace(0, 1, 10), torch.full((10,), 0.4)
    panel = ("Dog, heard", "audio", truth, {"released": flat, "intended": rising})
    figure = probabilities_over_time([panel, panel])
    for ax in figure.axes:
        drawn = [line.get_ydata() for line in ax.lines[:2]]
        assert drawn[0] == pytest.approx([0.4] * 10) and drawn[1] == pytest.approx(rising.tolist())
        (bars,) = ax.collections
        assert [path.vertices[:, 0].min() for path in bars.get_paths()] == [7, 8, 9]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["released", "intended"]
