"""The figure of later work: a dot a method in a panel a metric, between reference lines."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from avvp.figures import TRUTH_COLOUR

LINE_STYLES = ((":", "#0072B2"), ("--", "#D55E00"), ("-.", "#009E73"), ("-", "#CC79A7"))


def between_lines(
    scores: Mapping[str, Sequence[float]],
    lines: Mapping[str, Sequence[float]],
    *,
    metrics: Sequence[str],
) -> Figure:
    """Scores of several methods, a row a method and a panel a metric, and what they lie between.

    Args:
        scores: method -> its score in every metric, in per cent.
        lines: what is not a method -> its score in every metric; at most four.
        metrics: names of the panels.
    """
    figure, axes = plt.subplots(
        1,
        len(metrics),
        figsize=(7, 1.5 + 0.24 * len(scores)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    styles = dict(zip(lines, LINE_STYLES, strict=False))
    for panel, (ax, metric) in enumerate(zip(axes[0], metrics, strict=True)):
        for name, values in lines.items():
            style, colour = styles[name]
            ax.axvline(values[panel], linestyle=style, color=colour, linewidth=1.5)
        ax.plot(
            [values[panel] for values in scores.values()],
            range(len(scores)),
            linestyle="",
            marker="o",
            color=TRUTH_COLOUR,
            zorder=3,
        )
        ax.set_title(metric, fontsize=9)
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.margins(x=0.08)
    axes[0][0].set_yticks(range(len(scores)), list(scores))
    axes[0][0].set_ylim(len(scores) - 0.5, -0.5)
    axes[0][len(metrics) // 2].set_xlabel("F-score on LLP (%)")
    figure.legend(
        handles=[
            Line2D([], [], linestyle=style, color=colour, label=name)
            for name, (style, colour) in styles.items()
        ],
        loc="outside lower center",
        ncols=2,
    )
    return figure
