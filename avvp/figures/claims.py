"""What papers claim beside what runs measured."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from avvp.claims import Verdict
from avvp.tables import PAPERS

PAPER_STYLES = {
    "mgn": ("#d55e00", "o"),
    "mgn_supp": ("#cc79a7", "D"),
    "ma": ("#0072b2", "s"),
    "cross_modal": ("#009e73", "^"),
    "mgn_abstract": ("#e69f00", "v"),
}
"""Colour and marker of each paper, of the palette of Okabe and Ito."""


def claimed_against_measured(verdicts: Sequence[Verdict], *, title: str = "") -> Figure:
    """Differences of scores: the printed size to the right, the measured one upwards.

    Both count in the direction of the claim, so that a claim holds above zero and is as large as in
    print on the diagonal. A bar is the 95 % interval of a difference, where there is one.

    Args:
        verdicts: those with a printed size and a measured difference of scores are drawn.
        title: drawn above the axes.
    """
    figure, ax = plt.subplots(figsize=(7, 4.4))
    scores = (v for v in verdicts if v.claim.kind == "score" and v.comparison)
    drawn = [v for v in scores if v.claim.claimed is not None]
    for paper, (colour, marker) in PAPER_STYLES.items():
        own = [v for v in drawn if v.claim.paper == paper]
        if not own:
            continue
        ax.errorbar(
            [v.claim.claimed for v in own],
            [v.claim.sign * v.comparison.difference for v in own],
            yerr=[v.comparison.half_width or 0.0 for v in own],
            color=colour,
            marker=marker,
            linestyle="",
            markersize=5,
            elinewidth=1,
            label=f"{PAPERS[paper]} ({len(own)})",
        )
    most = max((v.claim.claimed for v in drawn), default=1.0)
    ax.plot([0, most], [0, most], ":", color="#777777", linewidth=1, label="as large as in print")
    ax.axhline(0, color="#1a1a1a", linewidth=1)
    ax.set(
        xlabel="claimed difference (points)", ylabel="measured, in the claimed direction (points)"
    )
    ax.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
