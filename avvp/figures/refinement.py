"""Figures of MA's label refinement: the exchange of tracks, and what it removed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch
from torch import Tensor

from avvp.events import SEGMENTS, segments_to_runs
from avvp.figures import MODALITY_COLOURS, MODALITY_NAMES, TRUTH_COLOUR, label_name

MODALITIES = ("audio", "visual")
FOREIGN = "#eeeeee"


def refinement_pipeline() -> Figure:
    """MA's second stage, drawn: a pair as it is, two exchanged pairs, and what is compared.

    The bars are made up; they show what the method hopes for.
    """
    figure, ax = plt.subplots(figsize=(7, 4.7))
    ax.set(xlim=(0, 14), ylim=(9.7, 0))
    ax.set_axis_off()
    ax.text(0.1, 0.35, "The video as it is", weight="bold", va="center")
    ax.text(5.6, 0.35, "Its tracks beside those of another video", weight="bold", va="center")
    ax.plot((4.9, 4.9), (0.1, 9.6), color="#999999", linewidth=0.8, linestyle=":")
    image, sound = "image $V^i$: a ball", "sound $A^i$: ball,\ncommentator"
    dog_image, dog_sound = "image $V^j$: a dog", "sound $A^j$: a dog"
    sure = (0.9, 0.9)
    _pair(ax, 0.1, 2.2, image, sound, foreign=None)
    ax.annotate("", (1.5, 4.4), (1.5, 3.5), arrowprops={"arrowstyle": "->"})
    ax.text(1.75, 3.95, r"$\phi$", va="center", fontsize=13)
    _bars(ax, 0.1, 4.9, {"Basketball": sure, "Speech": sure}, r"$\bar p^v,\ \bar p^a$")
    ax.text(2.5, 5.9, "Sure of both\nevents, twice:\nits label has\ntaught it so.", fontsize=9)
    ax.legend(
        handles=[
            Patch(facecolor=MODALITY_COLOURS["visual"], label="what the image says"),
            Patch(
                facecolor=MODALITY_COLOURS["audio"],
                edgecolor="white",
                hatch="////",
                label="what the sound says",
            ),
        ],
        loc="lower left",
        bbox_to_anchor=(-0.02, 0),
    )
    for y, tracks, foreign, ball, speech, letter, kept, found, then in (
        (
            *(2.2, (image, dog_sound), "audio", (0.9, 0.6), (0.15, 0.15), "a", "visual"),
            "Ball: at least one is sure.\nSpeech: neither is.",
            "Speech leaves the\nvisual target.",
        ),
        (
            *(6.9, (dog_image, sound), "visual", (0.6, 0.9), (0.3, 0.9), "v", "audio"),
            "Ball: at least one is sure.\nSpeech: so, too.",
            "The audio target\nkeeps both.",
        ),
    ):
        _pair(ax, 5.3, y, *tracks, foreign=foreign)
        ax.annotate("", (8.95, y), (8.25, y), arrowprops={"arrowstyle": "->"})
        ax.text(8.6, y - 0.35, r"$\phi$", ha="center", fontsize=13)
        title = f"$p_{letter}^v,\\ p_{letter}^a$, divided by $E_c$"
        _bars(ax, 9.2, y - 1.0, {"Basketball": ball, "Speech": speech}, title)
        ax.text(11.5, y - 0.45, found, fontsize=8, va="center", linespacing=1.3)
        words = ax.text(11.5, y + 0.75, then, fontsize=9, va="center", weight="bold")
        words.set_color(MODALITY_COLOURS[kept])
    return figure


def _pair(ax: Axes, x: float, y: float, image: str, sound: str, *, foreign: str | None) -> None:
    """An image track above a sound track, joined; one may be another video's."""
    for modality, text, top in (("visual", image, y - 1.25), ("audio", sound, y + 0.15)):
        borrowed = modality == foreign
        box = FancyBboxPatch(
            (x, top),
            2.85,
            1.1,
            boxstyle="round,pad=0.02,rounding_size=0.12",
            facecolor=FOREIGN if borrowed else "white",
            edgecolor=MODALITY_COLOURS[modality],
            hatch="...." if borrowed else None,
            linestyle="--" if borrowed else "-",
            linewidth=1.6,
        )
        ax.add_patch(box)
        words = ax.text(x + 1.42, top + 0.55, text, ha="center", va="center", fontsize=8.5)
        if borrowed:
            words.set_bbox({"facecolor": FOREIGN, "edgecolor": "none", "pad": 1.5})


