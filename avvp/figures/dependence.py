"""What methods gain in worlds that differ in one parameter."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from avvp.dependence import Curve

STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
)
"""Of the methods, in their order; markers and lines tell them apart without colour."""
APART = 0.13
"""Between the methods at one value, so that bars do not hide each other."""


def gains(curves: Mapping[str, Sequence[Curve]], *, ylabel: str, columns: int = 3) -> Figure:
    """Gains against the values of parameters: one panel a parameter, one line a method.

    A large marker is the mean over seeds, a dot one seed, a bar the 95 % interval. A method that
    was trained at one value of a parameter only is left out of that panel, and a panel without
    other values than the default says so. The default world is the same in all panels, and shaded.

    Args:
        curves: title of a method -> its curves, one a parameter; each method has the same ones.
        ylabel: what is gained.
        columns: panels a row.
    """
    names = [curve.parameter.name for curve in next(iter(curves.values()))]
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7, 0.9 + 2.0 * rows), sharey=True, squeeze=False
    )
    for number, ax in enumerate(axes.flat):
        if number >= len(names):
            ax.set_axis_off()
            continue
        mine = [(title, own[number]) for title, own in curves.items()]
        parameter = mine[0][1].parameter
        default = parameter.values.index(parameter.default)
        ax.axvspan(default - 0.45, default + 0.45, color="#dddddd", alpha=0.45, linewidth=0)
        ax.axhline(0, color="#777777", linewidth=1, zorder=1)
        for place, ((_, curve), style) in enumerate(zip(mine, STYLES, strict=False)):
            shift = APART * (place - (len(mine) - 1) / 2)
            points = [(x + shift, g) for x, g in enumerate(curve.gains) if g.comparison]
            if len(points) < 2:
                continue
            ax.errorbar(
                [x for x, _ in points],
                [gain.comparison.difference for _, gain in points],
                yerr=[gain.comparison.half_width or 0 for _, gain in points],
                **style,
                markersize=5,
                linewidth=1.2,
                elinewidth=1,
                zorder=3,
            )
            for x, gain in points:
                ax.plot(
                    [x] * len(gain.by_seed),
                    gain.by_seed,
                    ".",
                    color=style["color"],
                    markersize=3,
                    alpha=0.6,
                    zorder=2,
                )
        outer = [gain for _, c in mine for i, gain in enumerate(c.gains) if i != default]
        if not any(gain.comparison for gain in outer):
            told = "outer values not run yet"
            ax.text(0.5, 0.03, told, transform=ax.transAxes, ha="center", fontsize=8, color="#777")
        ax.set_xlim(-0.5, len(parameter.values) - 0.5)
        ax.set_xticks(range(len(parameter.values)), [f"{value:,g}" for value in parameter.values])
        ax.set_xlabel(parameter.axis, fontsize=9)
        ax.grid(axis="y")
    figure.supylabel(ylabel, fontsize=9)
    figure.legend(
        handles=[
            plt.Line2D([], [], **style, markersize=5, label=title)
            for title, style in zip(curves, STYLES, strict=False)
        ],
        loc="outside lower center",
        ncols=min(4, len(curves)),
    )
    return figure
