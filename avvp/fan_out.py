"""Run every experiment that is missing, one after another or several at a time.

Each (experiment, seed) is one job of :class:`joblib.Parallel`, so that one word moves them from
this process to its neighbours or to a cluster. A job leaves nothing behind but its run: what was
cut off, even by ``kill -9``, goes on where it stood when the same command is given again.
"""

import errno
import os
import pickle
import re
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import cloudpickle
import joblib
from tqdm import tqdm

from avvp.cluster import WorkersLost, workers
from avvp.devices import choose_device, describe_device
from avvp.errors import AvvpError
from avvp.experiments import (
    REGISTRY,
    Experiment,
    Profile,
    Source,
    check_free,
    find_experiments,
    get_profile,
    open_source,
    run,
    trains_nothing,
    weights_path,
)
from avvp.groups import Member, in_groups, train_together
from avvp.models import MODELS
from avvp.results import RESULTS, RUNS, Run, find_runs, read_run, run_hash, run_path
from avvp.time_left import Task, TimeLeft
from avvp.worlds import at_world

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the operating system says when a disk, or a user's share of it, is full."""

REDRAW = 5.0
"""Seconds between two looks at the time left."""
ORPHAN = 1.0
"""Seconds between two looks of a worker at whether its parent is still there."""

_PACKAGE = Path(__file__).parent

_ALONE = threading.Lock()
"""Dropout draws from the one generator that all threads of a process have: a run at a time."""


class Job(NamedTuple):
    """One run to make."""

    experiment: Experiment
    seed: int

    def __str__(self) -> str:
        return f"{self.experiment.name} seed {self.seed}"

    @property
    def before(self) -> "list[Job]":
        """What it comes after, the nearest first."""
        name = self.experiment.after
        job = name and Job(REGISTRY[name], self.seed)
        return [job, *job.before] if job else []


class Outcome(NamedTuple):
    """What became of a job."""

    job: Job
    failure: str | None  # in one line
    disk_full: bool = False
    run: Run | None = None
    seconds: float = 0.0
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reproduction:
    """What a call of :func:`reproduce` did.

    Attributes:
        made: jobs that ran.
        present: how many runs were there already.
        failed: job -> the reason, in one line.
        not_run: job -> the reason: what it comes after failed, the disk was full, or the workers
            were lost.
        left_out: experiments that cannot run on this data, or that the profile leaves out, with
            the reason.
        said: about jobs that were to be trained together: which of them were not, and why.
    """

    made: list[str]
    present: int
    failed: dict[str, str]
    not_run: dict[str, str]
    left_out: dict[str, str]
    said: list[str] = field(default_factory=list)


class Stopped(AvvpError):
    """Workers were lost, and runs with them; ``done`` says what became of all others.

    Args:
        sentence: what happened, and to which jobs.
        done: see :class:`Reproduction`.
    """

    def __init__(self, sentence: str, done: Reproduction) -> None:
        super().__init__(sentence)
        self.done = done


def missing(
    experiments: Sequence[Experiment],
    *,
    profile: Profile,
    source: Source,
    seeds: int,
    roots: Sequence[Path],
) -> list[Job]:
    """The jobs without a run of the present configuration, data and seed under any root.

    Raises:
        AvvpError: a run that is there cannot be read.
    """
    # Seeds outermost: after one round every experiment has a number.
    jobs = [Job(experiment, seed) for seed in range(1, seeds + 1) for experiment in experiments]
    return [job for job in jobs if not _is_made(job, profile, source, roots)]


def _is_made(job: Job, profile: Profile, source: Source, roots: Sequence[Path]) -> bool:
    """Whether there is a run of the present configuration and data under any root."""
    wanted = run_hash(job.experiment.configuration(profile), source.fingerprint, job.seed)
    place = {
        "data": source.name,
        "profile": profile.name,
        "experiment": job.experiment.name,
        "seed": job.seed,
    }
    paths = (run_path(root, **place) for root in roots)
    return any(path.exists() and read_run(path).hash == wanted for path in paths)


