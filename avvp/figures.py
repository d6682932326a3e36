"""One style for every figure of the book, and one function a kind of figure.

Figures are for a column of 700 pixels: make them 7 inches wide. Colours come from Okabe and Ito's
palette, and no figure tells by colour alone what a label or a hatch does not tell too.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from avvp.errors import AvvpError
from avvp.events import LABELS, SEGMENTS, segments_to_runs

MODALITY_COLOURS: dict[str, str] = {
    "audio": "#D55E00",
    "visual": "#0072B2",
    "audio_visual": "#009E73",
}
"""The colour of what is heard, seen, and both, in every figure."""

TRUTH_COLOUR = "#333333"
"""The colour of annotations and of published numbers."""

MODALITY_NAMES: dict[str, str] = {
    "audio": "heard",
    "visual": "seen",
    "audio_visual": "heard and seen",
}


def use_style() -> None:
    """Give every figure that follows the style of the book; in a notebook, sharp SVG output."""
    with as_file(files("avvp") / "package_data" / "avvp.mplstyle") as style:
        plt.style.use(style)
    if "ipykernel" in sys.modules:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # A date in the file would change its bytes at every execution.
        set_matplotlib_formats("svg", metadata={"Date": None})


def label_name(label: int | str) -> str:
    """A class as a reader writes it: ``"Frying_(food)"`` becomes ``"Frying (food)"``."""
    return (LABELS[label] if isinstance(label, int) else label).replace("_", " ")


def _lanes(pair: tuple[Tensor, Tensor], modalities: Sequence[str]) -> dict[str, Tensor]:
    """One video's decisions, bool (C, T), by modality."""
    audio, visual = (torch.as_tensor(mask).bool() for mask in pair)
    if audio.shape != (len(LABELS), SEGMENTS) or visual.shape != audio.shape:
        raise AvvpError(
            f"A timeline shows one video: two masks of shape ({len(LABELS)}, {SEGMENTS}), "
            f"not {tuple(audio.shape)} and {tuple(visual.shape)}."
        )
    lanes = {"audio": audio, "visual": visual, "audio_visual": audio & visual}
    return {modality: lanes[modality] for modality in modalities}


def timeline(
    truth: tuple[Tensor, Tensor],
    predictions: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    *,
    modalities: Sequence[str] = ("audio", "visual"),
    truth_name: str = "annotation",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """What is heard and seen in one video, second by second: the annotation and any predictions.

    A lane is one class in one modality; it is drawn if the annotation or any prediction marks it.
    In a lane each system has a row: a filled second agrees with the annotation, a hatched one is
    not in it, and an empty one beneath a filled annotation is a miss.

    Args:
        truth: ``(audio, visual)``, bool (C, T).
        predictions: name of a system -> ``(audio, visual)``, bool (C, T).
        modalities: which lanes, among ``"audio"``, ``"visual"``, ``"audio_visual"``.
        truth_name: the label of the annotation's rows.
        title: drawn above the axes.
        ax: axes to draw on; by default a new figure as high as its rows.
    """
    true = _lanes(truth, modalities)
    systems = {name: _lanes(pair, modalities) for name, pair in (predictions or {}).items()}
    lanes = [
        (modality, label)
        for modality in modalities
        for label in range(len(LABELS))
        if any(masks[modality][label].any() for masks in (true, *systems.values()))
    ]
    rows = max(len(lanes), 1) * (len(systems) + 2 if systems else 1)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, (1.0 if systems else 0.75) + 0.24 * rows))
    figure = ax.figure
    ticks, names, y = [], [], 0
    for modality, label in lanes:
        colour = MODALITY_COLOURS[modality]
        lane = f"{label_name(label)} ({MODALITY_NAMES[modality]})"
        if systems:
            ax.text(0, y, lane, color=colour, weight="bold", va="center")
            y += 1
        for name, masks in ((truth_name if systems else lane, true), *systems.items()):
            right = masks[modality][label] & true[modality][label]
            wrong = masks[modality][label] & ~true[modality][label]
            height = (y - 0.4, 0.8)
            ax.broken_barh(_bars(right), height, color=colour)
            ax.broken_barh(_bars(wrong), height, facecolor="white", edgecolor=colour, hatch="////")
            ticks.append(y)
            names.append(name)
            y += 1
    if not lanes:
        ax.text(SEGMENTS / 2, 0, "no event", ha="center", va="center")
    ax.set(
        xlim=(0, SEGMENTS),
        ylim=(max(y, 1) - 0.4, -0.6),
        xlabel="time in the video (s)",
        title=title,
    )
    ax.set_xticks(range(SEGMENTS + 1))
    ax.set_yticks(ticks, names)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    if systems:
        ax.legend(
            handles=[
                Patch(facecolor="#777777", label="agrees with the annotation"),
                Patch(facecolor="white", edgecolor="#777777", hatch="////", label="not annotated"),
            ],
            ncols=2,
            loc="upper right",
            bbox_to_anchor=(1, -0.45 / figure.get_figheight()),
        )
    return figure


def _bars(mask: Tensor) -> list[tuple[int, int]]:
    """Seconds that are on, bool (T,), as (start, width) pairs."""
    return [(run.onset, run.offset - run.onset) for run in segments_to_runs(mask[None, None])]
