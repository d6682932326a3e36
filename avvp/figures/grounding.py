"""Figures of grounding: the graph of a video's seconds, cosines of its tokens, scores by class."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc
from torch import Tensor

from avvp.events import LABELS, SEGMENTS
from avvp.figures import MODALITY_COLOURS, MODALITY_NAMES, TRUTH_COLOUR, label_name
from avvp.figures.contrast import COLOURS, DASHES, MARKERS

ALONE = "#999999"


def seconds_graph(
    joined: Tensor, together: Tensor, truth: tuple[Tensor, Tensor], *, title: str = ""
) -> Figure:
    """The graph behind the grounding labels of one video (Figure 5, Cross-Modal learning).

    Seconds are nodes, similar ones are joined by arcs; a component has a letter, a colour and a
    marker of its own. Below, what is heard and seen; on the right, the labels.

    Args:
        joined: (T, T) bool, the edges, above the diagonal.
        together: (T, T) bool, the labels.
        truth: ``(audio, visual)``, bool (C, T).
        title: drawn above the axes.
    """
    figure, axes = plt.subplot_mosaic(
        [["graph", "labels"], ["truth", "labels"]],
        figsize=(7, 3.9),
        width_ratios=(1.55, 1),
        height_ratios=(1.25, 1),
    )
    components = _components(together)
    graph = axes["graph"]
    for start, end in joined.nonzero().tolist():
        colour, _, _ = _look(components, start)
        width = end - start
        graph.add_patch(
            Arc(
                ((start + end + 1) / 2, 0),
                width,
                2 * width,
                theta2=180,
                color=colour,
                linewidth=1.2,
            )
        )
    for second in range(len(together)):
        colour, marker, letter = _look(components, second)
        graph.plot(second + 0.5, 0, marker, color=colour, markersize=13, clip_on=False)
        graph.text(second + 0.5, -0.05, letter, ha="center", va="center", color="white", fontsize=8)
    reach = max((end - start for start, end in joined.nonzero().tolist()), default=1)
    graph.set(xlim=(0, SEGMENTS), ylim=(-0.9, reach * 1.1 + 0.3))
    graph.set_axis_off()
    _lanes(axes["truth"], truth)
    labels = axes["labels"]
    labels.imshow(torch.zeros(together.shape).numpy(), cmap="Greys", vmin=0, vmax=1)
    for row, column in together.nonzero().tolist():
        colour, _, letter = _look(components, row)
        labels.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, color=colour, linewidth=0))
        labels.text(column, row, letter, ha="center", va="center", color="white", fontsize=8)
    ticks = range(len(together))
    labels.set(xlabel="second", ylabel="second", xticks=ticks, yticks=ticks, title="labels")
    labels.tick_params(length=0, labelsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def _components(together: Tensor) -> list[int | None]:
    """The number of each second's component, in order of time; None where it is alone."""
    first = together.int().argmax(dim=1).tolist()
    large = sorted({f for f in first if together[f].sum() > 1})
    return [large.index(f) if f in large else None for f in first]


def _look(components: Sequence[int | None], second: int) -> tuple[str, str, str]:
    """Colour, marker and letter of a second."""
    number = components[second]
    if number is None:
        return ALONE, "o", ""
    return COLOURS[number], MARKERS[number], "ABCDEF"[number]


def _lanes(ax: Axes, truth: tuple[Tensor, Tensor]) -> None:
    rows = [
        (modality, c, mask[c])
        for modality, mask in zip(("audio", "visual"), truth, strict=True)
        for c in range(len(LABELS))
        if mask[c].any()
    ]
    for y, (modality, _, mask) in enumerate(rows):
        for second in mask.nonzero().flatten().tolist():
            colour = MODALITY_COLOURS[modality]
            ax.barh(y, 1, left=second, height=0.7, color=colour, edgecolor=colour, linewidth=0.5)
    names = [f"{label_name(c)}, {MODALITY_NAMES[modality]}" for modality, c, _ in rows]
    ax.set_yticks(range(len(rows)), names, fontsize=8)
    ax.set(xlim=(0, SEGMENTS), ylim=(max(len(rows), 1) - 0.5, -0.5), xlabel="time (s)")
    ax.set_xticks(range(0, SEGMENTS + 1, 2))
    ax.tick_params(axis="y", length=0)


