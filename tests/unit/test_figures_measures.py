"""Figures of rankings, curves and calibration draw the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from avvp.curves import BINS
from avvp.errors import AvvpError
from avvp.figures.measures import (
    looks,
    rank_chart,
    reliability_diagrams,
    score_curves,
    scores_by_presence,
)


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_no_two_looks_are_alike():
    names = [str(n) for n in range(32)]
    assert len({tuple(look.values()) for look in looks(names).values()}) == 32
    with pytest.raises(AvvpError, match="33 lines were given; there are 32 looks"):
        looks([*names, "more"])


def test_a_rank_chart_joins_the_places_of_each_method():
    places = {"a": {"x": 1, "y": 2}, "b": {"x": 2, "y": 1}, "c": {"x": 3, "y": 2}}
    figure = rank_chart(places, {"x": "X", "y": "Y"}, told=["b"], title="runs")
    (ax,) = figure.axes
    lines = [line for line in ax.lines if line.get_linewidth() == 2.2]
    assert [list(line.get_ydata()) for line in lines] == [[1, 2], [2, 1], [3, 2]]
    assert [line.get_color() for line in lines] == ["#b0b0b0", "#0072B2", "#b0b0b0"]
    texts = [text.get_text() for text in ax.texts]
    assert sorted(t for t in texts if t.isdecimal()) == ["1", "1", "2", "2", "2", "3"]
    assert texts.count("a") == texts.count("c") == 2
    ends = [text for text in ax.texts if text.get_text() in ("a", "c") and text.get_ha() == "left"]
    assert len({text.get_position()[1] for text in ends}) == 2  # a shared place, two names
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["X", "Y"]


def test_curves_ring_their_highest_point_unless_it_is_at_an_end():
    x = (0.25, 0.5, 0.75)
    lines = {"a": np.array([10.0, 42.0, 30.0]), "b": np.array([10.0, 20.0, 30.0])}
    figure = score_curves({"Audio": lines}, x, xlabel="threshold", mark=0.5)
    (ax,) = figure.axes
    rings = [line.get_xydata().tolist() for line in ax.lines if line.get_markersize() == 10]
    assert rings == [[[0.5, 42.0]]]
    assert ax.get_ylim() == (0, 50) and ax.get_xlabel() == "threshold"


def test_presence_has_three_markers_a_row():
    figure = scores_by_presence({"a": {"audio": 10, "visual": 20, "audio_visual": 60}})
    (ax,) = figure.axes
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[10, 0]], [[20, 0]], [[60, 0]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "heard only",
        "seen only",
        "heard and seen",
    ]


def test_reliability_leaves_out_bins_with_few_entries():
    bins = np.full((BINS, 3), np.nan)
    bins[:, 0] = 0
    bins[2], bins[5], bins[9] = (60, 0.1, 0.2), (49, 0.3, 0.9), (50, 0.5, 0.4)
    figure = reliability_diagrams({"a": {"video": bins}, "b": {"video": bins, "audio": bins}})
    first, second, empty = figure.axes
    assert first.lines[1].get_xydata().tolist() == [[0.1, 0.2], [0.5, 0.4]]
    assert len(second.lines) == 3 and not empty.axison
