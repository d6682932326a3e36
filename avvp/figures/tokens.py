"""How well class tokens are told apart while MGN trains (Figure 2 of MGN's supplement)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from avvp.figures import MODALITY_COLOURS

SCORES: dict[str, tuple[str, str, float]] = {
    "precision": ("-", "s", 10),
    "recall": ("--", "o", 7),
    "f1": (":", ".", 6),
}
"""Line, marker and size of a score; the sizes leave equal scores visible."""


def token_curves(
    histories: Sequence[Mapping[str, Sequence[float]]],
    *,
    printed_epoch: float,
    printed_epochs: int,
    title: str = "",
) -> Figure:
    """Precision, recall and F1 of the class tokens by epoch, a panel a modality, a line a seed.

    A dotted vertical line stands at the same share of the training as the epoch that the paper
    names.

    Args:
        histories: of each seed, columns ``epoch`` and ``token_audio_precision``, ``_recall``,
            ``_f1``, and the same of ``token_visual``, as :func:`avvp.experiments.run` stores them.
        printed_epoch: where the paper finds all scores close to 1.
        printed_epochs: how long the paper trains.
        title: drawn above the axes.
    """
    epochs = max(len(history["epoch"]) for history in histories)
    mark = epochs * printed_epoch / printed_epochs
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True)
    for ax, modality in zip(axes, ("audio", "visual"), strict=True):
        for score, (line, marker, size) in SCORES.items():
            for history in histories:
                ax.plot(
                    history["epoch"],
                    history[f"token_{modality}_{score}"],
                    line,
                    marker=marker,
                    markersize=size,
                    markerfacecolor="none",
                    linewidth=1.2,
                    color=MODALITY_COLOURS[modality],
                    label=score.replace("f1", "F1") if history is histories[0] else "_",
                )
        ax.axvline(mark, color="#777777", linestyle=":", linewidth=1.2)
        ax.annotate(
            f"epoch {printed_epoch:g} of {printed_epochs} in print:\nhere {mark:g} of {epochs}",
            (mark, 0.04),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            color="#555555",
        )
        ax.set(title=f"{modality} tokens", xlabel="epoch", xlim=(0.5, epochs + 0.5), ylim=(0, 1.08))
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.grid(axis="y")
        ax.legend(loc="center right")
    axes[0].set_ylabel("mean over the 25 classes (0 to 1)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
