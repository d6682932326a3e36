"""One style for every figure of the book, and one function a kind of figure.

Figures are for a column of 700 pixels: make them 7 inches wide. Colours come from Okabe and Ito's
palette, and no figure tells by colour alone what a label or a hatch does not tell too.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files

import matplotlib.pyplot as plt
import seaborn
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from avvp.errors import AvvpError
from avvp.events import LABELS, SEGMENTS, Run, runs_to_segments, segments_to_runs
from avvp.metrics import LEVELS, count

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


def _lanes(
    pair: tuple[Tensor | None, Tensor | None], modalities: Sequence[str]
) -> dict[str, Tensor]:
    """One video's decisions, bool (C, T), by modality; without those that are not parsed."""
    lanes = {
        modality: torch.as_tensor(mask).bool()
        for modality, mask in zip(("audio", "visual"), pair, strict=True)
        if mask is not None
    }
    shapes = [tuple(mask.shape) for mask in lanes.values()]
    if any(shape != (len(LABELS), SEGMENTS) for shape in shapes):
        raise AvvpError(
            f"A timeline shows one video: two masks of shape ({len(LABELS)}, {SEGMENTS}), "
            f"not {' and '.join(map(str, shapes))}."
        )
    if len(lanes) == 2:
        lanes["audio_visual"] = lanes["audio"] & lanes["visual"]
    return {modality: lanes[modality] for modality in modalities if modality in lanes}


def timeline(
    truth: tuple[Tensor, Tensor],
    predictions: Mapping[str, tuple[Tensor | None, Tensor | None]] | None = None,
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
        predictions: name of a system -> ``(audio, visual)``, bool (C, T); None where it does not
            parse that modality, and has no row.
        modalities: which lanes, among ``"audio"``, ``"visual"``, ``"audio_visual"``.
        truth_name: the label of the annotation's rows.
        title: drawn above the axes.
        ax: axes to draw on; by default a new figure as high as its rows.
    """
    true = _lanes(truth, modalities)
    systems = {name: _lanes(pair, modalities) for name, pair in (predictions or {}).items()}
    everyone = (true, *systems.values())
    lanes = [
        (modality, label)
        for modality in modalities
        for label in range(len(LABELS))
        if any(modality in masks and masks[modality][label].any() for masks in everyone)
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
            if modality not in masks:
                continue
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


def event_matching(
    cases: Mapping[str, tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]]],
    *,
    event_iou: float = 0.5,
) -> Figure:
    """Which predicted events of one class match which annotated ones, a panel a case.

    A matched event is filled, an unmatched one hatched; where two events overlap, their
    intersection over union stands between them.

    Args:
        cases: title -> (predicted, annotated) events, each as (onset, offset) in seconds.
        event_iou: the intersection over union from which two events match.
    """

    def mask(*events: tuple[int, int]) -> Tensor:
        return runs_to_segments([Run(0, 0, *event) for event in events], videos=1)

    def matches(predicted: Tensor, true: Tensor) -> int:
        nothing = torch.zeros_like(true)
        counts = count(predicted, nothing, true, nothing, event_iou=event_iou)
        return int(counts[LEVELS.index("event"), 0, 0, 0, 0])

    rows = -(-len(cases) // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(7, 0.4 + 1.45 * rows), squeeze=False)
    for ax, (title, (predicted, true)) in zip(axes.flat, cases.items(), strict=False):
        bars = [(1, event, matches(mask(event), mask(*true)), "TP", "FP") for event in predicted]
        bars += [
            (0, event, matches(mask(*predicted), mask(event)), "found", "FN") for event in true
        ]
        for y, (onset, offset), matched, yes, no in bars:
            colour = MODALITY_COLOURS["audio"] if y else "#777777"
            face = {"color": colour} if matched else {"fc": "white", "ec": colour, "hatch": "////"}
            ax.broken_barh([(onset, offset - onset)], (y - 0.28, 0.56), **face)
            text = ax.text((onset + offset) / 2, y, yes if matched else no, ha="center")
            text.set(va="center", fontsize=9, color="white" if matched else "#1a1a1a")
            if not matched:
                text.set_bbox({"fc": "white", "ec": "none", "pad": 1.0})
        for onset, offset in predicted:
            for start, end in true:
                shared = min(offset, end) - max(onset, start)
                if shared > 0:
                    iou = shared / (max(offset, end) - min(onset, start))
                    middle = (max(onset, start) + min(offset, end)) / 2
                    ax.text(middle, 0.5, f"IoU {iou:.2f}", ha="center", va="center", fontsize=9)
        ax.set(xlim=(0, SEGMENTS), ylim=(1.5, -0.5), title=title)
        ax.set_xticks(range(SEGMENTS + 1))
        ax.set_yticks([0, 1], ["annotation", "prediction"])
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    for ax in axes.flat[len(cases) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("time in the video (s)")
    return figure


def score_lines(
    printed: Mapping[str, Sequence[float]], lines: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Scores by metric: every printed result as a dash, and reference lines as markers.

    Args:
        printed: key of a metric -> the results that papers print, per cent.
        lines: name of a reference line -> key of a metric -> per cent.
    """
    kinds = {
        "audio": "audio",
        "visual": "visual",
        "audio_visual": "audio-visual",
        "type_av": "Type@AV",
        "event_av": "Event@AV",
    }
    dash = {"color": TRUTH_COLOUR, "markersize": 13, "markeredgewidth": 1.2, "alpha": 0.7}
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.6 + 0.2 * len(lines)), sharey=True)
    for ax, level in zip(axes, LEVELS, strict=True):
        for y, kind in enumerate(kinds):
            values = printed[f"{level}/{kind}"]
            ax.plot(values, [y] * len(values), "|", **dash, zorder=3)
        colours = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
        for (name, ten), marker, colour in zip(lines.items(), "DsvP^X", colours, strict=False):
            ax.plot(
                [ten[f"{level}/{kind}"] for kind in kinds],
                range(len(kinds)),
                marker,
                color=colour,
                markersize=9,
                markeredgecolor="white",
                label=name,
                clip_on=False,
            )
        ax.set(xlim=(0, 102), ylim=(len(kinds) - 0.5, -0.5), xlabel="F-score (%)")
        ax.set_title(f"{level} level")
        ax.set_yticks(range(len(kinds)), kinds.values())
        ax.grid(axis="x")
    dashes = Line2D([], [], marker="|", linestyle="", **dash)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        [dashes, *handles], ["results printed in the papers", *names], loc="outside lower left"
    )
    return figure