def _bars(
    ax: Axes, x: float, y: float, classes: Mapping[str, tuple[float, float]], title: str
) -> None:
    """Two confidences a class, seen above heard, against a line at one half."""
    width = 2.0
    ax.text(x, y - 0.25, title, fontsize=8.5, va="center")
    for name, pair in classes.items():
        ax.text(x, y + 0.22, name, fontsize=8, va="center", color="#555555")
        for modality, value in zip(("visual", "audio"), pair, strict=True):
            y += 0.38
            ax.barh(
                y + 0.1,
                width * value,
                left=x,
                height=0.28,
                color=MODALITY_COLOURS[modality],
                hatch="////" if modality == "audio" else None,
                edgecolor="white",
            )
        y += 0.5
    ax.plot((x + width / 2,) * 2, (y - 1.75, y - 0.05), color=TRUTH_COLOUR, linewidth=1)
    ax.text(x + width / 2, y + 0.1, "0.5", fontsize=8, ha="center", va="center")


class Removal(NamedTuple):
    """What a second stage did to the labels of each class, one number a class (C,)."""

    labels: Sequence[float]
    absent: Sequence[float]  #: labels that the modality does not have
    right: Sequence[float]  #: those of them that were removed
    removed: Sequence[float]


def removals_by_class(removals: Mapping[str, Removal], *, title: str = "") -> Figure:
    """Shares of each class's labels that were removed, rightly and wrongly, a panel a modality.

    A diamond marks the share that should have gone.

    Args:
        removals: ``"audio"``, ``"visual"`` -> counts, means over seeds.
        title: drawn above the axes.
    """
    labels = torch.as_tensor(next(iter(removals.values())).labels).double()
    order = labels.argsort(descending=True, stable=True).tolist()
    figure, axes = plt.subplots(1, len(removals), figsize=(7, 6.4), sharey=True, squeeze=False)
    rows = range(len(order))
    for ax, (modality, counts) in zip(axes[0], removals.items(), strict=True):
        share = {
            name: [100 * float(values[c]) / max(float(counts.labels[c]), 1.0) for c in order]
            for name, values in counts._asdict().items()
        }
        wrong = [a - b for a, b in zip(share["removed"], share["right"], strict=True)]
        colour = MODALITY_COLOURS[modality]
        ax.barh(rows, share["right"], color=colour)
        ax.barh(
            rows,
            wrong,
            left=share["right"],
            facecolor="white",
            edgecolor=colour,
            hatch="////",
        )
        ax.plot(share["absent"], rows, "D", ls="", color=TRUTH_COLOUR, markersize=5)
        ax.set(
            xlim=(0, 100),
            ylim=(len(order) - 0.4, -0.6),
            xlabel="share of the class's labels (%)",
            title=f"not {MODALITY_NAMES[modality]}",
        )
        ax.grid(axis="x")
    axes[0, 0].set_yticks(rows, [f"{label_name(c)} ({labels[c]:.0f})" for c in order])
    grey = "#777777"
    figure.legend(
        handles=[
            Patch(facecolor=grey, label="removed, rightly"),
            Patch(facecolor="white", edgecolor=grey, hatch="////", label="removed, wrongly"),
            Line2D([], [], marker="D", ls="", color=TRUTH_COLOUR, label="should be removed"),
        ],
        loc="outside lower center",
        ncols=3,
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


class Curve(NamedTuple):
    """Recall and precision of a removal, in per cent, one pair a threshold; NaN where undefined."""

    recall: Sequence[float]
    precision: Sequence[float]


def removal_curves(
    curves: Mapping[str, Mapping[str, Sequence[Curve]]],
    cuts: Sequence[float],
    *,
    released: float,
    random: Mapping[str, float],
    title: str = "",
) -> Figure:
    """Precision over recall of the removal as the threshold moves, a panel a modality.

    Args:
        curves: name of a system -> modality -> one curve a seed.
        cuts: the thresholds, ascending; the first and the last are written beside the line.
        released: the threshold in use, ringed.
        random: modality -> the precision that removing labels at random would have, in per cent.
        title: drawn above the axes.
    """
    modalities = list(next(iter(curves.values())))
    figure, axes = plt.subplots(1, len(modalities), figsize=(7, 3.9), sharey=True, squeeze=False)
    mark = list(cuts).index(released)
    for ax, modality in zip(axes[0], modalities, strict=True):
        ax.axhline(random[modality], color="#777777", linestyle=":", linewidth=1.2)
        ax.annotate(
            "labels drawn at random",
            (0.99, random[modality]),
            xycoords=("axes fraction", "data"),
            xytext=(0, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            color="#555555",
        )
        colours = (MODALITY_COLOURS[modality], TRUTH_COLOUR)
        for (name, systems), colour, style in zip(
            curves.items(), colours, (("o", "-"), ("s", "--")), strict=False
        ):
            for n, curve in enumerate(systems[modality]):
                recall, precision = list(curve.recall), list(curve.precision)
                ax.plot(
                    recall,
                    precision,
                    marker=style[0],
                    linestyle=style[1],
                    color=colour,
                    markersize=3.5,
                    linewidth=1.1,
                    label="_" if n else name,
                )
                ax.plot(
                    recall[mark],
                    precision[mark],
                    "o",
                    markersize=11,
                    mfc="none",
                    mec="k",
                    label="_" if n or name != next(iter(curves)) else f"threshold {released:g}",
                )
                if n == 0 and name == next(iter(curves)):
                    for cut, x, y in ((cuts[k], recall[k], precision[k]) for k in (0, -1)):
                        ax.annotate(
                            f"{cut:g}",
                            (x, y),
                            xytext=(4, 5),
                            textcoords="offset points",
                            fontsize=8,
                            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                            zorder=4,
                        )
        ax.set(
            xlim=(0, 100),
            ylim=(0, 105),
            xlabel="recall: absent labels removed (%)",
            title=f"not {MODALITY_NAMES[modality]}",
        )
        ax.grid(axis="both")
    axes[0, 0].set_ylabel("precision: removed labels absent (%)")
    axes[0, 0].legend(loc="upper right", frameon=True)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def removal_against_error(
    cut: Mapping[str, Sequence[float]],
    removed: Mapping[str, Sequence[float]],
    absent: Mapping[str, Sequence[float]],
    *,
    title: str = "",
) -> Figure:
    """The share of a class's labels that goes, over the probability below which a label goes.

    Args:
        cut: modality -> (C,), the threshold times the relative error of the class; a class without
            error has 0 and is drawn at the left edge.
        removed: modality -> (C,), share of the class's labels that was removed, in per cent.
        absent: modality -> (C,), share that should have gone, in per cent.
        title: drawn above the axes.
    """
    figure, axes = plt.subplots(1, len(cut), figsize=(7, 3.9), sharey=True, squeeze=False)
    positive = [float(value) for values in cut.values() for value in values if value > 0]
    edge = min(positive, default=0.1) / 2
    for ax, modality in zip(axes[0], cut, strict=True):
        x = [max(float(value), edge) for value in cut[modality]]
        y, wanted = (list(map(float, shares[modality])) for shares in (removed, absent))
        colour = MODALITY_COLOURS[modality]
        ax.vlines(x, y, wanted, color="#bbbbbb", linewidth=0.8)
        ax.plot(x, wanted, "D", ls="", mfc="white", mec=TRUTH_COLOUR, label="should be removed")
        ax.plot(x, y, "o", ls="", color=colour, label="removed")
        most = [c for c in sorted(range(len(x)), key=lambda c: -y[c])[:3] if y[c] > 0]
        for place, c in enumerate(sorted(most, key=lambda c: x[c])):
            left = place == 0 or x[c] > 0.3  # away from its neighbour, and from the edge
            ax.annotate(
                label_name(c),
                (x[c], y[c]),
                xytext=(-7 if left else 7, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=8,
            )
        ax.set(
            xscale="log",
            xlim=(edge * 0.8, 0.8),
            ylim=(-3, 103),
            xlabel="a label goes below this probability",
            title=f"not {MODALITY_NAMES[modality]}",
        )
        ax.xaxis.set_major_formatter("{x:g}")
        ax.grid(axis="both")
        ax.legend(loc="upper left", frameon=True)
    axes[0, 0].set_ylabel("share of the class's labels (%)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


class RefinedVideo(NamedTuple):
    """A training video before and after refinement; ``true_`` (C, T) bool, the rest (C,) bool."""

    name: str
    weak: Tensor
    drop_audio: Tensor
    drop_visual: Tensor
    true_audio: Tensor
    true_visual: Tensor


def refined_labels(videos: Sequence[RefinedVideo], *, title: str = "") -> Figure:
    """Labels of videos before and after refinement, beside the seconds in which they hold.

    Every label of a video has a row; on the left is what is heard and what became of the audio
    label, on the right what is seen and what became of the visual one.
    """
    present = [video.weak.nonzero().flatten().tolist() for video in videos]
    rows = [max(len(classes), 1) for classes in present]
    figure, axes = plt.subplots(
        len(videos),
        2,
        figsize=(7, 0.9 + 0.75 * len(videos) + 0.52 * sum(rows)),
        gridspec_kw={"height_ratios": rows},
        squeeze=False,
        sharex=True,
        sharey="row",
    )
    for row, (video, classes) in enumerate(zip(videos, present, strict=True)):
        for ax, modality in zip(axes[row], MODALITIES, strict=True):
            true = getattr(video, f"true_{modality}")
            dropped = getattr(video, f"drop_{modality}")
            colour = MODALITY_COLOURS[modality]
            for y, c in enumerate(classes):
                runs = segments_to_runs(true[c][None, None])
                bars = [(run.onset, run.offset - run.onset) for run in runs]
                ax.broken_barh([(0, SEGMENTS)], (y - 0.12, 0.32), color="#eeeeee")
                ax.broken_barh(bars, (y - 0.12, 0.32), color=colour)
                told = _told(bool(dropped[c]), bool(true[c].any()))
                text = ax.text(0, y - 0.3, told, fontsize=8.5, va="center")
                if dropped[c]:
                    text.set(weight="bold", color=colour)
            ax.set(xlim=(0, SEGMENTS), ylim=(rows[row] - 0.6, -0.65))
            ax.set_xticks(range(0, SEGMENTS + 1, 2))
            ax.tick_params(axis="y", length=0)
            ax.spines["left"].set_visible(False)
        axes[row, 0].set_yticks(range(len(classes)), [label_name(c) for c in classes])
        axes[row, 0].set_title(video.name, fontsize=10)
    for ax, modality in zip(axes[-1], MODALITIES, strict=True):
        ax.set_xlabel(f"{MODALITY_NAMES[modality]}: time in the video (s)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def _told(dropped: bool, present: bool) -> str:
    if dropped:
        return "label dropped" + ("" if not present else ", though it is there")
    return "label kept" + ("" if present else ", though it is absent")
