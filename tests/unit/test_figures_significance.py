"""Claims over what can be detected."""

import matplotlib.pyplot as plt
import pytest

from avvp.claims import read_claims
from avvp.figures.significance import claims_on_scale
from avvp.metrics import METRICS


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_every_claim_is_drawn_at_its_size_over_bands_that_end_at_what_is_detectable():
    claims = [c for c in read_claims() if c.kind == "score" and c.claimed]
    detectable = {n: dict.fromkeys(METRICS, 6.0 / n) for n in (1, 3, 5)}
    detectable[3]["event/audio"] = 2.5
    figure = claims_on_scale(claims, detectable, title="simulated")
    (ax,) = figure.axes
    drawn = sorted(line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "None")
    assert drawn == sorted(claim.claimed for claim in claims)
    edges = {(round(p.get_y() + 0.33), round(p.get_x() + p.get_width(), 3)) for p in ax.patches}
    row = METRICS.index("event/audio")
    assert {x for y, x in edges if y == row} == {1.2, 2.5, 6.0}
    assert {x for y, x in edges if y == 0} == {1.2, 2.0, 6.0}
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told[-3:] == [
        "too small for 5 seeds each",
        "too small for 3 seeds each",
        "too small for 1 seed each",
    ]