def counts_by_class(counts: Mapping[str, Sequence[int]], *, unit: str) -> Figure:
    """How often each class is heard, seen, and both: three lines over the classes.

    Classes are sorted by the first series; the axis is logarithmic, and a zero is left out.

    Args:
        counts: modality -> one number a class.
        unit: what is counted, for the axis.
    """
    order = sorted(range(len(LABELS)), key=lambda c: -next(iter(counts.values()))[c])
    figure, ax = plt.subplots(figsize=(7, 5.6))
    for (modality, numbers), marker in zip(counts.items(), "osD", strict=False):
        values = [numbers[c] or float("nan") for c in order]
        style = {"color": MODALITY_COLOURS[modality], "linewidth": 0.9, "markersize": 5.5}
        ax.plot(values, range(len(order)), marker, ls="-", label=MODALITY_NAMES[modality], **style)
    ax.set(xscale="log", ylim=(len(order) - 0.5, -0.5), xlabel=f"{unit} (logarithmic)")
    ax.set_yticks(range(len(order)), [label_name(c) for c in order])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(axis="both")
    ax.legend(loc="lower right", frameon=True)
    return figure


def shares_by_class(parts: Mapping[str, Sequence[int]], *, xlabel: str) -> Figure:
    """What each class's cases consist of: one bar of 100 % a class, sorted by the first part.

    Args:
        parts: ``"heard only"``, ``"heard and seen"``, ``"seen only"``, ... -> one number a class.
        xlabel: what 100 % are.
    """
    faces = {
        "heard only": {"facecolor": MODALITY_COLOURS["audio"]},
        "heard and seen": {"facecolor": MODALITY_COLOURS["audio_visual"], "hatch": "...."},
        "seen only": {"facecolor": MODALITY_COLOURS["visual"], "hatch": "////"},
        "neither": {"facecolor": "#bbbbbb"},
    }
    totals = [sum(numbers) or 1 for numbers in zip(*parts.values(), strict=True)]
    first = next(iter(parts.values()))
    order = sorted(range(len(LABELS)), key=lambda c: -first[c] / totals[c])
    figure, ax = plt.subplots(figsize=(7, 5.6))
    left = [0.0] * len(order)
    for name, numbers in parts.items():
        widths = [100 * numbers[c] / totals[c] for c in order]
        ax.barh(range(len(order)), widths, left=left, edgecolor="white", label=name, **faces[name])
        left = [a + b for a, b in zip(left, widths, strict=True)]
    ax.set(xlim=(0, 100), ylim=(len(order) - 0.4, -0.6), xlabel=xlabel)
    ax.set_yticks(range(len(order)), [label_name(c) for c in order])
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=len(parts))
    return figure


