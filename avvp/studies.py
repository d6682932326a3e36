"""Studies: variants of a method beside a reference, in print and in our runs.

A difference of two printed scores is a number; one of two trained systems is a number with an
interval, by the rule of :mod:`avvp.claims`. Systems are compared only where they were scored on the
same videos under the same profile.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avvp.claims import compare
from avvp.experiments import (
    PROFILES,
    REGISTRY,
    Profile,
    get_profile,
    is_current,
    open_source,
)
from avvp.metrics import METRICS
from avvp.published import published
from avvp.results import RESULTS, RUNS, Estimate, estimate, find_runs, read_arrays
from avvp.tables import COMMITTED, Drawn, data_world, reproduce_command, runs_to_draw


class Step(NamedTuple):
    """How much more one system scores than another, in points; None: not printed, not run."""

    printed: float | None = None
    measured: float | None = None
    half_width: float | None = None  # of the 95 % interval over seeds and test videos

    @property
    def told(self) -> str:
        """The measured difference as a reader writes it."""
        if self.measured is None:
            return "not run"
        if self.half_width is None:
            return f"{self.measured:+z.1f}"
        return f"{self.measured:+z.1f} ±\N{NO-BREAK SPACE}{self.half_width:.1f}"

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.half_width is not None and abs(self.measured) > self.half_width


@dataclass(frozen=True)
class Study:
    """Several systems, and the runs that stand for them.

    Attributes:
        names: of the experiments, the reference first, each with a short title.
        paper, table: where the printed scores stand.
        drawn: name -> its runs, or how to make them.
        per_video: name -> (N, 10) scores of the test videos, averaged over seeds; of what can be
            compared: the reference, and what was scored on the same videos.
    """

    names: Mapping[str, str]
    paper: str
    table: str
    drawn: Mapping[str, Drawn]
    per_video: Mapping[str, np.ndarray]

    @property
    def reference(self) -> str:
        """What the others are compared with."""
        return next(iter(self.names))

    @property
    def told(self) -> str:
        """What the compared runs are, in words."""
        told = self.drawn[self.reference].told
        seeds = sorted({len(self.drawn[name].runs) for name in self.per_video})
        if len(seeds) > 1:
            told = re.sub(r"\d+ seeds?", f"{seeds[0]} to {seeds[-1]} seeds", told)
        return told

    @property
    def missing(self) -> str:
        """What cannot be compared, in a sentence; empty if all can."""
        left = [name for name in self.names if name not in self.per_video]
        elsewhere = [name for name in left if self.drawn[name].runs]
        kinds = {
            "Not run yet": [self.names[name] for name in left if name not in elsewhere],
            "Run on other videos only": [
                f"{self.names[name]} ({self.drawn[name].told})" for name in elsewhere
            ],
        }
        return " ".join(f"{kind}: {'; '.join(told)}." for kind, told in kinds.items() if told)

    def printed(self, name: str) -> dict[str, float]:
        """The printed scores of an experiment by key: of this table, else of another one.

        Of another paper the table with most scores counts; "Table 2" of two papers are two tables.
        """
        rows = [row for row in REGISTRY[name].rows if row.table != "text"]
        here = (self.paper, self.table)
        rows.sort(
            key=lambda row: (
                (row.paper, row.table) != here,
                row.paper != self.paper,
                -len(published(*row)),
            )
        )
        return published(*rows[0]) if rows else {}

    def score(self, name: str, metric: str) -> Estimate | None:
        """Mean over seeds and half its 95 % interval; None: not comparable with the reference."""
        if name not in self.per_video:
            return None
        return estimate([run.metrics[metric] for run in self.drawn[name].runs])

    def step(self, name: str, metric: str, *, to: str | None = None) -> Step:
        """One experiment minus another, by default minus the reference."""
        other = to or self.reference
        here, there = self.printed(name), self.printed(other)
        printed = None
        if metric in here and metric in there:
            printed = here[metric] - there[metric]
        if name not in self.per_video or other not in self.per_video:
            return Step(printed)
        sides = (name, other)
        scores = [[run.metrics[metric] for run in self.drawn[side].runs] for side in sides]
        videos = [self.per_video[side][:, METRICS.index(metric)] for side in sides]
        compared = compare(*scores, videos[0] - videos[1])
        return Step(printed, compared.difference, compared.half_width)

    def steps(self, metrics: Mapping[str, str]) -> dict[str, dict[str, Step]]:
        """Every variant minus the reference: short title -> title of a metric -> difference.

        Args:
            metrics: key of :data:`avvp.metrics.METRICS` -> title.
        """
        return {
            title: {told: self.step(name, metric) for metric, told in metrics.items()}
            for name, title in self.names.items()
            if name != self.reference
        }

    def summary(self, metrics: Mapping[str, str]) -> str:
        """What all differences from the reference say together, in a few sentences."""
        steps = {
            title: {name: step for name, step in by_metric.items() if step.measured is not None}
            for title, by_metric in self.steps(metrics).items()
        }
        measured = [step for by_metric in steps.values() for step in by_metric.values()]
        if not measured:
            return f"There is nothing to compare yet. {self.missing}".strip()
        said = f"On {self.told}, {len(measured)} differences from {self.names[self.reference]} "
        if all(step.half_width is None for step in measured):
            said += "are measured, without intervals: these take two seeds of each."
        else:
            clear = {
                title: [name for name, step in by_metric.items() if step.clear]
                for title, by_metric in steps.items()
            }
            told = [f"{title} ({', '.join(names)})" for title, names in clear.items() if names]
            count = sum(map(len, clear.values()))
            said += f"are measured; the interval of {count} leaves out zero"
            said += f": {'; '.join(told)}." if told else "."
        both = [step for step in measured if step.printed]
        if both:
            agree = sum((step.printed > 0) == (step.measured > 0) for step in both)
            has = "has" if agree == 1 else "have"
            said += f" Of the {len(both)} that differ in print too, {agree} {has} the printed sign."
        return f"{said} {self.missing}".strip()


def open_study(
    names: Mapping[str, str],
    *,
    paper: str,
    table: str,
    profile: str = "published",
    data: str = "sim",
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> Study:
    """Find the runs that compare as many variants as possible with the reference.

    Committed runs, or those of this build where they compare more; on other data only those.

    Args:
        names: experiment -> short title, the reference first.
        paper, table: as in published.csv.
        profile, data: of this build.
        runs, results: the two roots of runs.

    Raises:
        AvvpError: a name is unknown, or a file of a run is damaged.
    """
    here = get_profile(profile)
    choices = []
    if data == "sim":
        roots = {"runs": runs, "results": results}
        choices.append({name: runs_to_draw(name, beside=[*names], **roots) for name in names})
    if here.seeds:
        choices.append({name: _of_this_build(name, here, data, [runs, results]) for name in names})
    reference = next(iter(names))
    best = max(choices, key=lambda drawn: sum(_comparable(drawn, n, reference) for n in names))
    return _study(names, best, paper=paper, table=table)


def _study(
    names: Mapping[str, str], drawn: Mapping[str, Drawn], *, paper: str, table: str
) -> Study:
    reference = next(iter(names))
    per_video = {
        name: np.mean([read_arrays(path)["per_video"].astype(float) for path in chosen.paths], 0)
        for name, chosen in drawn.items()
        if _comparable(drawn, name, reference)
    }
    return Study(dict(names), paper, table, drawn, per_video)


def by_scale(
    better: str, worse: str, *, paper: str, table: str, results: Path = RESULTS
) -> dict[str, Study]:
    """The same two systems under each committed profile that has runs of both, the smallest first.

    Args:
        better, worse: experiments.
        paper, table: as in published.csv.
        results: the root of the committed runs, on simulated data.

    Raises:
        AvvpError: a file of a run is damaged.
    """
    names = {name: REGISTRY[name].label for name in (worse, better)}
    found = {}
    for profile in reversed(COMMITTED):
        drawn = {
            name: _of_this_build(name, get_profile(profile), "sim", [results]) for name in names
        }
        if _comparable(drawn, better, worse):
            found[profile] = _study(names, drawn, paper=paper, table=table)
    return found


def told_by_scale(
    better: str,
    worse: str,
    *,
    paper: str,
    table: str,
    metric: str,
    data: str = "sim",
    results: Path = RESULTS,
) -> str:
    """What scale makes of a difference, in a sentence.

    Empty where there are committed runs of one scale only, and in a book on other ``data``.
    """
    if data != "sim":
        return ""
    found = by_scale(better, worse, paper=paper, table=table, results=results)
    if len(found) < 2:
        return ""
    steps = {profile: study.step(better, metric) for profile, study in found.items()}
    told = " and ".join(
        f"{step.told} under profile {profile} ({_seeds_of(found[profile])})"
        for profile, step in steps.items()
    )
    first, last = (list(steps.values())[end] for end in (0, -1))
    label, other = (REGISTRY[name].label for name in (better, worse))
    sentence = f"What scale makes of {label} minus {other}, on simulated LLP: {told}."
    if first.measured * last.measured >= 0:
        return f"{sentence} The sign is the same."
    few, many = (f"{PROFILES[list(found)[end]].train:,}" for end in (0, -1))
    if first.clear and last.clear:
        return (
            f"{sentence} **The sign turns**, and both intervals leave out 0: what {few} training "
            f"videos say of it does not hold with {many}."
        )
    return (
        f"{sentence} The means differ in sign, but not both have an interval that leaves out 0: "
        f"what {few} training videos say of it may not hold with {many}."
    )


def _seeds_of(study: Study) -> str:
    counts = [len(study.drawn[name].runs) for name in reversed(study.names)]
    told = " and ".join(map(str, dict.fromkeys(counts)))
    return f"{told} seed" + "s" * (counts != [1, 1])


def _of_this_build(name: str, here: Profile, data: str, roots: Sequence[Path]) -> Drawn:
    source = open_source(data, here)
    place = {"data": source.name, "profile": here.name, "experiment": name}
    found = find_runs(list(roots), fingerprint=source.of_runs, **place)
    shown = {path: run for path, run in found.items() if is_current(run)}
    if not shown:
        return Drawn(
            f"not run yet: {reproduce_command(REGISTRY[name], here.name, data).strip('`')}", (), ()
        )
    many = f"{len(shown)} seed" + "s" * (len(shown) > 1)
    told = f"{data_world(next(iter(shown.values())))}, {here.name}, {many}"
    return Drawn(told, tuple(shown.values()), tuple(shown))


def _comparable(drawn: Mapping[str, Drawn], name: str, reference: str) -> bool:
    worlds = [
        {(run.profile, run.data_fingerprint) for run in drawn[each].runs}
        for each in (name, reference)
    ]
    return bool(worlds[0]) and worlds[0] == worlds[1]
