"""Figures of contrastive learning draw the numbers they are given."""

import matplotlib.pyplot as plt
import pytest
import torch

from avvp.events import LABELS, SEGMENTS
from avvp.figures.contrast import by_temperature, contrastive_curves, similarity_maps


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def names_of(legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def test_each_temperature_is_a_line_of_its_own_look():
    figure = by_temperature(
        {"softmax": {0.1: [0.9, 0.1], 0.4: [0.6, 0.4]}, "gradient": {0.1: [-1, 1], 0.4: [0, 0]}},
        own=0,
        xlabel="second",
    )
    assert names_of(figure.legends[0]) == ["temperature 0.1", "temperature 0.4"]
    low, high = figure.axes[0].lines[1:]
    assert list(low.get_ydata()) == [0.9, 0.1]
    assert low.get_marker() != high.get_marker() and low.get_linestyle() != high.get_linestyle()
    assert figure.axes[1].get_ylabel() == "gradient"


def test_curves_have_one_legend_entry_a_system_and_both_limits():
    seeds = [([1, 2], [2.0, 1.5]), ([1, 2], [2.1, 1.4])]
    figure = contrastive_curves({"MA": seeds}, {"HAN": seeds, "MA": seeds}, chance=2.3, least=0.5)
    losses, scores = figure.axes
    assert names_of(losses.get_legend()) == ["MA"]
    assert names_of(scores.get_legend()) == ["HAN", "MA"]
    assert [line.get_ydata()[0] for line in losses.lines[2:]] == [2.3, 0.5]
    by_name = {line.get_label(): line for line in scores.lines}
    assert by_name["MA"].get_color() == losses.lines[0].get_color() != by_name["HAN"].get_color()


def test_a_ring_marks_the_largest_of_each_row_and_lines_the_changes():
    cosines = torch.eye(SEGMENTS).roll(1, dims=1)  # every second of sound finds the next image
    audio = torch.zeros(len(LABELS), SEGMENTS, dtype=torch.bool)
    audio[3, 2:7] = True
    visual = torch.zeros_like(audio)
    visual[3, 5:] = True
    (ax, *_) = similarity_maps({"MA": cosines}, (audio, visual)).axes
    assert torch.equal(torch.as_tensor(ax.images[0].get_array()), cosines)
    rings = [line for line in ax.lines if line.get_marker() == "o"]
    assert list(rings[0].get_xdata()) == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 0.5]
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [tuple(line.get_ydata()) for line in dashed] == [(2, 2), (7, 7), (0, 1)]
    assert tuple(dashed[2].get_xdata()) == (5, 5)
