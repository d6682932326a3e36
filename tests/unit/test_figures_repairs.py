"""Bars from a score to 100, and two rankings side by side."""

import matplotlib.pyplot as plt
import pytest

from avvp.figures.repairs import Decomposed, changed_ranks, stacked_repairs


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_a_bar_reaches_from_its_score_to_100_and_a_missing_one_says_so():
    row = Decomposed(40.0, (30.0, 20.0, 10.0), 35.0)
    figure = stacked_repairs({"segment": {"A": row, "B": None}, "event": {"A": row, "B": row}})
    first, second = figure.axes
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in first.patches]
    assert spans == [(0, 40), (40, 70), (70, 90), (90, 100)]
    assert len(second.patches) == 8
    assert "not run" in [text.get_text() for text in first.texts]
    assert [line.get_xdata()[0] for line in first.lines] == [35.0]


def test_ranks_are_joined_from_column_to_column():
    figure = changed_ranks(
        {"A": (60.0, 40.0), "B": (50.0, 45.0)},
        columns=("all", "short"),
        lines={"reference": (55.0, 10.0)},
    )
    (ax,) = figure.axes
    ranks = [line.get_ydata().tolist() for line in ax.lines]
    assert ranks == [[0, 1], [2, 0], [1, 2]]
    told = [text.get_text() for text in ax.texts]
    assert {"A  60.0", "40.0  A", "reference  55.0", "all", "short"} <= set(told)