def cosines_by_label(
    panels: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]], *, margin: float, title: str = ""
) -> Figure:
    """How similar the tokens of two seconds are: those that belong together and the others.

    Args:
        panels: kind of pairs -> name of a network -> cosines of pairs that belong together, and of
            others, each of any shape.
        margin: of the hinge loss, a dotted line.
        title: drawn above the axes.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(7, 3.6), sharey=True, squeeze=False)
    bins = torch.linspace(-1, 1, 41)
    for ax, (kind, networks) in zip(axes[0], panels.items(), strict=True):
        for n, (network, (near, far)) in enumerate(networks.items()):
            for cosines, dashes, what in ((near, "-", "together"), (far, "--", "apart")):
                counted = torch.histogram(cosines.flatten().float().clamp(-1, 1), bins=bins).hist
                ax.stairs(
                    (100 * counted / counted.sum()).tolist(),
                    bins.tolist(),
                    color=COLOURS[n],
                    linestyle=dashes,
                    linewidth=1.6,
                    label=f"{network}: {what}",
                )
        ax.axvline(margin, color=TRUTH_COLOUR, linestyle=":", linewidth=1)
        ax.set(title=kind, xlabel="cosine", xlim=(-0.5, 1))
        ax.grid(axis="y")
    axes[0, 0].set_ylabel("share of the pairs (%)")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def grounding_curves(
    losses: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float], int]]],
    scores: Mapping[str, Sequence[Sequence[float]]],
    *,
    title: str = "",
) -> Figure:
    """Pre-training above, fine-tuning below, by epoch: one line a seed.

    Args:
        losses: name of a system -> of each seed, the loss in training, the loss on held-out videos,
            and the epoch whose weights were kept, counted from 1.
        scores: name of a system -> of each seed, validation ``Type@AV`` (%) while fine-tuning.
        title: drawn above the axes.
    """
    names = list(dict.fromkeys((*losses, *scores)))
    figure, axes = plt.subplot_mosaic([["train", "val"], ["score", "score"]], figsize=(7, 5.4))
    look = {
        name: {
            "color": COLOURS[n],
            "linestyle": DASHES[n],
            "marker": MARKERS[n],
            "markersize": 4,
            "linewidth": 1.2,
        }
        for n, name in enumerate(names)
    }
    for name, seeds in losses.items():
        for train, val, kept in seeds:
            axes["train"].plot(range(1, len(train) + 1), list(train), **look[name])
            axes["val"].plot(range(1, len(val) + 1), list(val), **look[name])
            axes["val"].plot(kept, val[kept - 1], "o", markersize=11, mfc="none", mec="k")
    for name, seeds in scores.items():
        for n, values in enumerate(seeds):
            label = "_" if n else name
            axes["score"].plot(range(1, len(values) + 1), list(values), label=label, **look[name])
    axes["train"].set(ylabel="loss", xlabel="epoch of pre-training", title="in training")
    axes["val"].set(xlabel="epoch of pre-training", title="on held-out videos (ring: kept)")
    axes["score"].set(ylabel="validation Type@AV (%)", xlabel="epoch of fine-tuning")
    for ax in axes.values():
        ax.grid(axis="y")
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes["score"].legend(loc="best", fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def systems_by_class(
    scores: Mapping[str, Mapping[str, Tensor]], *, xlabel: str, title: str = ""
) -> Figure:
    """Scores of systems class by class, a panel a modality (Figure 4, Cross-Modal learning).

    A bar from the worst seed to the best runs through each mean. Classes are sorted by the first
    system in the first panel; a class without a score (NaN) has no mark.

    Args:
        scores: modality -> name of a system -> (seeds, C).
        xlabel: what is scored, with its unit.
        title: drawn above the axes.
    """
    first = next(iter(next(iter(scores.values())).values()))
    order = first.double().mean(0).nan_to_num(-1).argsort(descending=True, stable=True)
    figure, axes = plt.subplots(1, len(scores), figsize=(7, 6.6), sharey=True, squeeze=False)
    for ax, (modality, systems) in zip(axes[0], scores.items(), strict=True):
        for place, (name, table) in enumerate(systems.items()):
            y = [row + 0.26 * (place - (len(systems) - 1) / 2) for row in range(len(order))]
            values = table.double()[:, order]
            low, high, mean = (x.tolist() for x in (values.amin(0), values.amax(0), values.mean(0)))
            ax.hlines(y, low, high, color=COLOURS[place], linewidth=1.2, alpha=0.7)
            ax.plot(mean, y, MARKERS[place], color=COLOURS[place], markersize=5, label=name)
        ax.set(title=MODALITY_NAMES[modality], xlabel=xlabel, xlim=(-2, 102))
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="both")
    axes[0, 0].set_ylim(len(order) - 0.5, -0.5)
    axes[0, 0].set_yticks(range(len(order)), [label_name(c) for c in order.tolist()])
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