def in_waves(
    jobs: Sequence[Job], *, profile: Profile, source: Source, runs: Path
) -> list[list[Job]]:
    """The jobs, and those whose weights they start from where these are not made, in an order.

    A job of one wave needs nothing but jobs of earlier waves.
    """
    todo = {str(job): job for job in jobs}
    for job in jobs:
        for earlier in job.before:
            place = {"profile": profile, "source": source, "seed": job.seed, "runs": runs}
            weights = weights_path(earlier.experiment, **place)
            # Weights without a run: it was cut off between training and scoring.
            if not (weights.exists() and _is_made(earlier, profile, source, [runs])):
                todo.setdefault(str(earlier), earlier)
    depths = sorted({job.experiment.depth for job in todo.values()})
    return [[job for job in todo.values() if job.experiment.depth == depth] for depth in depths]


def reproduce(
    *,
    profile: str,
    only: str | Sequence[str] | None = None,
    seeds: int | None = None,
    data: str = "sim",
    device: str = "auto",
    backend: str = "loky",
    jobs: int = 1,
    scheduler: str | None = None,
    together: int | None = None,
    runs: Path = RUNS,
    results: Path = RESULTS,
    progress: bool = True,
) -> Reproduction:
    """Train and score what is missing in ``runs`` and ``results``; an experiment that fails does
    not stop the others.

    What an experiment comes after is trained first, if its weights are not in ``runs``. When the
    disk is full, no further job begins.

    Args:
        profile: a name in :data:`avvp.registry.PROFILES`.
        only: pattern of experiment names, or several. None: all that the profile trains.
        seeds: train with seeds 1 to n; None: as many as the profile asks for.
        data: ``"sim"`` or the path of an HDF5 file.
        device: see :func:`avvp.devices.choose_device`.
        backend: a name in :data:`avvp.cluster.BACKENDS`.
        jobs: at a time, on this machine.
        scheduler: the address of a Dask or Ray cluster, which then takes the jobs.
        together: train so many runs of one shape as one computation; see
            :func:`avvp.groups.in_groups`, also for None.
        runs: where new runs land.
        results: where else to look for what is there already.
        progress: show a bar with the time left.

    Raises:
        AvvpError: a name is unknown, the data is not there, or ``runs`` cannot be written to or has
            runs that would be replaced: see :func:`avvp.experiments.check_free`.
        Stopped: a worker of this machine was killed, or a cluster gave up.
    """
    size = get_profile(profile)
    if not size.seeds:
        raise AvvpError(trains_nothing(size))
    for name, value in (("seeds", seeds), ("jobs", jobs), ("together", together)):
        if value is not None and value < 1:
            raise AvvpError(f"{name} is {value}; it must be at least 1.")
    # The devices of a cluster are not those of this machine.
    chosen = choose_device(device, elsewhere=scheduler is not None)
    own = describe_device(chosen) if scheduler is None else None
    size = at_world(size, data)
    source = open_source(data, size)
    left_out, wanted = {}, []
    patterns = [only] if isinstance(only, str) else list(only or [])
    for experiment in find_experiments(*(patterns or ["*"])):
        if size.core_only and not experiment.core and not patterns:
            left_out[experiment.name] = f"profile {profile} trains core rows only"
        elif not (experiment.trained_by(profile) or experiment.name in patterns):
            left_out[experiment.name] = f"profile {profile} trains it only if it is named"
        elif experiment.simulated_only and isinstance(source.origin, Path):
            left_out[experiment.name] = "it knows only the simulator"
        else:
            wanted.append(experiment)
    count = seeds or size.seeds
    todo = missing(wanted, profile=size, source=source, seeds=count, roots=(runs, results))
    waves = in_waves(todo, profile=size, source=source, runs=runs)
    for experiment, seed in chain.from_iterable(waves):
        check_free(experiment, profile=size, source=source, seed=seed, runs=runs)
    # The working folder of a worker is another one.
    runs = runs.resolve()
    file = source.origin.resolve() if isinstance(source.origin, Path) else None
    data = str(file or data)
    arguments = {"profile": size, "data": data, "device": device, "runs": runs}
    made, failed, not_run, said = [], {}, {}, []
    disk_full = False
    tasks = [
        [Task(str(job), job.experiment.name, job.experiment.configuration(size)) for job in wave]
        for wave in waves
    ]
    known = _measured(tasks, runs, results, own) if progress else {}
    present = len(wanted) * count - len(todo)
    inline = backend == "sequential" or (backend == "loky" and jobs == 1)
    arguments["progress"] = progress and inline
    # On a cluster it is the scheduler that ends the runs of who has gone.
    parent = os.getpid() if backend == "loky" and not inline else None
    last = ""

    def calls(groups: Iterable[Sequence[Member]]) -> Iterator[tuple]:
        # joblib asks for the next ones as workers become free.
        for group in groups:
            if disk_full:
                return
            members = [Job(*member) for member in group]
            left.sent(map(str, members))
            if inline:
                yield joblib.delayed(_attempt_together)(members, arguments)
            else:
                yield joblib.delayed(_attempt_elsewhere)(_packed(members, arguments), parent=parent)

    def show() -> None:
        bar.set_postfix_str(f"{left}{last}")

    try:
        with (
            workers(
                backend, jobs=jobs, scheduler=scheduler, runs=runs, data=file, device=device
            ) as at_a_time,
            tqdm(
                total=sum(map(len, waves)),
                desc=f"profile {profile}",
                # No time from the number of runs: they differ by a factor of fifty.
                bar_format="{desc} |{bar:20}| {n_fmt} of {total_fmt} runs, {elapsed} so far"
                "{postfix}",
                disable=not progress or not todo,
            ) as bar,
            nullcontext(TimeLeft(tasks, workers=at_a_time, **known)) as left,
            nullcontext() if bar.disable else _now_and_then(show, every=REDRAW),
        ):
            if todo:
                _check_writable(runs)
            for wave in waves:
                for job in wave:
                    lost = [str(b) for b in job.before if {str(b)} & {*failed, *not_run}]
                    if lost:
                        not_run[str(job)] = f"it comes after {lost[-1]}, which was not made"
                        left.over(str(job))
                ready = [job for job in wave if str(job) not in not_run]
                groups, alone = in_groups(
                    ready,
                    limit=together,
                    profile=size,
                    source=source,
                    device=chosen,
                    runs=runs,
                )
                said += [f"trained alone: {name}: {why}" for name, why in alone.items()]
                outcomes = joblib.Parallel(return_as="generator_unordered")(calls(groups))
                for outcome in chain.from_iterable(outcomes):
                    job, failure, full, made_run, seconds, notes = outcome
                    disk_full |= full
                    said += notes
                    if failure is None:
                        made.append(str(job))
                    else:
                        failed[str(job)] = failure
                    left.over(str(job), made_run, seconds)
                    last = f"; {job} {'failed' if failure else 'done'}"
                    show()
                    bar.update()
                unfinished = {str(job) for job in ready} - {*made, *failed}
                not_run |= dict.fromkeys(sorted(unfinished), "the disk is full")
    except WorkersLost as error:
        cut_off = list(left.under_way())
        for name in map(str, chain.from_iterable(waves)):
            if name not in {*made, *failed, *not_run}:
                began = "it was under way" if name in cut_off else "it had not begun"
                not_run[name] = f"{began} when the workers were lost"
        told = f"{str(error).removesuffix('.')}; under way: {', '.join(cut_off) or 'nothing'}."
        done = Reproduction(made, present, failed, not_run, left_out, said)
        raise Stopped(told, done) from None
    return Reproduction(made, present, failed, not_run, left_out, said)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        NamedTemporaryFile(dir=folder, prefix=".writable.").close()
    except OSError as error:
        raise AvvpError(
            f"Nothing can be written to {folder} ({error.strerror}); change that, or name another "
            "folder with --runs."
        ) from None


