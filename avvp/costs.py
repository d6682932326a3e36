"""What the runs of this book took, and what a profile would take: tables made of results."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from avvp.experiments import REGISTRY, Profile, is_current
from avvp.results import Run
from avvp.tables import Table, markdown_table
from avvp.time_left import Range, Task, TimeLeft, in_words, work_of


def family(experiment: str) -> str:
    """The part of a name before the stroke."""
    return experiment.partition("/")[0]


def made_table(runs: Sequence[Run]) -> Table:
    """On what, from which commit and in which time runs were made: a table a device, a line an
    experiment.
    """
    devices = dict.fromkeys(run.device for run in runs)
    tables = (_made_on(device, [run for run in runs if run.device == device]) for device in devices)
    return Table("\n".join(tables) or "There are no runs.")


def _made_on(device: str, runs: Sequence[Run]) -> Table:
    key = _order()
    lines = []
    for (name, profile), group in groupby(
        sorted(runs, key=lambda run: (key(run.experiment), run.profile, run.seed)),
        key=lambda run: (run.experiment, run.profile),
    ):
        own = list(group)
        seconds = [run.seconds for run in own]
        steps = work_of(own[0].configuration).steps
        trained = own[0].configuration["training"]
        each = sorted(1000 * run.seconds / steps for run in own)
        spread = [f"{value:.0f}" if value >= 10 else f"{value:.1f}" for value in each]
        lines.append(
            [
                f"`{name}`",
                profile + ("" if all(is_current(run) for run in own) else ", stale"),
                ", ".join(str(run.seed) for run in own),
                ", ".join(sorted({run.commit[:7] for run in own})),
                " to ".join(dict.fromkeys(map(_unbroken, (min(seconds), max(seconds))))),
                " to ".join(dict.fromkeys([spread[0], spread[-1]])) if trained else "–",
            ]
        )
    columns = ["Experiment", "Profile", "Seeds", "Commits", "A run", "ms a step"]
    return markdown_table(columns, lines, f"Runs that were made on: {device}.")


def _unbroken(seconds: float) -> str:
    """In a narrow column a number stays beside its unit."""
    return in_words(seconds).replace(" ", "\N{NO-BREAK SPACE}")


def _order():
    places = {name: place for place, name in enumerate(REGISTRY)}
    return lambda name: (places.get(name, len(places)), name)


def foretold(profile: Profile, runs: Sequence[Run]) -> dict[str, Range | None]:
    """How long a run of each experiment takes under a profile, on what made ``runs``."""
    known = TimeLeft([], here=runs)
    return {
        name: known.of(Task(name, name, experiment.configuration(profile)))
        for name, experiment in REGISTRY.items()
    }


def cost_table(profile: Profile, runs: Sequence[Run]) -> Table:
    """What a profile takes on the device that made ``runs``, a line a family of experiments."""
    times = foretold(profile, runs)
    lines = []
    whole = [0.0, 0.0]
    for name, group in groupby(REGISTRY, key=family):
        members = list(group)
        known = [times[member] for member in members if times[member]]
        sums = [sum(time[end] for time in known) for end in (0, 1)]
        whole = [a + b for a, b in zip(whole, sums, strict=True)]
        lines.append(_cost_line(name, len(members), len(known), sums, profile.seeds))
    count = sum(time is not None for time in times.values())
    lines.append(_cost_line("all", len(times), count, whole, profile.seeds))
    columns = ["Family", "Experiments", "Of known cost", "One seed", f"{profile.seeds} seeds"]
    devices = ", ".join(sorted({run.device for run in runs}))
    return markdown_table(
        columns,
        lines,
        f"What profile {profile.name} would take, a run at a time, on {devices or 'nothing yet'}.",
    )


def _cost_line(
    name: str, experiments: int, known: int, sums: Sequence[float], seeds: int
) -> list[str]:
    def told(count: int) -> str:
        words = dict.fromkeys(in_words(count * end) for end in sums)
        return " to ".join(words) if known else "unknown"

    return [name, str(experiments), str(known), told(1), told(seeds)]


class Moment(NamedTuple):
    """What could be said of the time left when a run had just been made.

    Attributes:
        elapsed: seconds.
        left: seconds that it took from there.
        by_count: the same, as the number of runs foretells it.
        known: as :class:`avvp.time_left.TimeLeft` foretells it for runs of known length.
        unknown: how many others there were.
    """

    elapsed: float
    left: float
    by_count: float
    known: Range
    unknown: int


def replay(runs: Sequence[Run]) -> list[Moment]:
    """Make runs again on paper, one after another, seed by seed in the order of the registry."""
    key = _order()
    runs = sorted(runs, key=lambda run: (run.seed, key(run.experiment)))
    names = [f"{run.experiment} seed {run.seed}" for run in runs]
    tasks = [Task(n, run.experiment, run.configuration) for n, run in zip(names, runs, strict=True)]
    left = TimeLeft([tasks])
    whole = sum(run.seconds for run in runs)
    elapsed, moments = 0.0, []
    for done, (name, run) in enumerate(zip(names, runs, strict=True), start=1):
        elapsed += run.seconds
        left.over(name, run, run.seconds)
        known, unknown = left.all()
        by_count = elapsed / done * (len(runs) - done)
        moments.append(Moment(elapsed, whole - elapsed, by_count, known, unknown))
    return moments
