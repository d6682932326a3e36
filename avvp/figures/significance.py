"""Claimed differences on the scale of what can be told from chance."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from avvp.claims import Claim
from avvp.figures import TRUTH_COLOUR
from avvp.figures.claims import PAPER_STYLES
from avvp.metrics import LEVELS
from avvp.tables import KINDS, PAPERS

SHADES = ("#8C8C8C", "#B8B8B8", "#DEDEDE")


def claims_on_scale(
    claims: Sequence[Claim], detectable: Mapping[int, Mapping[str, float]], *, title: str = ""
) -> Figure:
    """One row a metric: claimed differences, over bands that so many seeds cannot tell from none.

    Args:
        claims: about scores, with a printed size.
        detectable: number of seeds of each system -> key of a metric -> the smallest detectable
            difference in points; at most three numbers of seeds.
        title: drawn above the axes.
    """
    seeds = sorted(detectable, reverse=True)
    rows = [f"{level}/{kind}" for level in LEVELS for kind in KINDS]
    figure, ax = plt.subplots(figsize=(7, 6.2))
    # The numbers above the bands of the second level need room below the line between the levels.
    places = [place + 0.3 * (place >= len(KINDS)) for place in range(len(rows))]
    for y, metric in zip(places, rows, strict=True):
        left = 0.0
        for shade, count in zip(SHADES, seeds, strict=False):
            edge = detectable[count][metric]
            ax.barh(y, edge - left, left=left, height=0.66, color=shade)
            ax.vlines(edge, y - 0.33, y + 0.33, color=TRUTH_COLOUR, linewidth=1)
            ax.text(edge, y - 0.34, str(count), ha="center", va="bottom", fontsize=8)
            left = edge
        mine = sorted((c for c in claims if c.metric == metric), key=lambda c: c.claimed)
        for place, claim in enumerate(mine):
            colour, marker = PAPER_STYLES[claim.paper]
            # Neighbours are drawn at different heights.
            height = y + (place % 3 - 1) * 0.2 * (len(mine) > 1)
            style = {"color": colour, "marker": marker, "markeredgecolor": "white"}
            ax.plot(claim.claimed, height, linestyle="", markersize=6, zorder=3, **style)
    ax.axhline(len(KINDS) - 0.47, color=TRUTH_COLOUR, linewidth=0.8)
    ax.set_yticks(places, [f"{KINDS[r.partition('/')[2]]}, {r.partition('/')[0]}" for r in rows])
    ax.set(ylim=(places[-1] + 0.55, -0.75), xlabel="difference (points)")
    ax.set_xlim(left=0)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    told = [f"too small for {n} seed{'s' * (n > 1)} each" for n in seeds]
    papers = [p for p in PAPER_STYLES if any(c.paper == p for c in claims)]
    figure.legend(
        handles=[
            *(
                plt.Line2D(
                    [],
                    [],
                    linestyle="",
                    color=PAPER_STYLES[p][0],
                    marker=PAPER_STYLES[p][1],
                    label=f"claimed by {PAPERS[p]}",
                )
                for p in papers
            ),
            *(Patch(color=c, label=t) for c, t in zip(SHADES, told, strict=False)),
        ],
        loc="outside lower center",
        ncols=2,
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
