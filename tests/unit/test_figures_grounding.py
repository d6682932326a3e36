"""Figures of grounding show what they are given."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.patches import Arc, Rectangle

from avvp.events import LABELS
from avvp.figures.grounding import (
    cosines_by_label,
    grounding_curves,
    seconds_graph,
    systems_by_class,
)
from avvp.grounding import connectivity, joined_seconds


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_arcs_are_the_edges_and_cells_the_labels():
    angles = torch.tensor([0, 6, 80, 12, 18, 150, 155, 200, 240, 300]).deg2rad()
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    joined, together = joined_seconds(features, features), connectivity(features, features)
    truth = torch.zeros(25, 10, dtype=torch.bool)
    truth[3, 2:5] = True
    figure = seconds_graph(joined, together, (truth, torch.zeros_like(truth)), title="A video")
    graph, labels, lanes = figure.axes
    by_letter = {text.get_text() for text in graph.texts}
    assert by_letter == {"A", "B", ""}
    assert sum(isinstance(patch, Arc) for patch in graph.patches) == int(joined.sum()) == 4
    cells = {
        (round(p.get_y() + 0.5), round(p.get_x() + 0.5))
        for p in labels.patches
        if isinstance(p, Rectangle)
    }
    assert cells == {tuple(pair) for pair in together.nonzero().tolist()}
    assert [t.get_text() for t in lanes.get_yticklabels()] == ["Dog, heard"]
    assert len(lanes.patches) == 3


def test_a_video_without_edges_and_without_events_is_drawn():
    alone = torch.eye(10, dtype=torch.bool)
    nothing = torch.zeros(25, 10, dtype=torch.bool)
    figure = seconds_graph(alone & ~alone, alone, (nothing, nothing))
    assert not [p for ax in figure.axes for p in ax.patches if isinstance(p, Arc)]


def test_every_pair_is_counted_and_the_margin_marked():
    near, far = torch.full((30,), 0.9), torch.cat([torch.zeros(30), torch.full((10,), -2.0)])
    figure = cosines_by_label({"kind": {"before": (near, far)}}, margin=0.7)
    (ax,) = figure.axes
    totals = [patch.get_data().values.sum() for patch in ax.patches]
    assert totals == pytest.approx([100, 100])
    assert ax.lines[0].get_xdata()[0] == 0.7
    assert [t.get_text() for t in figure.legends[0].texts] == ["before: together", "before: apart"]


def test_curves_ring_the_epoch_that_was_kept():
    figure = grounding_curves(
        {"uni": [([3, 2, 1], [5, 4, 6], 2)]}, {"uni": [[10, 20]], "none": [[5, 6], [5, 7]]}
    )
    train, val, score = figure.axes
    assert val.lines[1].get_xydata().tolist() == [[2, 4]]
    assert train.lines[0].get_ydata().tolist() == [3, 2, 1]
    assert [t.get_text() for t in score.get_legend().texts] == ["uni", "none"]


def test_classes_are_sorted_and_one_without_a_score_has_no_mark():
    scores = torch.arange(25.0).repeat(2, 1)
    scores[1] += 2
    other = torch.full((1, 25), 50.0)
    other[0, 0] = torch.nan
    panel = {"HAN": scores, "AVG": other}
    figure = systems_by_class({"audio": panel, "visual": panel}, xlabel="F (%)")
    left, right = figure.axes
    named = [t.get_text() for t in left.get_yticklabels()]
    assert named[0] == LABELS[-1].replace("_", " ")
    assert left.lines[0].get_xdata()[0] == 25  # mean of 24 and 26
    assert sum(x != x for x in left.lines[1].get_xdata()) == 1
    assert (left.get_title(loc="left") or left.get_title()) == "heard"
    assert right.get_xlabel() == "F (%)"
