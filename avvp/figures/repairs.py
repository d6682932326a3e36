"""What is missing to 100, by the kind of error, and what changes where events are short."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avvp.figures import TRUTH_COLOUR
from avvp.repair import KINDS

SCORE_STYLE = {"color": "#D9D9D9"}
KIND_STYLES: dict[str, tuple[str, str, str]] = {
    "class": ("#0072B2", "", "white"),
    "modality": ("#E69F00", "////", "black"),
    "time": ("#009E73", "..", "black"),
}
"""Colour, hatch and colour of the number."""
KIND_NAMES: dict[str, str] = {
    "class": "wrong class in the video",
    "modality": "right class, wrong modality",
    "time": "right class and modality, wrong time",
}
ROOM_FOR_NUMBER = 5.0


class Decomposed(NamedTuple):
    """A score, what each repair adds to it, and the score without any word about time."""

    score: float
    gains: Sequence[float]  # by KINDS
    all_seconds: float


def stacked_repairs(
    panels: Mapping[str, Mapping[str, Decomposed | None]], *, ruled: int = 0, title: str = ""
) -> Figure:
    """One bar a method from its score to 100: what the repair of each kind of error brings.

    A diamond is the score of the same classes in all seconds. What was not run says so.

    Args:
        panels: title of a metric -> method -> its numbers; every panel has the same methods.
        ruled: a line is drawn above the last so many rows.
        title: drawn above the panels.
    """
    methods = list(next(iter(panels.values())))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(7, 1.6 + 0.29 * len(methods)), sharey=True, squeeze=False
    )
    for ax, (metric, rows) in zip(axes[0], panels.items(), strict=True):
        for y, method in enumerate(methods):
            _bar(ax, y, rows[method])
        if ruled:
            ax.axhline(len(methods) - ruled - 0.5, color=TRUTH_COLOUR, linewidth=0.8)
        ax.set(xlim=(0, 100), ylim=(len(methods) - 0.5, -0.5), xlabel="F-score (%)")
        ax.set_title(metric)
        ax.tick_params(axis="y", length=0)
    axes[0, 0].set_yticks(range(len(methods)), methods)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(
        handles=[
            Patch(label="the score", **SCORE_STYLE),
            Line2D([], [], linestyle="", **_DIAMOND, label="the same classes in all seconds"),
            *(_patch(kind) for kind in KINDS),
        ],
        loc="outside lower center",
        ncols=2,
    )
    return figure


_DIAMOND = {"marker": "D", "markersize": 5, "color": TRUTH_COLOUR, "markeredgecolor": "white"}


def _patch(kind: str) -> Patch:
    colour, hatch, _ = KIND_STYLES[kind]
    return Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=KIND_NAMES[kind])


def _bar(ax: Axes, y: int, row: Decomposed | None) -> None:
    if row is None:
        ax.text(2, y, "not run", va="center", fontsize=8, style="italic")
        return
    ax.barh(y, row.score, height=0.76, **SCORE_STYLE)
    ax.text(2, y, f"{row.score:.1f}", va="center", fontsize=8)
    left = row.score
    for kind, gain in zip(KINDS, row.gains, strict=True):
        colour, hatch, ink = KIND_STYLES[kind]
        ax.barh(
            y, gain, left=left, height=0.76, facecolor=colour, hatch=hatch, edgecolor="white",
            linewidth=0,
        )  # fmt: skip
        if gain >= ROOM_FOR_NUMBER:
            backing = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
            ax.text(
                left + gain / 2, y, f"{gain:.0f}", color=ink, fontsize=8, ha="center", va="center",
                bbox=backing,
            )  # fmt: skip
        left += gain
    ax.plot(row.all_seconds, y, linestyle="", **_DIAMOND, zorder=4, clip_on=False)


def changed_ranks(
    scores: Mapping[str, tuple[float, float]],
    *,
    columns: tuple[str, str],
    lines: Mapping[str, tuple[float, float]] | None = None,
    title: str = "",
) -> Figure:
    """Two rankings of the same methods side by side, the best on top, joined by lines.

    A method that climbs is drawn in blue and solid, one that falls in orange and dashed.

    Args:
        scores: method -> its score in each column, per cent.
        columns: what the two columns are.
        lines: reference lines, ranked among the methods and drawn in grey.
        title: drawn above the axes.
    """
    everyone = {**scores, **(lines or {})}
    order = [sorted(everyone, key=lambda name: -everyone[name][side]) for side in (0, 1)]
    figure, ax = plt.subplots(figsize=(7, 1.0 + 0.27 * len(everyone)))
    for name in everyone:
        left, right = (ranked.index(name) for ranked in order)
        if name not in scores:
            style = {"color": "#777777", "linestyle": ":"}
        elif right < left:
            style = {"color": "#0072B2", "linestyle": "-"}
        elif right > left:
            style = {"color": "#D55E00", "linestyle": "--"}
        else:
            style = {"color": TRUTH_COLOUR, "linestyle": "-", "linewidth": 0.8}
        ax.plot((0, 1), (left, right), marker="o", markersize=4, **style)
        for side, place, align in ((0, left, "right"), (1, right, "left")):
            told = (name, f"{everyone[name][side]:.1f}")
            ax.annotate(
                "  ".join(told if side == 0 else told[::-1]),
                (side, place),
                xytext=(8 if side else -8, 0),
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=8.5,
                style="normal" if name in scores else "italic",
            )
    for side, column in enumerate(columns):
        ax.text(side, -1.1, column, ha="left" if side else "right", weight="bold", fontsize=9)
    ax.set(xlim=(-1.15, 2.15), ylim=(len(everyone) - 0.5, -1.6))
    ax.axis("off")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
