"""Figures of studies draw the numbers they are given."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from avvp.errors import AvvpError
from avvp.figures.studies import Sized, differences, scores_by_size, stacked_sizes
from avvp.studies import Step


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_differences_show_print_and_runs_in_a_panel_a_metric():
    figure = differences(
        {
            "A": {"Audio": Step(-1.0, 2.0, 0.5), "Visual": Step(0.5, 3.0, 1.0)},
            "B": {"Audio": Step(0.2), "Visual": Step()},
        },
        reference="HAN",
    )
    audio, visual = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["Audio", "Visual"]
    assert [tick.get_text() for tick in audio.get_yticklabels()] == ["A", "B\n(not run)"]
    dashes = [line.get_xydata().tolist() for line in audio.lines if line.get_markersize() == 15]
    assert dashes == [[[-1.0, 0]], [[0.2, 1]]]
    (measured,) = (bar for bar in visual.containers)
    assert measured.lines[0].get_xydata().tolist() == [[3.0, 0]]
    (interval,) = measured.lines[2]
    assert [vertex[0] for vertex in interval.get_paths()[0].vertices] == [2.0, 4.0]
    assert visual.get_xlabel() == "points above or below HAN"


def test_differences_without_any_run_keep_a_visible_axis():
    figure = differences({"A": {"Audio": Step(), "Visual": Step()}}, reference="HAN")
    low, high = figure.axes[0].get_xlim()
    assert low <= -1 and high >= 1


def test_idle_weights_give_a_network_a_second_place():
    networks = [
        Sized("1/2", 11.1, 11.1, 54.5, 0.4),
        Sized("3/6", 17.5, 17.5, 55.6),
        Sized("6/3", 19.8, 19.8, 55.1),
        Sized("HAN", 18.3, 37.2, 54.0),
    ]
    panels = {"published": networks, "ours": []}
    figure = scores_by_size(panels, ylabels=["Type@AV (%)"], path=["1/2", "3/6", "4/8", "6/3"])
    print_, ours = figure.axes
    joined = [line.get_xydata().tolist() for line in print_.lines if line.get_linewidth() == 1]
    assert joined == [[[11.1, 54.5], [17.5, 55.6]]]  # not on to 4/8, nor past it
    hollow = [line for line in print_.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xydata().tolist() for line in hollow] == [[[37.2, 54.0]]]
    assert {text.get_text() for text in print_.texts} == {
        *("1/2", "3/6", "6/3", "HAN", "HAN,\nas stored")
    }
    assert [text.get_text() for text in ours.texts] == ["not run"]
    assert print_.get_ylabel() == "Type@AV (%)"
    assert all(low < x < high for low, high in [print_.get_xlim()] for x in (11.1, 37.2))


def test_labels_of_neighbours_lie_beside_each_other():
    networks = [Sized(str(i), 14 + 0.6 * i, 14 + 0.6 * i, 55 + 0.05 * i) for i in range(4)]
    far = Sized("far", 37, 37, 50)
    figure = scores_by_size({"printed": [*networks, far]}, ylabels=["Type@AV (%)"])
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 5
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_sizes_are_stacked_in_the_order_of_parts_and_idle_ones_are_hatched():
    figure = stacked_sizes(
        {"HAN": {"front": 8.0, "attention": 10.0}, "MGN": {"front": 2.0, "groups": 0.1}},
        idle={"HAN": 19.0},
    )
    (ax,) = figure.axes
    bars = [(bar.get_y() + 0.36, bar.get_x(), bar.get_width()) for bar in ax.patches]
    expected = [(0, 0, 8), (0, 8, 10), (0, 18, 19), (1, 0, 2), (1, 2, 0.1)]
    assert np.array(bars) == pytest.approx(np.array(expected))
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, False, True, False, False]
    told = [text.get_text() for text in ax.texts]
    assert told == ["1", "2", "18.0 used, 37.0 stored", "1", "2.1"]
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["1 front", "2 attention", "3 groups", "stored, never used"]


def test_more_parts_than_colours_are_refused():
    with pytest.raises(AvvpError, match="8 parts were given; there are 7 colours"):
        stacked_sizes({"A": {str(part): 1.0 for part in range(8)}}, idle={})
