"""What a comparison of two methods depends on: its outcome over the worlds of the sweep.

In each world the difference is measured as every claim's is (:func:`avvp.claims.compare`), with one
relaxation: its sign is taken from the plain 95 % interval, not corrected for the number of worlds.
For the sweep decides no claim. It may only take certainty away: where a difference is clearly above
zero at one value of a parameter and clearly below at another, a verdict depends on that parameter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from avvp.claims import MIN_SEEDS, Claim, Comparison, compare
from avvp.experiments import get_profile, is_current
from avvp.metrics import METRICS
from avvp.results import RESULTS, RUNS, Run, find_runs, read_arrays
from avvp.worlds import DEFAULT_WORLD, PARAMETERS, SWEEP, Parameter


class Pair(NamedTuple):
    """Two experiments of the sweep."""

    title: str
    better: str
    worse: str


PAIRS: dict[str, Pair] = {
    "C": Pair("contrast (C)", "ma/c", "ma/base"),
    "R": Pair("refinement (R)", "ma/r", "ma/base"),
    "C+R": Pair("both (C+R)", "ma/cr", "ma/base"),
    "MGN": Pair("grouping (MGN 1/1/2)", "mgn/depth_1_1_2", "han/han"),
}
"""What each paper adds, against HAN under that paper's protocol."""

STAND_INS = {"han/han": "ma/base"}
"""MA's claims are against HAN as published; in the sweep HAN was trained under MA's protocol."""

Kind = Literal["above", "below", "unclear", "not run"]
Outcome = Literal[
    "better everywhere",
    "worse everywhere",
    "depends",
    "better or unclear",
    "worse or unclear",
    "unclear",
    "not run",
]


@dataclass(frozen=True)
class Gain:
    """The difference of two experiments in one world.

    Attributes:
        world: its name.
        value: of the parameter that is looked at.
        seeds: that both have.
        comparison: better minus worse, or None where a side has no run.
        by_seed: the difference of each common seed, in points.
    """

    world: str
    value: float
    seeds: int = 0
    comparison: Comparison | None = None
    by_seed: tuple[float, ...] = ()

    @property
    def kind(self) -> Kind:
        """On which side of zero the 95 % interval lies; unclear with fewer seeds than a claim."""
        if self.comparison is None:
            return "not run"
        half = self.comparison.half_width
        if half is None or self.seeds < MIN_SEEDS or abs(self.comparison.difference) <= half:
            return "unclear"
        return "above" if self.comparison.difference > 0 else "below"


@dataclass(frozen=True)
class Curve:
    """A difference over the values of one parameter."""

    parameter: Parameter
    gains: tuple[Gain, ...]

    @property
    def outcome(self) -> Outcome:
        """What the points say together; those that were not run say nothing."""
        kinds = {gain.kind for gain in self.gains} - {"not run"}
        if not kinds:
            return "not run"
        if {"above", "below"} <= kinds:
            return "depends"
        for kind, word in (("above", "better"), ("below", "worse")):
            if kind in kinds:
                return f"{word} everywhere" if kinds == {kind} else f"{word} or unclear"
        return "unclear"

    @property
    def complete(self) -> bool:
        """Whether all values have all seeds."""
        return all(gain.seeds >= SWEEP.seeds for gain in self.gains)


@dataclass(frozen=True)
class SweepResults:
    """The current runs of the sweep, by world and experiment.

    Attributes:
        runs: (world, experiment) -> path of the JSON -> run.
    """

    runs: Mapping[tuple[str, str], Mapping[Path, Run]]

    def gain(self, better: str, worse: str, metric: str, world: str, value: float = 0.0) -> Gain:
        """The difference of two experiments in a world; see :class:`Gain`."""
        sides = [
            {run.seed: (path, run) for path, run in self.runs.get((world, name), {}).items()}
            for name in (better, worse)
        ]
        common = sorted(sides[0].keys() & sides[1].keys())
        if not common:
            return Gain(world, value)
        column = METRICS.index(metric)
        scores = [[side[seed][1].metrics[metric] for seed in common] for side in sides]
        one, other = (
            np.mean([self._per_video[side[seed][0]][:, column] for seed in common], axis=0)
            for side in sides
        )
        comparison = compare(*scores, one - other)
        by_seed = tuple(a - b for a, b in zip(*scores, strict=True))
        return Gain(world, value, len(common), comparison, by_seed)

    def curve(self, better: str, worse: str, metric: str, parameter: Parameter) -> Curve:
        """The difference of two experiments over the values of a parameter."""
        gains = (
            self.gain(better, worse, metric, parameter.world(value), value)
            for value in parameter.values
        )
        return Curve(parameter, tuple(gains))

    @cached_property
    def _per_video(self) -> "_PerVideo":
        return _PerVideo()

    def depends_on(self, claim: Claim) -> list[str]:
        """The parameters that HAN's row does not fix and inside whose range a claim flips.

        Their titles. Empty for claims that are no difference of scores, and for
        experiments that the sweep does not train.
        """
        if claim.kind != "score":
            return []
        found = []
        for parameter in PARAMETERS.values():
            if parameter.calibrated:
                continue
            curve = self.curve(claim.better, claim.worse, claim.metric, parameter)
            if curve.outcome == "not run" and claim.worse in STAND_INS:
                curve = self.curve(claim.better, STAND_INS[claim.worse], claim.metric, parameter)
            if curve.outcome == "depends":
                found.append(parameter.title)
        return found


class _PerVideo(dict):
    """Per-video scores by the path of their run, read when they are asked for."""

    def __missing__(self, path: Path) -> np.ndarray:
        self[path] = read_arrays(path)["per_video"].astype(float)
        return self[path]


def open_sweep(
    *, profile: str = "published", runs: Path = RUNS, results: Path = RESULTS
) -> SweepResults:
    """The runs of the sweep that are there, unfinished or not, without stale ones.

    Args:
        profile: of this build of the book; one that trains nothing shows committed runs alone.
        runs, results: the two roots of runs.

    Raises:
        AvvpError: there is no such profile, or a file of a run is damaged.
    """
    roots = [runs, results] if get_profile(profile).seeds else [results]
    found: dict[tuple[str, str], dict[Path, Run]] = {}
    for path, run in find_runs(roots, data="sim*", profile=SWEEP.name).items():
        if not run.stale and is_current(run):
            found.setdefault((run.data, run.experiment), {})[path] = run
    return SweepResults(found)


def worlds_where(curves: Sequence[Curve], kind: Kind) -> list[str]:
    """Where a gain is of a kind, one a world: ``asynchrony 1 s``; the default world only once."""
    told = {}
    for curve in curves:
        for gain in curve.gains:
            if gain.kind == kind:
                default = gain.world == DEFAULT_WORLD
                told[gain.world] = "default world" if default else curve.parameter.at(gain.value)
    return list(told.values())
