"""The sweep: the same methods in simulated worlds that differ in one parameter.

:data:`STAGES` is the whole definition. Every run goes through :func:`avvp.experiments.run` and lies
where any run lies, under ``<data>/sweep/``, with the name of its world for ``<data>``. Stages are
made one after another and all seeds of a world before the next world, so that an unfinished sweep
has whole parameters; what is there is not made again.
"""

import fnmatch
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from avvp.errors import AvvpError
from avvp.experiments import REGISTRY, is_current, open_source, run, weights_path
from avvp.fan_out import in_waves, missing
from avvp.results import RESULTS, RUNS, Published, Run, publish
from avvp.worlds import DEFAULT_WORLD, PARAMETERS, SWEEP, at_world

REFINEMENT = ("ma/base", "ma/c", "ma/r", "ma/cr")
"""HAN under MA's protocol, and what MA adds to it."""
GROUPING = ("han/han", "mgn/depth_1_1_2")
"""HAN under its own protocol, and MGN reduced in depth: its steps, not its depth, cost the time."""
KNOBS = tuple(
    f"ma/{method}_{knob}"
    for knob in ("temperature_0.1", "temperature_0.4", "smoothing_0", "smoothing_0.3")
    for method in ("c", "cr")
)
"""MA's own settings beside its 0.2 and 0.1. Its gate needs no run: see the array ``gates``."""


class Stage(NamedTuple):
    """A parameter, or None for the default world alone, and what is trained there."""

    parameter: str | None
    experiments: tuple[str, ...]

    @property
    def worlds(self) -> tuple[str, ...]:
        """The worlds of the stage; the default, which all parameters share, is a stage before."""
        if self.parameter is None:
            return (DEFAULT_WORLD,)
        axis = PARAMETERS[self.parameter]
        return tuple(axis.world(value) for value in axis.values if value != axis.default)


STAGES: tuple[Stage, ...] = (
    Stage(None, REFINEMENT),
    # What contrast presupposes, then what refinement presupposes, then what hurts both.
    Stage("shared_dynamics", REFINEMENT),
    Stage("one_modality", REFINEMENT),
    Stage("asynchrony", REFINEMENT),
    Stage(None, KNOBS),
    Stage("train", REFINEMENT),
    # Grouping separates the modalities of an event, so its gain should grow with events of one of
    # them; and its class tokens are learnt from scratch, so it should grow with the videos.
    Stage(None, GROUPING),
    Stage("one_modality", GROUPING),
    Stage("missing", REFINEMENT),
    Stage("distractors", REFINEMENT),
    Stage("train", GROUPING),
)
"""The order in which the sweep is made."""


class Point(NamedTuple):
    """The experiments of one stage in one world."""

    world: str
    experiments: tuple[str, ...]


def points(pattern: str = "*") -> list[Point]:
    """What there is to make, in order, in the worlds whose names match ``pattern``.

    Raises:
        AvvpError: no world matches.
    """
    found = [
        Point(world, stage.experiments)
        for stage in STAGES
        for world in stage.worlds
        if fnmatch.fnmatchcase(world, pattern)
    ]
    if not found:
        worlds = dict.fromkeys(world for stage in STAGES for world in stage.worlds)
        raise AvvpError(f"No world of the sweep matches {pattern!r}; there are {', '.join(worlds)}")
    return found


@dataclass(frozen=True)
class Progress:
    """How far the sweep is at one point.

    Attributes:
        point: of :func:`points`.
        runs: how many it takes.
        missing: how many are not there yet.
    """

    point: Point
    runs: int
    missing: int


def progress(
    pattern: str = "*", *, seeds: int | None = None, runs: Path = RUNS, results: Path = RESULTS
) -> list[Progress]:
    """What is there and what is missing, by point, for training seeds 1 to ``seeds``.

    Raises:
        AvvpError: no world matches, or ``seeds`` is below 1.
    """
    count = _count(seeds)
    told = []
    for point in points(pattern):
        profile = at_world(SWEEP, point.world)
        lacking = missing(
            [REGISTRY[name] for name in point.experiments],
            profile=profile,
            source=open_source(point.world, profile),
            seeds=count,
            roots=(runs, results),
        )
        told.append(Progress(point, len(point.experiments) * count, len(lacking)))
    return told


def sweep(
    pattern: str = "*",
    *,
    seeds: int | None = None,
    device: str = "auto",
    runs: Path = RUNS,
    results: Path = RESULTS,
    keep_weights: bool = False,
) -> Iterator[Run]:
    """Make what is missing, run by run; what was cut off goes on from its last checkpoint.

    Args:
        pattern: of the worlds' names.
        seeds: training seeds 1 to n; None: as many as :data:`avvp.worlds.SWEEP` asks for.
        device: see :func:`avvp.devices.choose_device`.
        runs: where runs land.
        results: where else to look for what is there already.
        keep_weights: else the weights of a point are removed when it is complete.

    Raises:
        AvvpError: no world matches, ``seeds`` is below 1, or the device is not there.
    """
    count = _count(seeds)
    for point in points(pattern):
        profile = at_world(SWEEP, point.world)
        place = {"profile": profile, "source": open_source(point.world, profile), "runs": runs}
        experiments = [REGISTRY[name] for name in point.experiments]
        todo = missing(
            experiments,
            profile=profile,
            source=place["source"],
            seeds=count,
            roots=(runs, results),
        )
        waves = in_waves(todo, **place)
        # A seed after the other, and of a seed first what the rest starts from.
        jobs = sorted((job for wave in waves for job in wave), key=lambda job: job.seed)
        for job in jobs:
            # The sweep shows no embedding, and t-SNE would take a tenth of its time.
            experiment = replace(job.experiment, embedded=False)
            yield run(
                experiment,
                profile=profile,
                data=point.world,
                seed=job.seed,
                device=device,
                runs=runs,
                progress=False,
            )
        if not keep_weights:
            for job in jobs:
                weights = weights_path(job.experiment, seed=job.seed, **place).parent
                shutil.rmtree(weights, ignore_errors=True)


def _count(seeds: int | None) -> int:
    if seeds is None:
        return SWEEP.seeds
    if seeds < 1:
        raise AvvpError(f"seeds is {seeds}; it must be at least 1.")
    return seeds


def publish_sweep(*, runs: Path = RUNS, results: Path = RESULTS) -> Published:
    """Copy the sweep's runs to the folder that is committed, without timelines.

    Raises:
        AvvpError: a run, or its arrays, cannot be read.
    """
    return publish(
        "*",
        current=is_current,
        runs=runs,
        results=results,
        data="sim*",
        profiles=[SWEEP.name],
        without="timelines/",
    )
