"""Figures of studies: what a change of a method does to its scores, and what its size buys."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from avvp.errors import AvvpError
from avvp.figures import TRUTH_COLOUR
from avvp.studies import Step

OURS = {"color": "#0072B2", "marker": "o", "markersize": 6}
PRINTED = {"color": TRUTH_COLOUR, "marker": "|", "markersize": 15, "markeredgewidth": 2}


def differences(
    steps: Mapping[str, Mapping[str, Step]], *, reference: str, title: str = ""
) -> Figure:
    """How far variants are from a reference: one row a variant, one panel a metric.

    A dot with a bar is the measured difference and its interval, a dash the printed one. A variant
    that was not run says so.

    Args:
        steps: variant -> title of a metric -> difference; every variant has the same metrics.
        reference: what is subtracted, for the axis.
        title: drawn above the panels.
    """
    metrics = list(next(iter(steps.values())))
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(7, 1.75 + 0.42 * len(steps)), sharex=True, sharey=True
    )
    for ax, metric in zip(axes, metrics, strict=True):
        for y, by_metric in enumerate(steps.values()):
            step = by_metric[metric]
            if step.printed is not None:
                ax.plot(step.printed, y, linestyle="", **PRINTED, zorder=3)
            if step.measured is not None:
                ax.errorbar(
                    step.measured, y, xerr=step.half_width, **OURS, capsize=3, elinewidth=1.6
                )
        ax.axvline(0, color="#777777", linewidth=1, zorder=1)
        ax.set_title(metric, fontsize=9)
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    # Room at both sides of the reference, also where all variants lie on one.
    low, high = axes[0].get_xlim()
    axes[0].set_xlim(min(low, -1), max(high, 1))
    axes[0].set_yticks(range(len(steps)), [_row(*row) for row in steps.items()])
    axes[0].set_ylim(len(steps) - 0.5, -0.5)
    axes[len(axes) // 2].set_xlabel(f"points above or below {reference}")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(
        handles=[
            plt.Line2D([], [], linestyle="", **PRINTED, label="printed, on LLP"),
            plt.Line2D([], [], linestyle="-", **OURS, label="our runs, 95 % interval"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    return figure


def _row(name: str, by_metric: Mapping[str, Step]) -> str:
    run = any(step.measured is not None for step in by_metric.values())
    return name if run else f"{name}\n(not run)"


PART_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#0072B2", "#D55E00")
"""Of the parts of a network, in their order; a number in each bar says the same."""

ROOM_FOR_NUMBER = 0.02
"""Of the longest bar: a part that is shorter bears no number."""


def stacked_sizes(
    networks: Mapping[str, Mapping[str, float]], *, idle: Mapping[str, float]
) -> Figure:
    """Where the numbers of networks sit: one stacked bar a network, and hatched what is idle.

    Args:
        networks: name -> part -> MB that compute. Parts are numbered in the order in which they
            first occur.
        idle: name -> MB that are stored and never used.

    Raises:
        AvvpError: there are more parts than colours.
    """
    parts = list(dict.fromkeys(part for sizes in networks.values() for part in sizes))
    if len(parts) > len(PART_COLOURS):
        raise AvvpError(f"{len(parts)} parts were given; there are {len(PART_COLOURS)} colours.")
    stored = {name: sum(sizes.values()) + idle.get(name, 0) for name, sizes in networks.items()}
    longest = max(stored.values())
    figure, ax = plt.subplots(figsize=(7, 1.5 + 0.36 * len(networks)))
    for y, (name, sizes) in enumerate(networks.items()):
        left = 0.0
        for number, (part, colour) in enumerate(zip(parts, PART_COLOURS, strict=False), 1):
            size = sizes.get(part, 0)
            if not size:
                continue
            ax.barh(y, size, left=left, height=0.72, color=colour, edgecolor="white")
            if size > ROOM_FOR_NUMBER * longest:
                dark = colour in ("#0072B2", "#D55E00", "#009E73")
                style = {"color": "white" if dark else "black", "fontsize": 8}
                ax.text(left + size / 2, y, str(number), ha="center", va="center", **style)
            left += size
        if idle.get(name):
            ax.barh(y, idle[name], left=left, height=0.72, **_IDLE)
        told = f"{left:.1f}" + (f" used, {stored[name]:.1f} stored" if idle.get(name) else "")
        ax.text(stored[name] + 0.01 * longest, y, told, va="center", fontsize=8)
    ax.set_yticks(range(len(networks)), list(networks))
    ax.set_ylim(len(networks) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlim(0, 1.32 * longest)
    ax.set_xlabel("size (MB)")
    handles = [
        plt.Rectangle((0, 0), 1, 1, color=colour, label=f"{number} {part}")
        for number, (part, colour) in enumerate(zip(parts, PART_COLOURS, strict=False), 1)
    ]
    if any(idle.values()):
        handles.append(plt.Rectangle((0, 0), 1, 1, **_IDLE, label="stored, never used"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


_IDLE = {"facecolor": "white", "edgecolor": "#777777", "hatch": "////"}


class Sized(NamedTuple):
    """A network, its size and its score."""

    label: str
    size: float  #: MB that compute
    stored: float  #: MB in the released file
    score: float
    half_width: float | None = None


def scores_by_size(
    panels: Mapping[str, Sequence[Sized]], *, ylabels: Sequence[str], path: Sequence[str] = ()
) -> Figure:
    """Score against size, two panels a row; a network that stores idle weights has two places.

    The filled marker stands at the size of what computes. A hollow one, dotted to it, stands at the
    size of the file. Panels of a row share no axis of scores: print and simulation are two worlds.

    Args:
        panels: title -> networks; an empty one says that nothing was run.
        ylabels: of each row.
        path: labels in an order; a line joins each with the next one, where both are there.
    """
    rows = -(-len(panels) // 2)
    figure, axes = plt.subplots(
        rows, 2, figsize=(7, 0.6 + 2.5 * rows), squeeze=False, sharex=True, layout="constrained"
    )
    sizes = [x for networks in panels.values() for n in networks for x in (n.size, n.stored)]
    if sizes:
        axes[0, 0].set_xlim(min(sizes) - 3, max(sizes) + 3)
    for index, (ax, (title, networks)) in enumerate(zip(axes.flat, panels.items(), strict=False)):
        _panel(ax, networks, path)
        ax.set_title(title, fontsize=8)
        if index % 2 == 0:
            ax.set_ylabel(ylabels[index // 2])
        ax.grid(axis="both")
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("size (MB)")
    figure.canvas.draw()  # places the panels, and with them the points that labels keep clear of
    for ax, networks in zip(axes.flat, panels.values(), strict=False):
        _label(ax, networks)
    return figure


def _panel(ax: Axes, networks: Sequence[Sized], path: Sequence[str]) -> None:
    if not networks:
        ax.text(0.5, 0.5, "not run", ha="center", va="center", transform=ax.transAxes)
        ax.set_yticks([])
        return
    by_label = {network.label: network for network in networks}
    for ends in itertools.pairwise(path):
        if by_label.keys() >= {*ends}:
            pair = [by_label[label] for label in ends]
            ax.plot([n.size for n in pair], [n.score for n in pair], "-", color="#0072B2", lw=1)
    for network in networks:
        idle = network.stored > network.size
        style = {"color": "#D55E00", "marker": "s"} if idle else {"color": "#0072B2", "marker": "o"}
        ax.errorbar(
            network.size, network.score, yerr=network.half_width, **style, markersize=6, capsize=3
        )
        if idle:
            ax.plot([network.size, network.stored], [network.score] * 2, ":", color=style["color"])
            ax.plot(network.stored, network.score, **style, markersize=6, mfc="white")
    ax.margins(y=0.2)


def _label(ax: Axes, networks: Sequence[Sized]) -> None:
    """Name every point, at the side of it, or the end of its bar, that is most free."""
    renderer = ax.figure.canvas.get_renderer()
    names = [(n.label, (n.size, n.score), n.half_width or 0.0) for n in networks]
    names += [
        (f"{n.label},\nas stored", (n.stored, n.score), 0.0) for n in networks if n.stored > n.size
    ]
    taken = []
    for _, (size, score), half in names:
        (x, low), (_, high) = ax.transData.transform([(size, score - half), (size, score + half)])
        middle = (low + high) / 2
        taken.append(Bbox.from_extents(x - 5, middle - 5, x + 5, middle + 5))
        if half:
            taken.append(Bbox.from_extents(x - 3, low - 1, x + 3, high + 1))
    for name, place, half in names:
        label = ax.annotate(name, place, xytext=(0, 0), textcoords="offset points", fontsize=8)
        spots = [(place, side) for side in _SIDES]
        spots += [((place[0], place[1] + up * half), (0, up)) for up in (1, -1) if half]
        crowds = []
        for spot in spots:
            _put(label, *spot)
            box = label.get_window_extent(renderer)
            outside = not ax.bbox.contains(*box.min) or not ax.bbox.contains(*box.max)
            covered = (Bbox.intersection(box, other) for other in taken)
            crowds.append(sum(b.width * b.height for b in covered if b) + 1000 * outside)
        _put(label, *spots[crowds.index(min(crowds))])
        taken.append(label.get_window_extent(renderer))


_SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))


def _put(label: Annotation, place: tuple[float, float], side: tuple[int, int]) -> None:
    across, up = side
    label.xy = place
    label.set_position((4 * across if up else 7 * across, 4 * up if across else 7 * up))
    label.set_horizontalalignment({1: "left", 0: "center", -1: "right"}[across])
    label.set_verticalalignment({1: "bottom", 0: "center", -1: "top"}[up])
