"""How many events methods make up and how many they find, by modality (MGN-F3, SUPP-F1)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from avvp.errors import AvvpError
from avvp.figures import TRUTH_COLOUR

GROUPS: tuple[str, ...] = ("audio", "visual", "audio-visual")
FACES: tuple[tuple[str, str], ...] = (("#999999", ""), ("#E69F00", "////"), ("#CC79A7", "...."))
"""Colour and hatch of the first, the second and the third method."""


def bars_by_modality(
    values: Mapping[str, Sequence[Sequence[float]]],
    *,
    ylabel: str,
    title: str = "",
    decimals: int = 0,
) -> Figure:
    """A group of bars a modality, a bar a method: means over seeds, whiskers from least to most.

    The mean stands above each bar.

    Args:
        values: name of a method -> (seeds, 3): audio, visual, audio-visual. Three methods at most.
        ylabel: what is counted, with its unit.
        title: drawn above the axes.
        decimals: of the numbers above the bars.

    Raises:
        AvvpError: there are too many methods, or values are not (seeds, 3).
    """
    if not 1 <= len(values) <= len(FACES):
        raise AvvpError(f"Bars are for 1 to {len(FACES)} methods, not {len(values)}.")
    width = 0.8 / len(values)
    figure, ax = plt.subplots(figsize=(7, 3.4))
    for place, ((name, by_seed), (colour, hatch)) in enumerate(
        zip(values.items(), FACES, strict=False)
    ):
        table = np.asarray(by_seed, dtype=float)
        if table.ndim != 2 or table.shape[1] != len(GROUPS) or not len(table):
            raise AvvpError(f"{name} has values of shape {table.shape}; expected (seeds, 3).")
        x = np.arange(len(GROUPS)) + width * (place - (len(values) - 1) / 2)
        means = table.mean(axis=0)
        ax.bar(x, means, 0.9 * width, color=colour, hatch=hatch, edgecolor="white", label=name)
        ax.vlines(x, table.min(axis=0), table.max(axis=0), color=TRUTH_COLOUR, linewidth=1.6)
        for at, mean, top in zip(x, means, table.max(axis=0), strict=True):
            ax.annotate(
                f"{mean:,.{decimals}f}",
                (at, top),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=9,
            )
    ax.set(ylabel=ylabel)
    ax.set_xticks(range(len(GROUPS)), GROUPS)
    ax.tick_params(axis="x", length=0)
    ax.margins(y=0.1)
    ax.set_ylim(bottom=0)
    ax.grid(axis="y")
    figure.legend(loc="outside upper right", ncols=len(values))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
