"""Claims as a picture."""

import matplotlib.pyplot as plt
import pytest

from avvp.claims import Comparison, Verdict, read_claims
from avvp.figures.claims import PAPER_STYLES, claimed_against_measured


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_differences_are_drawn_in_the_claimed_direction():
    claim = next(c for c in read_claims() if c.kind == "score" and c.claimed is not None)
    measured = Comparison(2.0, error=0.5, freedom=10.0)
    verdicts = [
        Verdict(claim._replace(sign=1), "supported", comparison=measured),
        Verdict(claim._replace(sign=-1), "contradicted", comparison=measured),
        Verdict(claim._replace(claimed=None), "not decidable", comparison=measured),
        Verdict(claim._replace(kind="exact"), "supported", measured="1"),
        Verdict(claim, "not run"),
    ]
    (ax,) = claimed_against_measured(verdicts).axes
    points = ax.containers[0].lines[0].get_xydata().tolist()
    assert points == [[claim.claimed, 2.0], [claim.claimed, -2.0]]
    low, high = ax.containers[0].lines[2][0].get_segments()[0][:, 1]
    assert high - low == pytest.approx(2 * measured.half_width)


def test_every_paper_with_claims_has_a_look_of_its_own():
    assert {claim.paper for claim in read_claims()} <= set(PAPER_STYLES)
    assert len(set(PAPER_STYLES.values())) == len(PAPER_STYLES)


def test_without_anything_measured_the_axes_stand():
    (ax,) = claimed_against_measured([]).axes
    assert not ax.containers