@contextmanager
def _now_and_then(call: Callable[[], object], *, every: float) -> Iterator[None]:
    """Call something every few seconds while the block runs, from a thread of its own."""
    over = threading.Event()

    def go_on() -> None:
        call()
        while not over.wait(every):
            call()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _packed(jobs: Sequence[Job], arguments: dict[str, Any]) -> bytes:
    """What a process needs that makes some jobs and knows the package alone.

    Classes of a reader's own method travel as they are: a worker may not find the file.
    """
    entries = {each.experiment.name: each.experiment for job in jobs for each in (job, *job.before)}
    models = {e.model: MODELS[e.model] for e in entries.values() if e.model in MODELS}
    entries = {name: experiment.with_code() for name, experiment in entries.items()}
    kinds = {*models.values(), *(type(experiment.objective) for experiment in entries.values())}
    modules = [sys.modules[name] for name in {kind.__module__ for kind in kinds} - {"__main__"}]
    own = [m for m in modules if _is_own(Path(m.__file__))]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        names = [(job.experiment.name, job.seed) for job in jobs]
        return cloudpickle.dumps((names, entries, models, arguments))
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _attempt_elsewhere(content: bytes, *, parent: int | None = None) -> list[Outcome]:
    """:func:`_attempt_together` in another process, of what :func:`_packed` packed.

    Raises:
        AvvpError: a method needs what cannot be imported here.
    """
    try:
        names, entries, models, arguments = pickle.loads(content)
    except ImportError as error:
        raise AvvpError(
            f"A worker cannot import what a method needs ({error}); put it into the file of the "
            "method, or where the Python of all workers finds it."
        ) from None
    for name, experiment in entries.items():
        # What is known already needs no hash of its code: this may be a thread of the same process.
        if REGISTRY.get(name) != replace(experiment, code=""):
            REGISTRY[name] = experiment
    MODELS.update(models)
    jobs = [Job(entries[name], seed) for name, seed in names]
    return _attempt_together(jobs, arguments, parent=parent)


