"""Where events lie in the feature spaces of several methods: t-SNE pictures (Figure 4, MGN)."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from avvp.errors import AvvpError
from avvp.events import LABELS
from avvp.figures import MODALITY_NAMES, label_name

NAMED: tuple[str, ...] = ("Speech", "Dog")
"""The classes that MGN's text points at: named in every panel, with colours of their own."""

_NAMED_LOOKS = (("#D55E00", "o"), ("#009E73", "^"))
_LOOKS = (
    ("#0072B2", "s"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
    ("#F0E442", "X"),
    ("#000000", "*"),
    ("#009E73", "<"),
    ("#D55E00", ">"),
)


def looks(classes: list[int]) -> dict[int, tuple[str, str]]:
    """Colour and marker of each class, :data:`NAMED` classes first. Eight classes at most."""
    named = [LABELS.index(name) for name in NAMED if LABELS.index(name) in classes]
    others = [label for label in classes if label not in named]
    own = {LABELS.index(name): look for name, look in zip(NAMED, _NAMED_LOOKS, strict=True)}
    return {label: own[label] for label in named} | dict(zip(others, _LOOKS, strict=False))


def event_scatter(spaces: Mapping[str, Mapping[str, np.ndarray]], *, title: str = "") -> Figure:
    """t-SNE of annotated events: columns are methods, rows what is heard and what is seen.

    A class has a colour and a marker. Above each panel stands the purity: the mean share of an
    event's nearest neighbours in feature space, not in the picture, that have its class.

    Args:
        spaces: name of a method -> what :func:`avvp.embedding.event_embedding` returns.
        title: drawn above the axes.

    Raises:
        AvvpError: the methods do not show the same classes, or more than eight.
    """
    shown = {name: sorted(space["classes"].tolist()) for name, space in spaces.items()}
    first, *others = shown.values()
    if any(classes != first for classes in others):
        raise AvvpError(f"{', '.join(shown)} show different classes; draw them apart.")
    if len(first) > len(_LOOKS):
        raise AvvpError(f"There are {len(_LOOKS)} markers, too few for {len(first)} classes.")
    style = looks(first)
    figure, axes = plt.subplots(2, len(spaces), figsize=(7, 5.6), squeeze=False)
    for column, (name, space) in enumerate(spaces.items()):
        for ax, modality in zip(axes[:, column], ("audio", "visual"), strict=True):
            xy, label = space[f"{modality}_xy"], space[f"{modality}_label"]
            for c, (colour, marker) in style.items():
                ax.scatter(
                    *xy[label == c].T, s=16, c=colour, marker=marker, edgecolors="white", lw=0.3
                )
            for c in style:
                if LABELS[c] in NAMED and (label == c).any():
                    _name(ax, xy[label == c], label_name(c), style[c][0])
            ax.set_title(
                f"{name}, {MODALITY_NAMES[modality]}\npurity {space[f'{modality}_purity']:.2f}",
                fontsize=9,
            )
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(True)
    for ax in axes[-1]:
        ax.set_xlabel("t-SNE 1 (no unit)", fontsize=9)
    for ax in axes[:, 0]:
        ax.set_ylabel("t-SNE 2 (no unit)", fontsize=9)
    figure.legend(
        handles=[
            Line2D([], [], color=colour, marker=marker, linestyle="", label=label_name(c))
            for c, (colour, marker) in style.items()
        ],
        loc="outside lower center",
        ncols=4,
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def _name(ax: plt.Axes, points: np.ndarray, name: str, colour: str) -> None:
    """Write the name of a class beside its most central event."""
    middle = np.median(points, axis=0)
    nearest = points[((points - middle) ** 2).sum(axis=1).argmin()]
    text = ax.annotate(name, nearest, fontsize=8, weight="bold", color=colour, ha="center")
    text.set_bbox({"fc": "white", "ec": colour, "alpha": 0.85, "pad": 1.0, "lw": 0.6})