def run_lengths(histograms: Mapping[str, Mapping[str, Sequence[int]]]) -> Figure:
    """How long events last, a panel a modality: shares of all runs, by length in seconds.

    Args:
        histograms: name of a data set -> modality -> number of runs of 1, 2, ..., 10 s. The first
            data set is drawn as bars, others as markers over them.
    """
    first = next(iter(histograms.values()))
    seconds = range(1, SEGMENTS + 1)
    figure, axes = plt.subplots(1, len(first), figsize=(7, 2.7), sharey=True)
    for ax, modality in zip(axes, first, strict=True):
        for n, (name, by_modality) in enumerate(histograms.items()):
            total = sum(by_modality[modality])
            share = [100 * number / total for number in by_modality[modality]]
            if n == 0:
                ax.bar(seconds, share, color=MODALITY_COLOURS[modality], label=name)
            else:
                ax.plot(seconds, share, "Ds^v"[n - 1], color=TRUTH_COLOUR, label=name)
        ax.set(title=MODALITY_NAMES[modality], xlabel="length of an event (s)")
        ax.set_xticks([1, 5, 10])
        ax.grid(axis="y")
    axes[0].set_ylabel("share of events (%)")
    if len(histograms) > 1:
        axes[0].legend(loc="upper center")
    return figure


def co_occurrence(
    together: Sequence[Sequence[int]], *, title: str = "", ax: Axes | None = None
) -> Figure:
    """Of the videos with one label, the share that has another: a heat map of classes by classes.

    Args:
        together: (C, C) numbers of videos with both labels; the diagonal counts each alone.
        title: drawn above the axes.
        ax: axes to draw on; by default a new figure.
    """
    counts = torch.as_tensor(together, dtype=torch.float64)
    share = 100 * counts / counts.diagonal().clamp(min=1)[:, None]
    share.fill_diagonal_(float("nan"))
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 6.4))
    names = [label_name(c) for c in range(len(counts))]
    seaborn.heatmap(
        share.numpy(),
        vmin=0,
        vmax=100,
        square=True,
        xticklabels=names,
        yticklabels=names,
        cmap=plt.rcParams["image.cmap"],
        cbar_kws={"label": "share of videos (%)", "shrink": 0.8},
        rasterized=True,
        ax=ax,
    )
    ax.set(title=title, xlabel="... that also have this label", ylabel="of the videos with ...")
    ax.tick_params(length=0, labelsize=8)
    return ax.figure


