"""Figures of what lies beyond one number: rankings, curves over thresholds, calibration."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from avvp.errors import AvvpError
from avvp.figures import MODALITY_COLOURS, MODALITY_NAMES, TRUTH_COLOUR

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777")
STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX*"
"""Looks of the lines of a figure, in their order; names stand at the lines' ends too."""


def looks(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Colour, line and marker of each name: no two are alike in all three.

    Raises:
        AvvpError: there are more names than looks.
    """
    most = len(COLOURS) * len(STYLES)
    if len(names) > most:
        raise AvvpError(f"{len(names)} lines were given; there are {most} looks.")
    return {
        name: {
            "color": COLOURS[n % len(COLOURS)],
            "linestyle": STYLES[n // len(COLOURS)],
            "marker": MARKERS[n % len(MARKERS)],
        }
        for n, name in enumerate(names)
    }


def rank_chart(
    ranks: Mapping[str, Mapping[str, int]],
    columns: Mapping[str, str],
    *,
    told: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Places of methods under measures: a line a method, a column a measure, the best on top.

    Args:
        ranks: method -> key -> place, 1 is best.
        columns: key -> head of the column, in their order.
        told: methods that are drawn strongly; the others are grey. All, if there are none.
        title: drawn above.
    """
    keys = list(columns)
    order = sorted(ranks, key=lambda name: ranks[name][keys[0]])
    strong = [name for name in order if name in told] if told else order
    look = looks(strong)
    figure, ax = plt.subplots(figsize=(7, 1.9 + 0.34 * len(order)))
    gap = 0.08 + 0.03 * len(keys)  # beside a dot
    for name in order:
        places = [ranks[name][key] for key in keys]
        style = look.get(name, {"color": "#b0b0b0", "linestyle": "-", "marker": "o"})
        line = {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 2.2}
        ax.plot(range(len(keys)), places, **line, zorder=3 if name in strong else 2)
        for x, place in enumerate(places):
            number = ax.text(x, place, str(place), ha="center", va="center", fontsize=7.5)
            number.set(color="white", weight="bold", zorder=5)
        dots = {"color": style["color"], "linestyle": "", "marker": "o", "markersize": 13}
        ax.plot(range(len(keys)), places, **dots, zorder=4)
        for x, side in ((-gap, "right"), (len(keys) - 1 + gap, "left")):
            place = places[0] if side == "right" else places[-1]
            ends = [other for other in order if ranks[other][keys[-(side == "left")]] == place]
            shift = 0.28 * (ends.index(name) - (len(ends) - 1) / 2)  # shared places
            text = ax.text(x, place + shift, name, ha=side, va="center", fontsize=8)
            text.set(color="#1a1a1a", weight="bold" if told and name in strong else "normal")
    ax.set(ylim=(len(order) + 0.6, 0.4), xlim=(-0.3, len(keys) - 0.7))
    heads = {"rotation": 38, "ha": "left", "rotation_mode": "anchor", "fontsize": 8.5}
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(keys)), [columns[key] for key in keys], **heads)
    ax.set_yticks([])
    ax.tick_params(axis="x", length=0)
    ax.spines[:].set_visible(False)
    ax.set_ylabel("place, best on top")
    ax.yaxis.set_label_coords(-0.29, 0.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def score_curves(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    x: Sequence[float],
    *,
    xlabel: str,
    mark: float,
    ylabel: str = "F-score (%)",
    title: str = "",
) -> Figure:
    """Scores as a decision moves: a panel each, a line a method; a ring at each line's highest.

    Args:
        panels: title -> method -> scores at each of ``x``, per cent; every panel has the same
            methods.
        x: thresholds, or overlaps.
        xlabel, ylabel: of the axes.
        mark: the value in use, a dotted line.
        title: drawn above the panels.
    """
    look = looks(list(next(iter(panels.values()))))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(7, 4.4), sharey=True, sharex=True, squeeze=False
    )
    highest = max(np.max(scores) for lines in panels.values() for scores in lines.values())
    top = min(10 * np.ceil((highest + 3) / 10), 100)
    for ax, (head, lines) in zip(axes[0], panels.items(), strict=True):
        for name, scores in lines.items():
            style = {"markersize": 4, "markevery": 2, "linewidth": 1.5, **look[name]}
            ax.plot(x, scores, label=name if ax is axes[0, 0] else "_", **style)
            best = int(np.argmax(scores))
            if 0 < best < len(x) - 1:
                ax.plot(x[best], scores[best], "o", markersize=10, mfc="none", mec=style["color"])
        ax.axvline(mark, color="#777777", linestyle=":", linewidth=1.2, zorder=1)
        ax.set_title(head, fontsize=9)
        ax.set(xlabel=xlabel, ylim=(0, top), xlim=(0, 1))
        ax.grid(axis="both")
    axes[0, 0].set_ylabel(ylabel)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def scores_by_presence(scores: Mapping[str, Mapping[str, float]], *, title: str = "") -> Figure:
    """A row a method: how well it finds what is heard only, seen only, and both.

    Args:
        scores: method -> ``"audio"`` (heard only), ``"visual"`` (seen only), ``"audio_visual"``
            (heard and seen) -> F-score, per cent.
        title: drawn above the axes.
    """
    names = {"audio": "heard only", "visual": "seen only", "audio_visual": "heard and seen"}
    figure, ax = plt.subplots(figsize=(7, 1.5 + 0.3 * len(scores)))
    for y, by_kind in enumerate(scores.values()):
        ax.hlines(y, min(by_kind.values()), max(by_kind.values()), color="#cccccc", linewidth=2)
    for (kind, name), marker in zip(names.items(), "osD", strict=True):
        values = [by_kind[kind] for by_kind in scores.values()]
        ax.plot(
            values,
            range(len(scores)),
            marker,
            color=MODALITY_COLOURS[kind],
            markersize=8,
            label=name,
        )
    ax.set_yticks(range(len(scores)), list(scores))
    ax.set(ylim=(len(scores) - 0.5, -0.5), xlim=(0, 100), xlabel="F-score of pooled seconds (%)")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def reliability_diagrams(
    methods: Mapping[str, Mapping[str, np.ndarray]], *, title: str = ""
) -> Figure:
    """What is said with probability p, and how often it is true: a panel a method.

    Args:
        methods: name -> ``"video"``, ``"audio"``, ``"visual"`` -> bins (20, 3), see
            :func:`avvp.curves.reliability`. Bins with fewer than 50 entries are not drawn, and
            means above 1 are drawn at 1.
        title: drawn above the panels.
    """
    look = {
        "video": {"color": TRUTH_COLOUR, "linestyle": "-", "marker": "D", "label": "video"},
        **{
            modality: {
                "color": MODALITY_COLOURS[modality],
                "linestyle": style,
                "marker": marker,
                "label": f"second, {MODALITY_NAMES[modality]}",
            }
            for modality, style, marker in (("audio", "--", "o"), ("visual", "-.", "s"))
        },
    }
    columns = 3
    rows = -(-len(methods) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7, 0.9 + 2.15 * rows), sharex=True, sharey=True, squeeze=False
    )
    for ax, (name, by_kind) in zip(axes.flat, methods.items(), strict=False):
        ax.plot([0, 1], [0, 1], ":", color="#777777", linewidth=1.2)
        for kind, bins in by_kind.items():
            _, said, held = bins[bins[:, 0] >= 50].T
            said = np.minimum(said, 1)  # MGN's scores of seconds go beyond
            style = dict(look[kind])
            if ax is not axes.flat[0]:
                style["label"] = "_"
            ax.plot(said, held, markersize=3.5, linewidth=1.4, clip_on=False, **style)
        ax.set_title(name, fontsize=9)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        ax.set_aspect("equal")
        ax.grid(axis="both")
    for ax in axes.flat[len(methods) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("probability")
    for ax in axes[:, 0]:
        ax.set_ylabel("share that is true")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(loc="outside lower center", ncols=3)
    return figure
