"""How long the runs that are left will take, as a range, from runs that were measured.

Runs differ by a factor of fifty in cost, so their number says nothing about the time. What does is
another run of the same experiment, or at least of the same network: its seconds, in proportion to
the steps that either takes. A run that was measured on another machine counts only after an
experiment that ran on both has told how the machines compare; until then the time left is called
unknown.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from statistics import median
from typing import Any, NamedTuple

from avvp.results import Run

ENOUGH = 200
"""Steps of a run from which a longer one can be foretold: a shorter one is mostly start and end."""
ONE = 2.0
"""What is known from a single run, or from another experiment, may be off by this factor: machines
have other things to do, and the committed seeds of an experiment differ by as much."""
SEVERAL = 1.25
"""And by this one beyond the range of several."""
STRAY = 4
"""One in so many is left out at either end of a range: machines are now and then very busy."""


class Range(NamedTuple):
    """From the least to the most, in seconds (or as a ratio)."""

    low: float
    high: float

    def __mul__(self, other: "Range") -> "Range":
        return Range(self.low * other.low, self.high * other.high)

    def widened(self, factor: float) -> "Range":
        """By a factor on either side."""
        return Range(self.low / factor, self.high * factor)


def _around(ranges: Iterable[Range]) -> Range:
    lows, highs = zip(*ranges, strict=True)
    return Range(min(lows), max(highs))


def _without_strays(ranges: Iterable[Range]) -> Range:
    lows, highs = zip(*ranges, strict=True)
    stray = len(lows) // STRAY
    return Range(sorted(lows)[stray], sorted(highs)[-1 - stray])


class Work(NamedTuple):
    """How much a run computes, in the two units that its time may be in proportion to."""

    steps: int
    videos: int  # that pass through the network, a video counting once an epoch


def work_of(configuration: Mapping[str, Any]) -> Work:
    """The work of a run (:class:`avvp.results.Run`), pre-training included.

    Where nothing is trained the test videos are all there is, one a step.
    """
    train, test = (configuration["videos"][split] for split in ("train", "test"))
    stages = [configuration["training"], configuration.get("pretraining")]
    stages = [stage for stage in stages if stage]
    if not stages:
        return Work(test, test)
    steps = sum(stage["epochs"] * math.ceil(train / stage["batch_size"]) for stage in stages)
    return Work(steps, sum(stage["epochs"] for stage in stages) * train)


def scaled(run: Run, configuration: Mapping[str, Any]) -> Range | None:
    """The seconds of a measured run, in proportion to the work of another configuration.

    From the number of steps to the number of videos: what counts depends on the device. None: the
    network is another one, or the run is too short to tell.
    """
    for entry in ("model", "options"):
        if run.configuration[entry] != configuration[entry]:
            return None
    known, wanted = work_of(run.configuration), work_of(configuration)
    if known.steps < min(ENOUGH, wanted.steps):
        return None
    ratios = [new / old for new, old in zip(wanted, known, strict=True)]
    return Range(run.seconds * min(ratios), run.seconds * max(ratios))


class Task(NamedTuple):
    """A run to be made."""

    name: str
    experiment: str
    configuration: Mapping[str, Any]


class TimeLeft:
    """What is known of the time that a sequence of runs will still take.

    Several threads may tell and ask: joblib sends jobs off in some of its own.

    Args:
        waves: tasks of one wave wait for those of the one before.
        here: runs that this machine made earlier.
        elsewhere: runs of other machines, or nobody knows which.
        workers: tasks at a time.
        clock: the time in seconds.
    """

    def __init__(
        self,
        waves: Sequence[Sequence[Task]],
        *,
        here: Iterable[Run] = (),
        elsewhere: Iterable[Run] = (),
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = [{task.name: task for task in wave} for wave in waves]
        self._here, self._elsewhere = list(here), list(elsewhere)
        self._fresh: list[Run] = []
        self._beside: list[float] = []
        self._workers = workers
        self._clock = clock
        self._sent: dict[tuple[str, ...], float | None] = {}
        self._lock = threading.RLock()

    def sent(self, names: Iterable[str]) -> None:
        """Tasks were sent off as one computation; it begins as soon as a worker is free for it."""
        with self._lock:
            self._sent[tuple(names)] = None
            self._take_next()

    def over(self, name: str, run: Run | None = None, seconds: float = 0.0) -> None:
        """A task is over, and so is the computation that it was part of.

        Args:
            name: of the task.
            run: what it made; None if it failed, or is not made.
            seconds: that it took, with everything that a run does besides training.
        """
        with self._lock:
            for wave in self._left:
                wave.pop(name, None)
            self._sent = {names: since for names, since in self._sent.items() if name not in names}
            self._take_next()
            if run:
                self._fresh.append(run)
                self._beside.append(max(0.0, seconds - run.seconds))

    def _take_next(self) -> None:
        # Workers take computations in the order in which they were sent.
        for names in islice(self._sent, self._workers):
            if self._sent[names] is None:
                self._sent[names] = self._clock()

    def under_way(self) -> dict[str, float]:
        """The tasks that workers are at, and the seconds that each has had of them so far."""
        with self._lock:
            now = self._clock()
            return {
                name: (now - since) / len(names)
                for names, since in self._sent.items()
                if since is not None
                for name in names
            }

    def of(self, task: Task) -> Range | None:
        """How long a task will take; None where nothing comparable is known."""
        for known in (self._fresh, self._here):
            if found := _foretold(known, task):
                return _without_strays(found).widened(ONE if len(found) == 1 else SEVERAL)
        devices = {run.device for run in self._elsewhere}
        found = []
        for device in sorted(devices):
            runs = [run for run in self._elsewhere if run.device == device]
            ratio = self._ratio(runs)
            there = _foretold(runs, task)
            if ratio and there:
                found.append(_without_strays(there) * ratio)
        if not found:
            kin = (scaled(run, task.configuration) for run in chain(self._fresh, self._here))
            found = [time.widened(ONE) for time in kin if time]
        return _around(found) if found else None

    def _ratio(self, elsewhere: Sequence[Run]) -> Range | None:
        """The seconds of runs here over those of the same ones elsewhere."""
        ratios: dict[str, list[Range]] = {}
        for run in chain(self._here, self._fresh):
            task = Task("", run.experiment, run.configuration)
            for there in _foretold(elsewhere, task):
                if there.low > 0:
                    ratio = Range(run.seconds / there.high, run.seconds / there.low)
                    ratios.setdefault(run.experiment, []).append(ratio)
        if not ratios:
            return None
        each = map(_without_strays, ratios.values())
        return _without_strays(each).widened(ONE if len(ratios) == 1 else SEVERAL)

    def all(self) -> tuple[Range, int]:
        """The time of all tasks of known length, and the number of the others.

        Of a task that is under way, what is left; if it was to be over by now, its length is
        unknown.
        """
        low = high = 0.0
        unknown = 0
        with self._lock:
            beside = median(self._beside) if self._beside else 0.0
            spent = self.under_way()
            for wave in self._left:
                times = [
                    self._rest(task, beside, spent.get(task.name, 0.0)) for task in wave.values()
                ]
                known = [time for time in times if time]
                unknown += len(times) - len(known)
                if known:
                    lows, highs = zip(*known, strict=True)
                    # The longest task takes its time, however many workers there are.
                    low += max(sum(lows) / self._workers, *lows)
                    high += max(sum(highs) / self._workers, *highs)
        return Range(low, high), unknown

    def _rest(self, task: Task, beside: float, spent: float) -> Range | None:
        """What is left of a task; None where that is unknown."""
        whole = self.of(task)
        if whole is None or spent > whole.high + beside:
            return None
        return Range(max(0.0, whole.low + beside - spent), whole.high + beside - spent)

    def __str__(self) -> str:
        with self._lock:
            (low, high), unknown = self.all()
            left = sum(map(len, self._left))
        if not left:
            return "nothing left"
        if unknown == left:
            return "time left unknown yet"
        least, most = in_words(low), in_words(high)
        told = f"{least} to {most} left" if least != most else f"about {most} left"
        return told + (f" and {unknown} of unknown length" if unknown else "")


def _foretold(runs: Iterable[Run], task: Task) -> list[Range]:
    same = (run for run in runs if run.experiment == task.experiment)
    return [time for run in same if (time := scaled(run, task.configuration))]


def in_words(seconds: float) -> str:
    """A duration in the unit that suits it: ``40 s``, ``35 min``, ``4.2 h``, ``2.5 days``."""
    for most, unit, length, digits in (
        (90, "s", 1, 0),
        (90 * 60, "min", 60, 0),
        (36 * 3600, "h", 3600, 1),
    ):
        if seconds < most:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
