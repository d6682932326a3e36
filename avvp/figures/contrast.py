"""Figures of contrastive learning across modalities: temperature, training, similarity in time."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from avvp.events import SEGMENTS
from avvp.figures import MODALITY_COLOURS, TRUTH_COLOUR

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vP"
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def by_temperature(
    panels: Mapping[str, Mapping[float, Sequence[float]]], *, own: int, xlabel: str
) -> Figure:
    """Values of the seconds of one video at several temperatures, a panel a quantity.

    Args:
        panels: label of the vertical axis -> temperature -> a value a second (T,).
        own: the second that is to be found, shaded.
        xlabel: what a second on the horizontal axis is.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(7, 3.3), squeeze=False)
    for ax, (quantity, lines) in zip(axes[0], panels.items(), strict=True):
        ax.axvspan(own, own + 1, color="#bbbbbb", alpha=0.5, linewidth=0)
        ax.axhline(0, color=TRUTH_COLOUR, linewidth=0.8)
        for n, (temperature, values) in enumerate(lines.items()):
            ax.plot(
                [second + 0.5 for second in range(len(values))],
                list(values),
                marker=MARKERS[n],
                linestyle=DASHES[n],
                linewidth=1.2,
                color=COLOURS[n],
                label=f"temperature {temperature:g}",
            )
        ax.set(xlabel=xlabel, ylabel=quantity, xlim=(0, SEGMENTS))
        ax.grid(axis="y")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 4))
    return figure


def contrastive_curves(
    terms: Mapping[str, Sequence[tuple[Sequence[int], Sequence[float]]]],
    scores: Mapping[str, Sequence[tuple[Sequence[int], Sequence[float]]]],
    *,
    chance: float,
    least: float,
    title: str = "",
) -> Figure:
    """The contrastive term above, validation ``Type@AV`` below, by epoch: one line a seed.

    Args:
        terms: name of a system -> of each seed, epochs and the term on training videos (nats).
        scores: name of a system -> of each seed, epochs and validation ``Type@AV`` (%).
        chance: the term of equal similarities.
        least: the least value that the term can take.
        title: drawn above the axes.
    """
    names = list(dict.fromkeys((*terms, *scores)))
    figure, (losses, below) = plt.subplots(2, 1, figsize=(7, 5.6), sharex=True)
    last = 1
    for ax, systems in ((losses, terms), (below, scores)):
        for name, seeds in systems.items():
            place = names.index(name)
            for n, (epochs, values) in enumerate(seeds):
                ax.plot(
                    list(epochs),
                    list(values),
                    color=COLOURS[place],
                    linestyle=DASHES[place],
                    marker=MARKERS[place],
                    markersize=4,
                    linewidth=1.2,
                    label="_" if n else name,
                )
                last = max(last, *epochs)
        ax.grid(axis="y")
        if systems:
            ax.legend(loc="best", ncols=2)
    for height, text in ((chance, "no preference: ln 10"), (least, "least possible")):
        losses.axhline(height, color="#777777", linestyle=":", linewidth=1)
        losses.annotate(
            text,
            (0.995, height),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8,
            color="#555555",
        )
    losses.set(ylabel="contrastive term (nats)", ylim=(0, chance * 1.18))
    below.set(ylabel="validation Type@AV (%)", xlabel="epoch", xlim=(0.5, last + 0.5))
    below.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def similarity_maps(
    maps: Mapping[str, Tensor], truth: tuple[Tensor, Tensor], *, title: str = ""
) -> Figure:
    """Cosines of every second of sound with every second of image in one video, a panel a network.

    A ring marks the largest of each row, a thin diagonal the seconds that belong together, and
    dashed lines the times at which something annotated begins or ends: across for what is heard,
    upright for what is seen.

    Args:
        maps: name of a network -> (T, T), rows audio.
        truth: of the video, ``(audio, visual)``, bool (C, T).
        title: drawn above the axes.
    """
    changes = [_changes(mask) for mask in truth]
    figure, axes = plt.subplots(
        1, len(maps), figsize=(7, 1.6 + 5.6 / len(maps)), squeeze=False, sharey=True
    )
    values = {name: torch.as_tensor(cosines).float() for name, cosines in maps.items()}
    most = max(float(cosines.abs().max()) for cosines in values.values())
    for ax, (name, cosines) in zip(axes[0], values.items(), strict=True):
        image = ax.imshow(
            cosines.numpy(),
            vmin=-most,
            vmax=most,
            extent=(0, SEGMENTS, SEGMENTS, 0),
            aspect="equal",
        )
        ax.plot((0, SEGMENTS), (0, SEGMENTS), color="white", linewidth=0.8)
        rows = [row + 0.5 for row in range(len(cosines))]
        best = (cosines.argmax(dim=1) + 0.5).tolist()
        ax.plot(best, rows, "o", mfc="none", mec="white", mew=3, markersize=8)
        ax.plot(best, rows, "o", mfc="none", mec="black", mew=1.2, markersize=8)
        for time in changes[0]:
            ax.axhline(time, color=MODALITY_COLOURS["audio"], linestyle="--", linewidth=1.4)
        for time in changes[1]:
            ax.axvline(time, color="#56B4E9", linestyle="--", linewidth=1.4)
        ax.set(title=name, xlabel="time in the image (s)", xlim=(0, SEGMENTS), ylim=(SEGMENTS, 0))
        ax.set_xticks(range(0, SEGMENTS + 1, 2))
        ax.set_yticks(range(0, SEGMENTS + 1, 2))
    axes[0, 0].set_ylabel("time in the sound (s)")
    figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, label="cosine")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def _changes(mask: Tensor) -> list[int]:
    """The times inside the video at which a class of ``mask`` (C, T) begins or ends."""
    moved = (mask[:, 1:] != mask[:, :-1]).any(dim=0)
    return (moved.nonzero().flatten() + 1).tolist()
