"""Figures of the older methods: what a pooling blames, tuned thresholds, scores beside print."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from avvp.figures import MODALITY_COLOURS, MODALITY_NAMES, TRUTH_COLOUR, label_name
from avvp.results import Estimate


def pooling_slopes(
    course: Sequence[float], pooled: Mapping[str, tuple[float, Sequence[float]]]
) -> Figure:
    """One course of probabilities, and how far each pooling rule lets a second move the video.

    Args:
        course: the probabilities of T seconds.
        pooled: rule -> (the video's probability, its T slopes).
    """
    seconds = np.arange(len(course))
    figure, axes = plt.subplots(
        1 + len(pooled), 1, figsize=(7, 1.4 + 1.05 * len(pooled)), sharex=True
    )
    axes[0].bar(seconds, course, color=TRUTH_COLOUR, width=0.8)
    axes[0].set(ylim=(0, 1), ylabel="probability")
    for ax, (rule, (value, slopes)) in zip(axes[1:], pooled.items(), strict=True):
        up = [slope >= 0 for slope in slopes]
        bars = ax.bar(seconds, slopes, width=0.8, edgecolor="white")
        for bar, rises in zip(bars, up, strict=True):
            bar.set_facecolor(MODALITY_COLOURS["audio_visual" if rises else "audio"])
            bar.set_hatch("" if rises else "////")
        ax.axhline(0, color="#777777", linewidth=1)
        ax.set_title(f"{rule}: video {value:.2f}", fontsize=9, loc="left")
        # Each rule in its own scale: what counts is who gets how much of it.
        reach = max(map(abs, slopes))
        ax.set(ylim=(-0.45 * reach, 1.15 * reach), ylabel="slope")
    axes[-1].set_xticks(seconds, seconds + 1)
    axes[-1].set_xlabel("second")
    return figure


def class_thresholds(thresholds: np.ndarray) -> Figure:
    """The tuned threshold of every class, sorted: a dot for the mean over seeds, a bar their range.

    Args:
        thresholds: (S, C) of S seeds.
    """
    mean = thresholds.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    figure, ax = plt.subplots(figsize=(7, 5.4))
    spread = np.abs(thresholds[:, order] - mean[order])
    low, high = mean[order] - thresholds.min(0)[order], thresholds.max(0)[order] - mean[order]
    ax.errorbar(
        mean[order],
        range(len(order)),
        xerr=np.stack([low, high]) if spread.any() else None,
        fmt="o",
        color=MODALITY_COLOURS["audio"],
        elinewidth=1.4,
    )
    ax.axvline(0.5, color=TRUTH_COLOUR, linewidth=1, linestyle=":")
    ax.set(xlim=(0, 1), ylim=(-0.5, len(order) - 0.5), xlabel="threshold, in probability")
    ax.set_yticks(range(len(order)), [label_name(int(c)) for c in order])
    ax.grid(axis="x")
    return figure


def scores_beside_print(
    scores: Mapping[str, Mapping[str, tuple[float | None, Estimate | None]]], *, title: str = ""
) -> Figure:
    """Printed and measured scores of several methods: a panel a modality, a row a method.

    A method without an entry for a modality does not parse it, and the row says so.

    Args:
        scores: method -> modality -> (printed, measured); None: not printed, not run.
        title: drawn above the panels.
    """
    parsed = {modality for by_modality in scores.values() for modality in by_modality}
    modalities = [modality for modality in MODALITY_COLOURS if modality in parsed]
    dash = {"color": TRUTH_COLOUR, "marker": "|", "markersize": 15, "markeredgewidth": 2}
    figure, axes = plt.subplots(
        1, len(modalities), figsize=(7, 1.6 + 0.34 * len(scores)), sharey=True, squeeze=False
    )
    for ax, modality in zip(axes[0], modalities, strict=True):
        colour = MODALITY_COLOURS[modality]
        for y, by_modality in enumerate(scores.values()):
            if modality not in by_modality:
                blind = "does not listen" if modality == "audio" else "does not look"
                ax.text(2, y, blind, va="center", fontsize=8, style="italic")
                continue
            printed, measured = by_modality[modality]
            if printed is not None:
                ax.plot(printed, y, linestyle="", **dash, zorder=3)
            if measured is not None:
                ax.errorbar(
                    measured.mean, y, xerr=measured.half_width, fmt="o", color=colour, capsize=3
                )
        ax.set_title(f"what is {MODALITY_NAMES[modality]}", fontsize=9)
        ax.set(xlim=(0, 80), xlabel="F-score (%)")
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
    axes[0][0].set_yticks(range(len(scores)), list(scores))
    axes[0][0].set_ylim(len(scores) - 0.5, -0.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    figure.legend(
        handles=[
            Line2D([], [], linestyle="", **dash, label="printed, on LLP"),
            Line2D([], [], linestyle="-", color="#777777", marker="o", label="our runs"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    return figure
