"""Effects of differences as a picture."""

from typing import get_args

import matplotlib.pyplot as plt
import pytest

from avvp.differences import Effect, Evidence
from avvp.figures.differences import EVIDENCE_STYLES, effect_sizes


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_effects_stand_in_the_given_order_and_are_told_in_numbers():
    effects = [
        ("far", Effect("measured", "", 40.0, None, "same network")),
        ("clear", Effect("measured", "", -2.0, 0.5, "trained anew")),
        ("alone", Effect("measured", "", 0.02, None, "trained anew")),
    ]
    (ax,) = effect_sizes(effects, chance=1.5).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["far", "clear", "alone"]
    (values,) = ax.child_axes
    told = [label.get_text() for label in values.get_yticklabels()]
    assert told == ["+40.0", "-2.0", "+0.02"]
    drawn = {
        container.get_label(): container.lines[0].get_xydata().tolist()
        for container in ax.containers
    }
    assert drawn == {
        "trained anew (1)": [[-2.0, 1.0]],
        "trained anew, one seed on a side (1)": [[0.02, 2.0]],
        "same network (1)": [[40.0, 0.0]],
    }
    assert [x.get_text() for x in ax.get_xticklabels()][-1] == "+25"
    (left, _), (right, _) = ax.patches[0].get_bbox().get_points()
    assert (left, right) == (-1.5, 1.5)


def test_a_single_training_has_an_empty_marker():
    effects = [("alone", Effect("measured", "", 1.0, None, "trained anew"))]
    (ax,) = effect_sizes(effects).axes
    assert ax.containers[0].lines[0].get_markerfacecolor() == "white"


def test_every_kind_of_evidence_has_a_look_of_its_own():
    assert set(EVIDENCE_STYLES) == set(get_args(Evidence))
    markers = {marker for _, marker in EVIDENCE_STYLES.values()}
    assert len(markers) == len(EVIDENCE_STYLES)


def test_without_effects_the_axes_stand():
    (ax,) = effect_sizes([]).axes
    assert not ax.containers