def note(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure, ax = plt.subplots(figsize=(7, 1.2))
    ax.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    ax.set_axis_off()
    return figure


def training_curves(
    histories: Sequence[Mapping[str, Sequence[float]]],
    selected: Sequence[int],
    *,
    floors: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """Loss terms above, validation ``Type@AV`` below, by epoch: one thin line a seed.

    Dotted lines stand where the learning rate dropped, a ring marks the epoch that was kept.

    Args:
        histories: of each seed, columns ``epoch``, ``learning_rate``, ``video``, ``audio``,
            ``visual`` and ``val/segment/type_av``, as :func:`avvp.experiments.run` stores them.
        selected: the epoch of each seed whose weights were kept, counted from 1.
        floors: loss term -> the least value it can take, drawn as a short line at the right.
        title: drawn above the axes.
    """
    terms = {
        "video": ("joint", TRUTH_COLOUR, "-"),
        "audio": ("audio", MODALITY_COLOURS["audio"], "--"),
        "visual": ("visual", MODALITY_COLOURS["visual"], "-."),
    }
    figure, (losses, scores) = plt.subplots(2, 1, figsize=(7, 5.4), sharex=True)
    last = max(max(history["epoch"]) for history in histories)
    for history in histories:
        for term, (name, colour, style) in terms.items():
            line = losses.plot(history["epoch"], history[term], style, color=colour, linewidth=1.2)
            if len(history["epoch"]) == 1:
                line[0].set_marker("o")
            line[0].set_label(name if history is histories[0] else "_")
    for term, least in (floors or {}).items():
        _, colour, _ = terms[term]
        losses.axhline(least, color=colour, linewidth=0.8, alpha=0.6)
        losses.annotate(
            f"least possible {terms[term][0]} term",
            (0.995, least),
            xycoords=("axes fraction", "data"),
            xytext=(0, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            color=colour,
        )
    for history, epoch in zip(histories, selected, strict=True):
        values = list(history["val/segment/type_av"])
        (line,) = scores.plot(history["epoch"], values, ".-", linewidth=1.2, color="#009E73")
        line.set_label("a seed" if history is histories[0] else "_")
        (ring,) = scores.plot(epoch, values[epoch - 1], "o", markersize=10, mfc="none", mec="k")
        ring.set_label("epoch that was kept" if history is histories[0] else "_")
    rates = list(histories[0]["learning_rate"])
    drops = [e for e in range(1, len(rates)) if rates[e] < rates[e - 1]]
    for ax in (losses, scores):
        for drop in drops:
            ax.axvline(drop + 0.5, color="#777777", linestyle=":", linewidth=1)
        ax.grid(axis="y")
        ax.legend(loc="best")
    for drop in drops:
        scores.annotate(
            f"learning rate {rates[drop]:.0e}",
            (drop + 0.5, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=8,
            color="#555555",
        )
    losses.set(ylabel="training loss (nats)", ylim=(0, None))
    scores.set(ylabel="validation Type@AV (%)", xlabel="epoch", xlim=(0.5, last + 0.5))
    scores.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def scores_by_class(
    scores: Mapping[str, Sequence[Sequence[float]]], *, xlabel: str, title: str = ""
) -> Figure:
    """One dot a class and modality, the mean over seeds; a bar from the worst seed to the best.

    Classes are sorted by the first series; a class without a score (NaN) has no dot.

    Args:
        scores: modality -> (seeds, C).
        xlabel: what is scored, with its unit.
        title: drawn above the axes.
    """
    tables = {name: torch.as_tensor(values).double() for name, values in scores.items()}
    means = {name: table.mean(0) for name, table in tables.items()}
    order = next(iter(means.values())).nan_to_num(-1).argsort(descending=True, stable=True)
    figure, ax = plt.subplots(figsize=(7, 6.2))
    for place, ((name, table), marker) in enumerate(zip(tables.items(), "osD", strict=False)):
        # Side by side, so that equal scores do not hide each other.
        y = [row + 0.3 * (place - (len(tables) - 1) / 2) for row in range(len(order))]
        low, high, mean = (x[order].tolist() for x in (table.amin(0), table.amax(0), means[name]))
        colour = MODALITY_COLOURS[name]
        ax.hlines(y, low, high, color=colour, linewidth=1.2, alpha=0.7)
        ax.plot(mean, y, marker, color=colour, markersize=6, label=MODALITY_NAMES[name])
    ax.set(xlim=(-2, 102), ylim=(len(order) - 0.5, -0.5), xlabel=xlabel, title=title)
    ax.set_yticks(range(len(order)), [label_name(c) for c in order.tolist()])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="both")
    ax.legend(loc="lower right", frameon=True)
    return figure


def pooling_weights(
    videos: Sequence[tuple[str, tuple[Tensor, Tensor], Tensor, Tensor]], *, title: str = ""
) -> Figure:
    """Where MMIL pooling looks: two heat maps a video, weights over time and over modality.

    A row is a class of the video in one modality, also where it is only heard or only seen. The
    line above the cells of a row marks its annotated seconds.

    Args:
        videos: of each, its name, the truth as ``(audio, visual)``, bool (C, T), and the weights
            over time and over modality, both (T, 2, C), audio first.
        title: drawn above the axes.
    """
    present = [(t[0] | t[1]).any(-1).nonzero().flatten().tolist() for _, t, _, _ in videos]
    rows = [max(2 * len(classes), 1) for classes in present]
    figure, axes = plt.subplots(
        len(videos),
        2,
        figsize=(7, 1.5 + 0.75 * len(videos) + 0.3 * sum(rows)),
        gridspec_kw={"height_ratios": rows},
        squeeze=False,
        sharey="row",
    )
    shown = zip(videos, present, strict=True)
    seen = [float(over_time[:, :, c].max()) for (*_, over_time, _), c in shown if c]
    # A few seconds may get nearly all weight; the others shall not all look alike for that.
    most = min(max(seen, default=1.0), 0.3)
    kinds = (("weight over time", most), ("weight of the modality", 1.0))
    for row, ((name, truth, *weights), classes) in enumerate(zip(videos, present, strict=True)):
        lanes = [(c, m) for c in classes for m in range(2)]
        for ax, (kind, top), weight in zip(axes[row], kinds, weights, strict=True):
            if lanes:
                cells = torch.stack([weight[:, m, c] for c, m in lanes]).float().numpy()
                ax.imshow(
                    cells, vmin=0, vmax=top, aspect="auto", extent=(0, SEGMENTS, len(lanes), 0)
                )
            for y, (c, m) in enumerate(lanes):
                ax.axhline(y, color="white", linewidth=3)
                colour = list(MODALITY_COLOURS.values())[m]
                for start, width in _bars(truth[m][c]):
                    ax.broken_barh([(start, width)], (y, 0.2), color=colour, ec="white", lw=0.8)
            ax.set_xticks(range(0, SEGMENTS + 1, 2))
            ax.tick_params(axis="y", length=0)
            ax.set_title(f"{name}\n{kind}" if ax is axes[row, 0] else kind, fontsize=9)
        names = [f"{label_name(c)} ({list(MODALITY_NAMES.values())[m]})" for c, m in lanes]
        axes[row, 0].set_yticks([y + 0.5 for y in range(len(lanes))], names)
    for column, (kind, _) in enumerate(kinds):
        axes[-1, column].set_xlabel("time in the video (s)")
        if any(present):
            image = axes[0, column].images[0]
            cut = column == 0 and max(map(float, seen)) > most
            bar = figure.colorbar(
                image,
                ax=axes[:, column],
                location="bottom",
                shrink=0.9,
                extend="max" if cut else "neither",
            )
            bar.set_label(kind)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def calibration_trials(
    trials: Sequence[Mapping],
    confirmations: Sequence[Mapping],
    target: Mapping[str, float],
    metrics: Sequence[str],
) -> Figure:
    """The scores of a search in the order of its trials, and of its runs at full scale.

    Args:
        trials, confirmations: entries of the logs of :mod:`avvp.calibration`.
        target: published scores, drawn as lines.
        metrics: which scores, two at most.
    """
    figure, ax = plt.subplots(figsize=(7, 3.4))
    numbers = range(1, len(trials) + 1)
    for metric, colour, marker in zip(metrics, ("#0072B2", "#D55E00"), "os", strict=False):
        name = metric.split("/")[1].replace("_av", "@AV").capitalize().replace("@av", "@AV")
        values = [trial["scores"][metric] for trial in trials]
        ax.plot(numbers, values, marker, color=colour, label=f"{name}, trial")
        ax.axhline(target[metric], color=colour, linewidth=1, label=f"{name}, published on LLP")
        stars = [confirmed["scores"][metric] for confirmed in confirmations]
        places = [len(trials) + 2 + i for i in range(len(stars))]
        ax.plot(places, stars, "*", color=colour, markersize=13, label=f"{name}, full scale")
    ax.set(xlabel="trial (stars: full scale, in their order)", ylabel="F-score (%)")
    ax.grid(axis="y")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
