"""What MGN's score map does to the seconds of a video, and whether a score knows the time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from avvp.events import SEGMENTS
from avvp.figures import MODALITY_COLOURS, MODALITY_NAMES

WINDOW_COLOUR = "#E69F00"


class FactorOverTime(NamedTuple):
    """One class in one modality of one video: its score map beside the annotation."""

    name: str  #: of the class
    modality: str  #: "audio" or "visual"
    factor: Tensor  #: (T,) what the video score is multiplied by
    annotated: Tensor  #: (T,) bool


def narrow_window(
    bounds: tuple[float, float],
    scores: Mapping[str, Sequence[float]],
    pairs: Sequence[FactorOverTime],
    *,
    threshold: float = 0.5,
    title: str = "",
) -> Figure:
    """Where a factor within ``bounds`` lets the decision change over time, and what is there.

    Top left, the segment scores that a video score can lead to; the strip marks the video scores
    whose segment scores can lie on both sides of the threshold. Below it, how many trained scores
    there are. On the right, the factor itself in a few cases, the annotated seconds beneath.

    Args:
        bounds: the least and the largest factor.
        scores: modality -> number of video scores in equal bins over [0, 1].
        pairs: what to show on the right.
        threshold: of the segment score.
        title: drawn above the axes.
    """
    least, most = bounds
    window = (threshold / most, threshold / least)
    figure = plt.figure(figsize=(7, 5.2))
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))

    above, below = left.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    score = torch.linspace(0, 1, 101).numpy()
    above.fill_between(score, least * score, most * score, color="#0072B2", alpha=0.35, lw=0)
    above.plot(score, score, ":", color="#1a1a1a", linewidth=1)
    above.axhline(threshold, color="#1a1a1a", linewidth=1)
    above.annotate(f"threshold {threshold:g}", (0.01, threshold + 0.02), fontsize=8)
    above.annotate("video score itself", (0.99, 0.68), fontsize=8, ha="right")
    above.annotate("seconds\ncan differ", (sum(window) / 2, 0.9), fontsize=8, ha="center")
    for x, text, side in (
        (window[0] - 0.02, "off in\nall seconds", "right"),
        (window[1] + 0.02, "on in\nall seconds", "left"),
    ):
        above.annotate(text, (x, 0.06), fontsize=8, ha=side)
    above.set(ylabel="segment scores", ylim=(0, most))
    for (modality, counts), style in zip(scores.items(), ("-", "--"), strict=False):
        edges = [place / len(counts) for place in range(len(counts) + 1)]
        colour = MODALITY_COLOURS[modality]
        below.stairs(counts, edges, color=colour, ls=style, lw=1.5, label=MODALITY_NAMES[modality])
    below.set(xlabel="video score of a class", ylabel="classes of videos", xlim=(0, 1))
    below.set_yscale("log")
    if scores:
        below.legend(loc="upper right")
    for ax in (above, below):
        ax.axvspan(*window, color=WINDOW_COLOUR, alpha=0.5, lw=0)
    above.set_title("decision by video score")

    rows = right.subplots(max(len(pairs), 1), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, pair in zip(rows, pairs, strict=False):
        colour = MODALITY_COLOURS[pair.modality]
        ax.stairs(pair.factor.tolist(), range(SEGMENTS + 1), baseline=None, color=colour, lw=1.5)
        seconds = pair.annotated.nonzero().flatten().tolist()
        ax.broken_barh([(second, 1) for second in seconds], (1.0, 0.025), color=colour)
        ax.set_title(f"{pair.name} ({MODALITY_NAMES[pair.modality]})", fontsize=9)
    if not pairs:
        rows[0].text(SEGMENTS / 2, (1 + most) / 2, "nothing to show", ha="center")
    for ax in rows:
        for bound in bounds:
            ax.axhline(bound, color="#777777", linestyle="--", linewidth=0.8)
        ax.set(xlim=(0, SEGMENTS), ylim=(0.99, most + 0.03))
    rows[-1].set(xlabel="time in the video (s)")
    rows[-1].set_xticks(range(0, SEGMENTS + 1, 2))
    right.supylabel("factor (bars: annotated seconds)", fontsize=10)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def order_of_seconds(
    systems: Mapping[str, Mapping[str, tuple[float, float | None]]], *, title: str = ""
) -> Figure:
    """How often a second with an event scores above one without: a dot a system and modality.

    Args:
        systems: name -> modality -> mean and half-width of its interval (None: none), from 0 to 1.
        title: drawn above the axes.
    """
    figure, ax = plt.subplots(figsize=(7, 1.3 + 0.45 * len(systems)))
    for place, (modality, marker) in enumerate((("audio", "o"), ("visual", "s"))):
        found = [
            (row + 0.24 * (place - 0.5), *numbers[modality])
            for row, numbers in enumerate(systems.values())
            if modality in numbers
        ]
        ax.errorbar(
            [mean for _, mean, _ in found],
            [y for y, _, _ in found],
            xerr=[half or 0.0 for _, _, half in found],
            fmt=marker,
            color=MODALITY_COLOURS[modality],
            elinewidth=1.2,
            markersize=6,
            label=MODALITY_NAMES[modality],
        )
    ax.axvline(0.5, color="#1a1a1a", linewidth=1)
    ax.annotate("chance", (0.5, -0.45), xytext=(4, -8), textcoords="offset points", fontsize=8)
    ax.set(
        xlim=(0, 1),
        ylim=(len(systems) - 0.5, -0.5),
        xlabel="share of (on, off) pairs of seconds in the right order",
    )
    ax.set_yticks(range(len(systems)), systems)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    figure.legend(loc="outside lower left", ncols=2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
