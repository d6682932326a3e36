"""Figures of MGN's score map draw the window, the factors and the order that they are given."""

import matplotlib.pyplot as plt
import pytest
import torch

from avvp.figures.localisation import FactorOverTime, narrow_window, order_of_seconds


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_the_window_is_where_segment_scores_lie_on_both_sides_of_the_threshold():
    above, below, _ = narrow_window((1.0, 1.25), {"audio": [4, 0, 1]}, []).axes
    for ax in (above, below):
        strip = [p for p in ax.patches if p.get_alpha() == 0.5]
        assert [(p.get_x(), p.get_x() + p.get_width()) for p in strip] == [(0.4, 0.5)]
    counts, edges, _ = below.patches[0].get_data()
    assert counts.tolist() == [4, 0, 1]
    assert edges.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_factors_stand_over_their_annotated_seconds():
    factor = torch.linspace(1.05, 1.2, 10)
    annotated = torch.zeros(10, dtype=torch.bool)
    annotated[2:5] = annotated[9] = True
    pairs = [FactorOverTime("Dog", "visual", factor, annotated)] * 2
    _, _, *rows = narrow_window((1.0, 1.25), {}, pairs).axes
    assert [ax.get_title() for ax in rows] == ["Dog (seen)"] * 2
    values, edges, _ = rows[0].patches[0].get_data()
    assert values.tolist() == pytest.approx(factor.tolist())
    assert edges.tolist() == list(range(11))
    starts = [path.vertices[:, 0].min() for path in rows[0].collections[0].get_paths()]
    assert starts == [2, 3, 4, 9]


def test_order_has_a_dot_a_system_and_modality():
    numbers = {
        "one": {"audio": (0.8, 0.1), "visual": (0.9, None)},
        "other": {"visual": (0.4, 0.2)},
    }
    (ax,) = order_of_seconds(numbers).axes
    heard, seen = ax.containers
    assert list(heard.lines[0].get_xdata()) == [0.8]
    assert list(seen.lines[0].get_xdata()) == [0.9, 0.4]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["one", "other"]
    bar = seen.lines[2][0].get_segments()[1]
    assert bar[:, 0].tolist() == pytest.approx([0.2, 0.6])
