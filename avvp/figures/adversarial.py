"""Figures of Cross-Modal learning: the reversal's schedule, the critic, what a second reaches."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from avvp.errors import AvvpError
from avvp.events import SEGMENTS
from avvp.figures import MODALITY_COLOURS, TRUTH_COLOUR
from avvp.models.cross_modal import reversal_strength

SYSTEM_STYLES: tuple[dict[str, object], ...] = (
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#009E73", "linestyle": ":", "marker": "^"},
    {"color": "#CC79A7", "linestyle": "-.", "marker": "D"},
)


def reversal_schedules(*, epochs: Sequence[int], steps: int = 50) -> Figure:
    """The strength of the reversal over a training, as released and as intended.

    Args:
        epochs: trainings of so many epochs each; the intended schedule is the same for all.
        steps: points an epoch.
    """
    figure, ax = plt.subplots(figsize=(7, 3.2))
    # Of the released schedule a line a length; all of them belong to one kind and one colour.
    for count, line in zip(epochs, cycle(("-", "--", "-.")), strict=False):
        done = torch.linspace(0, 1, count * steps + 1).tolist()
        strengths = [reversal_strength(x, epochs=count) for x in done]
        told = f"as released, {count} epochs: starts at {strengths[0]:.2f}"
        ax.plot([100 * x for x in done], strengths, line, color="#D55E00", label=told)
    done = torch.linspace(0, 1, 401).tolist()
    strengths = [reversal_strength(x, epochs=1, schedule="intended") for x in done]
    told = "as intended, any length: starts at 0.00"
    ax.plot([100 * x for x in done], strengths, ":", color="#0072B2", linewidth=2.4, label=told)
    ax.set(
        xlabel="share of the training that lies behind (%)",
        ylabel=r"strength $\alpha$ (factor)",
        xlim=(0, 100),
        ylim=(0, 1.04),
    )
    ax.grid(axis="y")
    ax.legend(loc="lower right")
    return figure


def influence_maps(
    maps: Mapping[str, Tensor], *, ylabel: str, xlabel: str, colour_label: str
) -> Figure:
    """How far a change in one second reaches: a row a changed second, a column where it arrives.

    Args:
        maps: title of a network -> (T, T) of changes; row: what was changed, column: where.
        ylabel, xlabel: what was changed, and where the change was measured.
        colour_label: of the changes, with their unit.

    Raises:
        AvvpError: there is no map, or one has another shape.
    """
    fields = {title: torch.as_tensor(field) for title, field in maps.items()}
    if not fields:
        raise AvvpError("There is no map to draw: give one (T, T) tensor a network.")
    for title, field in fields.items():
        if field.shape != (SEGMENTS, SEGMENTS):
            raise AvvpError(
                f"{title} has a map of shape {tuple(field.shape)}; expected "
                f"({SEGMENTS}, {SEGMENTS}), a row a changed second."
            )
    most = max(field.max().item() for field in fields.values())
    figure, axes = plt.subplots(1, len(fields), figsize=(7, 3.1), sharey=True, squeeze=False)
    for ax, (title, field) in zip(axes[0], fields.items(), strict=True):
        image = ax.imshow(field.numpy(), norm=PowerNorm(0.5, 0, most))
        ax.set_title(title, fontsize=9)
        ax.set(xlabel=xlabel, xticks=range(0, SEGMENTS, 3), yticks=range(SEGMENTS))
        ax.tick_params(length=0)
    axes[0][0].set_ylabel(ylabel)
    bar = figure.colorbar(image, ax=axes[0].tolist(), shrink=0.72, pad=0.02)
    bar.set_label(colour_label)
    bar.outline.set_visible(False)
    return figure


Histories = Mapping[str, Sequence[Mapping[str, Sequence[float]]]]
"""Name of a system -> of each seed, columns as :func:`avvp.experiments.run` stores them."""


class _Panel(NamedTuple):
    """A column of histories to draw, and a level that says something about it."""

    column: str
    label: str
    scale: float = 1.0
    level: float | None = None
    told: str = ""  #: of the level
    above: bool = False  #: whether that stands above its line


def critic_curves(histories: Histories, *, title: str = "") -> Figure:
    """How often the discriminator is right, and its loss, by epoch: a line a seed.

    Args:
        histories: of each system, with ``epoch``, ``modality_accuracy`` and ``modality``.
        title: drawn above the panels.

    Raises:
        AvvpError: there is no system, or there are more than styles.
    """
    coin = math.log(2.0)
    figure = _by_epoch(
        histories,
        _Panel("modality_accuracy", "right guesses (%)", 100.0, 50.0, "guessing: 50 %"),
        _Panel("modality", "its loss (nats)", level=coin, told="guessing: ln 2"),
        title=title,
    )
    figure.axes[0].set_ylim(-3, 103)
    return figure


def learning_curves(histories: Histories, *, idle: float, title: str = "") -> Figure:
    """The joint loss and the validation score by epoch: a line a seed, a star at what was kept.

    Args:
        histories: of each system, with ``epoch``, ``video``, ``val/segment/type_av`` and, of
            whole trainings, ``selected_epoch``, one number.
        idle: the loss of who knows how frequent each class is and looks at no video.
        title: drawn above the panels.

    Raises:
        AvvpError: there is no system, or there are more than styles.
    """
    score = "val/segment/type_av"
    figure = _by_epoch(
        histories,
        _Panel("video", "joint loss (nats)", 1.0, idle, "classes by their frequency", above=True),
        _Panel(score, "validation Type@AV (%)"),
        title=title,
    )
    figure.axes[0].set_ylim(top=1.15 * figure.axes[0].get_ylim()[1])  # room for what is told
    for seeds, style in zip(histories.values(), SYSTEM_STYLES, strict=False):
        for history in seeds:
            if "selected_epoch" not in history:
                continue
            kept = int(history["selected_epoch"])
            place = (kept, float(history[score][kept - 1]))
            figure.axes[1].plot(*place, "*", color=style["color"], markersize=11, zorder=3)
    return figure


def _by_epoch(histories: Histories, *panels: _Panel, title: str) -> Figure:
    if not 0 < len(histories) <= len(SYSTEM_STYLES):
        raise AvvpError(f"Curves of 1 to {len(SYSTEM_STYLES)} systems, not {len(histories)}.")
    figure, axes = plt.subplots(1, len(panels), figsize=(7, 3.3))
    for ax, panel in zip(axes, panels, strict=True):
        for (name, seeds), style in zip(histories.items(), SYSTEM_STYLES, strict=False):
            for history in seeds:
                values = [panel.scale * float(value) for value in history[panel.column]]
                first = history is seeds[0]
                ax.plot(
                    history["epoch"],
                    values,
                    **style,
                    markersize=3.5,
                    linewidth=1.2,
                    label=name if first and ax is axes[0] else "_",
                )
        if panel.level is not None:
            ax.axhline(panel.level, color="#777777", linewidth=1, zorder=1)
            ax.annotate(
                panel.told,
                (0.99, panel.level),
                xycoords=("axes fraction", "data"),
                xytext=(0, 7 if panel.above else -3),
                textcoords="offset points",
                ha="right",
                va="bottom" if panel.above else "top",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=4,
            )
        ax.set(xlabel="epoch", ylabel=panel.label)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.set_ylim(bottom=0)
        ax.grid(axis="y")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def probabilities_over_time(
    panels: Sequence[tuple[str, str, Tensor, Mapping[str, Tensor]]], *, title: str = ""
) -> Figure:
    """What networks think of one class in each second of a video, above its annotation.

    Args:
        panels: of each: a heading, the modality (``"audio"`` or ``"visual"``), the annotated
            seconds (T,) bool, and name of a system -> probabilities (T,).
        title: drawn above the panels.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(7, 3.3), sharey=True, sharex=True, squeeze=False
    )
    middle = [t + 0.5 for t in range(SEGMENTS)]
    for ax, (heading, modality, truth, systems) in zip(axes[0], panels, strict=True):
        for (name, values), style in zip(systems.items(), SYSTEM_STYLES, strict=False):
            told = name if ax is axes[0][0] else "_"
            ax.plot(middle, values.tolist(), **style, markersize=3.5, linewidth=1.2, label=told)
        bars = [(t, 1) for t, on in enumerate(truth.tolist()) if on]
        ax.broken_barh(bars, (-0.13, 0.08), color=MODALITY_COLOURS[modality])
        ax.axhline(0.5, color=TRUTH_COLOUR, linewidth=0.8, zorder=1)
        ax.set_title(heading, fontsize=9)
        ax.set(xlim=(0, SEGMENTS), ylim=(-0.15, 1.03), xlabel="time in the video (s)")
        ax.set_xticks([0, 5, SEGMENTS])
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
        ax.grid(axis="y")
    axes[0][0].set_ylabel("probability of the class")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
