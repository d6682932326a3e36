"""Figures of the older methods draw the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from avvp.figures import timeline
from avvp.figures.older import class_thresholds, pooling_slopes, scores_beside_print
from avvp.results import Estimate


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_slopes_are_drawn_beneath_the_course():
    figure = pooling_slopes([0.2, 0.9], {"max": (0.9, [0, 1]), "other": (0.7, [-0.2, 0.8])})
    course, largest, other = figure.axes
    assert [bar.get_height() for bar in course.patches] == [0.2, 0.9]
    assert [bar.get_height() for bar in largest.patches] == [0, 1]
    assert [bar.get_hatch() for bar in other.patches] == ["////", ""]  # not by colour alone
    assert other.get_title(loc="left") == "other: video 0.70"


def test_thresholds_are_sorted_and_span_the_seeds():
    thresholds = np.linspace(0.9, 0.1, 25)[None] + np.array([[0.0], [0.02]])
    (ax,) = class_thresholds(thresholds).axes
    x = ax.containers[0].lines[0].get_xdata()
    assert x == pytest.approx(np.linspace(0.11, 0.91, 25))
    assert ax.get_yticklabels()[0].get_text() == "Clapping"
    class_thresholds(thresholds[:1])  # one seed has no range


def test_a_method_that_does_not_look_has_no_dot():
    figure = scores_beside_print(
        {
            "AVE": {"audio": (47.2, Estimate(40.0, 1.0)), "visual": (37.1, None)},
            "TALNet": {"audio": (50.0, Estimate(52.0, None))},
        }
    )
    heard, seen = figure.axes
    assert len(heard.containers) == 2
    assert not seen.containers
    assert [text.get_text() for text in seen.texts] == ["does not look"]
    assert [line.get_xdata()[0] for line in seen.lines if line.get_marker() == "|"] == [37.1]


def test_a_timeline_has_no_row_for_what_a_system_does_not_parse():
    on = torch.zeros(25, 10).bool()
    on[3, :4] = True
    figure = timeline((on, on), {"TALNet": (on, None), "STPN": (None, on), "AVE": (on, on)})
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["annotation", "TALNet", "AVE", "annotation", "STPN", "AVE"]
