"""What runs cost, and what can be said of the time that is left."""

from collections.abc import Mapping, Sequence

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from avvp.costs import Moment, family
from avvp.results import Run

BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
TICKS = {1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h"}


def costs_of_runs(runs: Mapping[str, Sequence[Run]], *, title: str = "") -> Figure:
    """Seconds of a run on a logarithmic axis: a row a family, a mark an experiment.

    Args:
        runs: of each group of runs, such as a profile: the name in the legend -> its runs.
        title: drawn above the axes.
    """
    families = list(dict.fromkeys(family(run.experiment) for own in runs.values() for run in own))
    figure, ax = plt.subplots(figsize=(7, 0.9 + 0.42 * max(len(families), 2)))
    for (name, own), colour, marker in zip(
        runs.items(), (BLUE, ORANGE, GREEN), "osD", strict=False
    ):
        shift = 0.18 * (list(runs).index(name) - (len(runs) - 1) / 2)
        ax.plot(
            [run.seconds for run in own],
            [families.index(family(run.experiment)) + shift for run in own],
            marker,
            color=colour,
            markersize=5,
            alpha=0.75,
            label=name,
        )
    ax.set_xscale("log")
    ax.set_xticks([*TICKS], TICKS.values())
    ax.minorticks_off()
    times = [run.seconds for own in runs.values() for run in own]
    ax.set_xlim(min(times) / 2, max(times) * 2)
    ax.set_yticks(range(len(families)), families)
    ax.invert_yaxis()
    ax.set(xlabel="wall-clock time of training, a run")
    ax.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=3)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def time_left_replayed(moments: Sequence[Moment], *, title: str = "") -> Figure:
    """The time left, run by run: as it was, by the number of runs, and by measured seconds."""
    figure, ax = plt.subplots(figsize=(7, 3.4))
    long = moments[-1].elapsed > 2 * 3600
    unit, name = (3600, "hours") if long else (60, "minutes")
    elapsed = [m.elapsed / unit for m in moments]
    black, orange = "#1a1a1a", ORANGE
    ax.plot(elapsed, [m.left / unit for m in moments], color=black, label="what was left")
    ax.plot(
        elapsed, [m.by_count / unit for m in moments], "--", color=orange, label="by number of runs"
    )
    for where, alpha, hatch, label in (
        ([m.unknown > 0 for m in moments], 0.15, "////", "range, the unknown ones left out"),
        ([m.unknown == 0 for m in moments], 0.4, None, "range, all of known length"),
    ):
        ax.fill_between(
            elapsed,
            [m.known.low / unit for m in moments],
            [m.known.high / unit for m in moments],
            where=where,
            facecolor=matplotlib.colors.to_rgba(BLUE, alpha),
            edgecolor=BLUE,
            hatch=hatch,
            linewidth=0.5,
            label=label,
        )
    ax.set(
        xlabel=f"time since the first run began ({name})",
        ylabel=f"time left ({name})",
        ylim=(0, 1.2 * (moments[0].left + moments[0].elapsed) / unit),
    )
    ax.grid()
    figure.legend(loc="outside lower center", ncols=2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure
