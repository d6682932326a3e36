"""The two figures of the chapter on scoring show what the metric counts."""

import matplotlib.pyplot as plt
import pytest

from avvp.figures import event_matching, score_lines
from avvp.metrics import METRICS


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def words(ax) -> list[str]:
    return sorted(text.get_text() for text in ax.texts)


def test_matched_and_unmatched_events_are_named():
    figure = event_matching(
        {
            "half": ([(0, 5)], [(0, 10)]),
            "less": ([(0, 4)], [(0, 9)]),
            "apart": ([(0, 3)], [(3, 6)]),
        }
    )
    half, less, apart, unused = figure.axes
    assert words(half) == ["IoU 0.50", "TP", "found"]
    assert words(less) == ["FN", "FP", "IoU 0.44"]
    assert words(apart) == ["FN", "FP"]
    assert [bool(bars.get_hatch()) for bars in half.collections + less.collections] == [
        False,
        False,
        True,
        True,
    ]
    assert not unused.axison


def test_a_lower_threshold_matches_more():
    case = {"two": ([(0, 5), (6, 10)], [(0, 10)])}
    assert words(event_matching(case).axes[0]) == ["FP", "IoU 0.40", "IoU 0.50", "TP", "found"]
    assert words(event_matching(case, event_iou=0.4).axes[0]).count("TP") == 2


def test_every_printed_result_is_a_dot_and_every_line_a_marker():
    printed = {key: (10.0 + k, 50.0) for k, key in enumerate(METRICS)}
    line = {key: 90.0 - k for k, key in enumerate(METRICS)}
    figure = score_lines(printed, {"a line": line})
    for ax, keys in zip(figure.axes, (METRICS[:5], METRICS[5:]), strict=True):
        *dots, marker = ax.get_lines()
        assert [list(dot.get_xdata()) for dot in dots] == [list(printed[key]) for key in keys]
        assert list(marker.get_xdata()) == [line[key] for key in keys]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["results printed in the papers", "a line"]
