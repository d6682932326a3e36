"""Later work: the table reads whole, and the figure draws what it is given."""

import matplotlib.pyplot as plt
import pytest

from avvp.figures.later import between_lines
from avvp.later_work import SOURCES, later_work
from avvp.metrics import METRICS


def test_every_row_names_its_source_and_has_ten_scores():
    rows = later_work()
    assert len({row.title for row in rows}) == len(rows) == 14
    for row in rows:
        assert row.source in SOURCES
        assert tuple(row.ten) == METRICS
        assert all(0 < value < 100 for value in row.ten.values())


def test_type_av_is_the_mean_of_its_three_parts():
    """No row of the sources disagrees with itself by more than rounding and one digit."""
    for row in later_work():
        for level in ("segment", "event"):
            parts = [row.ten[f"{level}/{kind}"] for kind in ("audio", "visual", "audio_visual")]
            told = row.ten[f"{level}/type_av"]
            assert told == pytest.approx(sum(parts) / 3, abs=1.4), row.title


def test_the_numbers_are_those_of_the_project_notes(shared):
    text = (shared / "published" / "later_work.md").read_text(encoding="utf-8")
    for row in later_work():
        for level in ("segment", "event"):
            printed = "/".join(f"{v:.1f}" for k, v in row.ten.items() if k.startswith(level))
            assert printed in text, row.title


def test_dots_lie_between_lines():
    plt.switch_backend("Agg")
    figure = between_lines(
        {"one": [50.0, 60.0], "two": [55.0, 65.0]},
        {"low": [40.0, 45.0], "high": [80.0, 85.0]},
        metrics=["A", "V"],
    )
    first, second = figure.axes
    assert [line.get_xdata()[0] for line in first.lines[:2]] == [40.0, 80.0]
    assert list(second.lines[2].get_xdata()) == [60.0, 65.0]
    assert first.lines[0].get_linestyle() != first.lines[1].get_linestyle()
    plt.close(figure)
