"""Figures of label statistics draw the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from avvp.data.statistics import read_statistics
from avvp.events import LABELS
from avvp.figures import co_occurrence, counts_by_class, run_lengths, shares_by_class


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def dense() -> dict:
    return read_statistics()["dense"]["test"]


def test_counts_stand_beside_their_class(dense):
    (ax,) = counts_by_class(dense["pairs"], unit="clips").axes
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names[0] == "Speech" and sorted(names) == sorted(x.replace("_", " ") for x in LABELS)
    for line, modality in zip(ax.lines, dense["pairs"], strict=True):
        drawn = dict(zip(names, line.get_xdata(), strict=True))
        wanted = {
            label.replace("_", " "): count
            for label, count in zip(LABELS, dense["pairs"][modality], strict=True)
        }
        assert drawn == wanted


def test_a_count_of_zero_is_left_out():
    counts = {"audio": [0] + [5] * 24, "visual": [1] * 25}
    (ax,) = counts_by_class(counts, unit="clips").axes
    assert np.isnan(ax.lines[0].get_xdata()).sum() == 1


def test_shares_fill_the_bar():
    heard, seen = list(range(1, 26)), [25 - n for n in range(25)]
    (ax,) = shares_by_class({"heard only": heard, "seen only": seen}, xlabel="share (%)").axes
    first, second = (np.array([bar.get_width() for bar in bars]) for bars in ax.containers)
    assert np.allclose(first + second, 100)
    assert first[0] == max(first) == pytest.approx(100 * 25 / 26)
    assert ax.get_yticklabels()[0].get_text() == "Clapping"


def test_run_lengths_are_shares_of_all_runs():
    one = {"audio": [1] * 10, "visual": [0] * 9 + [4]}
    other = {"audio": [10] + [0] * 9, "visual": [2] * 10}
    axes = run_lengths({"LLP": one, "simulated": other}).axes
    assert [bar.get_height() for bar in axes[0].patches] == [10] * 10
    assert axes[1].patches[-1].get_height() == 100
    assert axes[0].lines[0].get_ydata()[0] == 100
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["simulated", "LLP"]


def test_co_occurrence_is_by_row():
    together = np.zeros((25, 25), int)
    np.fill_diagonal(together, 10)
    together[0, 1] = together[1, 0] = 5
    together[1, 1] = 50
    cells = co_occurrence(together.tolist()).axes[0].collections[0].get_array().reshape(25, 25)
    assert cells[0, 1] == 50 and cells[1, 0] == 10 and cells.mask[0, 0]