def _attempt_together(
    jobs: Sequence[Job], arguments: dict[str, Any], *, parent: int | None = None
) -> list[Outcome]:
    """Train several jobs as one computation, then run each, which finds itself trained.

    Args:
        jobs: of one group.
        arguments: of :func:`avvp.experiments.run`, for all of them.
        parent: the process without which this one ends: nobody would take what it makes, and the
            same command, given again, would make it a second time in the same folders.
    """

    def end_as_orphan() -> None:
        if os.getppid() != parent:
            os._exit(1)  # files are written so that it may happen at any moment

    started = time.monotonic()
    with _now_and_then(end_as_orphan, every=ORPHAN) if parent else nullcontext():
        try:
            with _ALONE:
                said = train_together(jobs, **arguments)
        except Exception as error:  # as below
            failed = [_failed(job, error, arguments["runs"]) for job in jobs]
            if len(jobs) == 1 or isinstance(error, AvvpError | OSError):
                return failed
            # What torch has no batched form of may well be trained by itself.
            return [
                each._replace(failure=f"{each.failure}; --together 1 trains it alone")
                for each in failed
            ]
        share = (time.monotonic() - started) / len(jobs)
        outcomes = [_attempt(job, arguments) for job in jobs]
    outcomes[0] = outcomes[0]._replace(said=tuple(said))
    return [outcome._replace(seconds=outcome.seconds + share) for outcome in outcomes]


def _attempt(job: Job, arguments: dict[str, Any]) -> Outcome:
    """Run one job."""
    started = time.monotonic()
    try:
        with _ALONE:
            made = run(job.experiment, seed=job.seed, **arguments)
    except Exception as error:  # whatever a wrong experiment raises: others still run
        return _failed(job, error, arguments["runs"])
    return Outcome(job, None, run=made, seconds=time.monotonic() - started)


def _failed(job: Job, error: Exception, runs: Path) -> Outcome:
    """What an error says, in one line."""
    if isinstance(error, AvvpError):
        return Outcome(job, str(error))
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return Outcome(
            job,
            f"The disk of {runs} is full ({error.strerror}): make room and give "
            "the same command again; what is finished is kept.",
            disk_full=True,
        )
    files = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    file, line = [f for f in files if f[0].is_relative_to(_PACKAGE) or _is_own(f[0])][-1]
    place = f"{file.name}:{line}"
    lines = f"{type(error).__name__}: {error}".splitlines()
    return Outcome(job, f"{lines[0]} ({place})")


def _is_own(file: Path) -> bool:
    """Whether a file is of a reader's own method: neither of the package nor of a library."""
    libraries = map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))
    known = (_PACKAGE, *libraries)
    return not (file.name.startswith("<") or any(map(file.is_relative_to, known)))


def _measured(
    tasks: Sequence[Sequence[Task]], runs: Path, results: Path, device: str | None
) -> dict[str, list[Run]]:
    """Runs of the same experiments, of any profile: made by this device (None: by any whose runs
    land here), and elsewhere.
    """

    def machine(device: str) -> str:
        return re.sub(r", \d+ threads?$", "", device)

    here, elsewhere = [], []
    for name in sorted({task.experiment for wave in tasks for task in wave}):
        for path, made in find_runs([runs, results], experiment=name).items():
            same = device is None or machine(made.device) == machine(device)
            ours = path.is_relative_to(runs) and same
            (here if ours else elsewhere).append(made)
    return {"here": here, "elsewhere": elsewhere}
