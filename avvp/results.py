"""The store of results: what a run measured, and everything that determined it.

A run is two files side by side, ``<root>/<data>/<profile>/<experiment>/seed-<n>.json`` and ``.npz``
(the name of an experiment contains a ``/``: ``han/han``). There are two roots: ``runs/``, which git
ignores and where every run lands, and ``results/``, which is committed and which the book shows.
The JSON is written last, and that of a replaced run removed first, so that a run exists when its
JSON does.
"""

import dataclasses
import fnmatch
import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from avvp.atomic import atomic_path, write_text
from avvp.errors import AvvpError
from avvp.metrics import LEVELS, METRICS, Scores

SCHEMA = 1
_WHOLE = (METRICS, *(tuple(f"{level}/{own}" for level in LEVELS) for own in ("audio", "visual")))

_checkout = Path(__file__).resolve().parents[1]
HOME = _checkout if (_checkout / "pyproject.toml").is_file() else Path()
"""Where ``runs/`` and ``results/`` are: the checkout, or the working folder if there is none."""
RUNS = HOME / "runs"
RESULTS = HOME / "results"


@dataclass(frozen=True)
class Run:
    """One experiment, trained with one seed and scored on the test split.

    Attributes:
        experiment: its name in the registry.
        profile: ``"smoke"`` to ``"full"``.
        data: short name of the data source: ``"sim"``, or the stem of an HDF5 file.
        simulated: whether the features were simulated. Such a score says nothing about LLP.
        seed: of initialisation, shuffling and dropout.
        configuration: model, options, loss, protocol and sizes, as the profile left them.
        data_fingerprint: of the three splits.
        commit: of the code; ends in ``-dirty`` when files differed from it.
        versions: Python and the libraries that decide numbers.
        device: what computed.
        seconds: wall-clock time of training, without loading and scoring; of a run that was trained
            with others its share.
        peak_memory: bytes; of the accelerator if one computed, else resident, of the process; of a
            run that was trained with others, of all of them.
        parameters: trainable numbers in the network.
        metrics: the ten numbers in per cent, by the keys of :data:`avvp.metrics.METRICS`; of a
            method that parses one modality the two that it has.
        counts: (2, 4, C, 3) nested lists, TP, FP and FN by level, modality and class:
            :class:`avvp.metrics.Evaluation`.
        hash: of what determines the run; see :func:`run_hash`.
        stale: somebody noted that the registry has changed since.
        after: the hash of the run whose network this one started from, if it did.
        together: the names of all runs that were trained with this one as one computation, itself
            among them, if it was not alone. It then drew other random numbers for its dropout.
    """

    experiment: str
    profile: str
    data: str
    simulated: bool
    seed: int
    configuration: dict[str, Any]
    data_fingerprint: str
    commit: str
    versions: dict[str, str]
    device: str
    seconds: float
    peak_memory: int
    parameters: int
    metrics: dict[str, float]
    counts: list
    hash: str
    stale: bool = False
    after: str | None = None
    together: list | None = None


def run_hash(configuration: Mapping[str, Any], data_fingerprint: str, seed: int) -> str:
    """What finds a run again: sha256 of configuration, data and seed, but not of the commit."""
    content = {"configuration": configuration, "data": data_fingerprint, "seed": seed}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_path(root: str | Path, *, data: str, profile: str, experiment: str, seed: int) -> Path:
    """Where the JSON of a run lies under ``root``."""
    return Path(root) / data / profile / experiment / f"seed-{seed}.json"


def root_of(path: Path, run: Run) -> Path:
    """The folder of all runs, from where the JSON of one lies.

    Raises:
        AvvpError: it lies elsewhere than :func:`write_run` left it.
    """
    own = run_path(
        "", data=run.data, profile=run.profile, experiment=run.experiment, seed=run.seed
    ).parts
    there = path.resolve()
    if there.parts[-len(own) :] != own:
        raise AvvpError(
            f"{path} does not lie where runs do, in .../{Path(*own)}; say where all runs and their "
            "weights are with --runs."
        )
    return there.parents[len(own) - 1]


def write_run(root: str | Path, run: Run, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a run and its arrays, each completely or not at all; returns the path of the JSON.

    Raises:
        OSError: the disk is full or not writable. No half-written file is left.
    """
    path = run_path(
        root, data=run.data, profile=run.profile, experiment=run.experiment, seed=run.seed
    )
    content = _as_json(run)
    with atomic_path(path.with_suffix(".npz")) as temporary:
        _save_arrays(temporary, arrays)
        # The JSON of an older run must never lie beside the arrays of this one: cut off between the
        # two, there is no run.
        path.unlink(missing_ok=True)
    write_text(path, content)
    return path


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays beside the JSON at ``path``, completely or not at all."""
    with atomic_path(path.with_suffix(".npz")) as temporary:
        _save_arrays(temporary, arrays)


def _save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with path.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def _as_json(run: Run) -> str:
    # One line an entry: short enough to read, and a change shows where it is.
    lines = (
        f" {json.dumps(name)}: {json.dumps(value, allow_nan=False)}"
        for name, value in {"schema": SCHEMA, **asdict(run)}.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_run(path: str | Path) -> Run:
    """Read the JSON of a run.

    Raises:
        AvvpError: the file is damaged, or not a run of this version.
    """
    path = Path(path)
    advice = "delete it and run `avvp reproduce` again"
    if path.suffix != ".json":
        raise AvvpError(
            f"{path} is not the JSON file of a run, such as runs/sim/quick/han/han/seed-1.json."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AvvpError(f"{path} is not there.") from None
    except ValueError as error:
        raise AvvpError(f"{path} is not complete JSON ({error}); {advice}.") from None
    schema = content.pop("schema", None) if isinstance(content, dict) else None
    if schema is None:
        raise AvvpError(f"{path} has no schema, so it is not the JSON file of a run.")
    if schema != SCHEMA:
        raise AvvpError(
            f"{path} has schema {schema!r}, this version of avvp reads {SCHEMA}; {advice}."
        )
    for field in dataclasses.fields(Run):
        if field.name not in content:
            if field.default is not dataclasses.MISSING:
                continue
            raise AvvpError(f"{path} has no entry {field.name!r}; {advice}.")
        kind = getattr(field.type, "__origin__", field.type)
        value = content[field.name]
        # JSON has one kind of number, Python has two and counts bool among the integers.
        right = isinstance(value, (int, float) if kind is float else kind)
        if not right or (isinstance(value, bool) and kind is not bool):
            raise AvvpError(
                f"{path}: {field.name!r} is {value!r}, expected {getattr(kind, '__name__', kind)}; "
                f"{advice}."
            )
    unknown = sorted(set(content) - {field.name for field in dataclasses.fields(Run)})
    if unknown:
        raise AvvpError(f"{path} has an unknown entry {unknown[0]!r}; {advice}.")
    scores = content["metrics"]
    if tuple(scores) not in _WHOLE or not all(
        isinstance(score, (int, float)) and math.isfinite(score) for score in scores.values()
    ):
        raise AvvpError(f"{path}: 'metrics' does not hold the ten numbers; {advice}.")
    return Run(**content | {"metrics": Scores(scores)})


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays beside the JSON at ``path``; :func:`avvp.experiments.run` lists them.

    Raises:
        AvvpError: the file is missing or damaged.
    """
    path = Path(path).with_suffix(".npz")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except FileNotFoundError:
        reason = "is not there"
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = f"cannot be read ({error})"
    raise AvvpError(f"{path} {reason}; delete the run and make it again with `avvp reproduce`.")


def find_runs(
    roots: Path | Sequence[Path],
    *,
    data: str = "*",
    profile: str = "*",
    experiment: str = "*",
    seed: int | None = None,
    fingerprint: str | None = None,
) -> dict[Path, Run]:
    """The runs under some roots, by the path of their JSON, in the order of their paths.

    Args:
        roots: one folder or several. A run that lies in more than one is taken from the first.
        data, profile, experiment: exact, or patterns with ``*`` and ``?``.
        seed: one seed, or all.
        fingerprint: of the data, or None for any: two files may have had the same name.

    Raises:
        AvvpError: a JSON file there is damaged.
    """
    found: dict[tuple, tuple[Path, Run]] = {}
    for root in [roots] if isinstance(roots, Path) else roots:
        for path in sorted(root.glob("*/*/**/seed-*.json")):
            source, size, *parts, file = path.relative_to(root).parts
            name = "/".join(parts)
            if seed is not None and file != f"seed-{seed}.json":
                continue
            wanted = ((source, data), (size, profile), (name, experiment))
            # The name of a file may hold what fnmatch would read as a set of characters.
            if all(fnmatch.fnmatchcase(x, pattern.replace("[", "[[]")) for x, pattern in wanted):
                key = (source, size, name, len(file), file)
                if key in found:
                    continue
                run = read_run(path)
                if fingerprint in (None, run.data_fingerprint):
                    found[key] = (path, run)
    return dict(found[key] for key in sorted(found))


class Published(NamedTuple):
    """What became of the runs that were to be published."""

    copied: list[Path]  #: the committed runs that are new, or were given arrays
    present: list[Path]  #: the committed runs that lack nothing
    skipped: dict[Path, str]  #: run -> why it is not published


def publish(
    pattern: str,
    *,
    current: Callable[[Run], bool],
    runs: Path = RUNS,
    results: Path = RESULTS,
    data: str = "*",
    profiles: Iterable[str] = ("medium", "full"),
    without: str | None = None,
) -> Published:
    """Copy runs, and their arrays, to the folder that is committed.

    A committed run is replaced only by one of another definition, while it is itself outgrown; the
    same run is given the arrays that it lacks and keeps those that it has.

    Args:
        pattern: of experiment names.
        current: :func:`avvp.experiments.is_current`; a run that is outgrown is not published.
        runs, results: from where to where.
        data: pattern of data names.
        profiles: smaller ones decide no claim and are not published.
        without: arrays whose names start so are not copied.

    Raises:
        AvvpError: a run, or its arrays, cannot be read.
    """
    done = Published([], [], {})
    for profile in profiles:
        for path, run in find_runs(runs, data=data, profile=profile, experiment=pattern).items():
            target = results / path.relative_to(runs)
            there = read_run(target) if target.is_file() else None
            reason = _why_not(run, there, target, current)
            if reason:
                done.skipped[path] = reason
                continue
            arrays = {
                name: array
                for name, array in read_arrays(path).items()
                if without is None or not name.startswith(without)
            }
            if there and there.hash == run.hash:
                known = read_arrays(target)
                if not there.stale and arrays.keys() <= known.keys():
                    done.present.append(target)
                    continue
                run, arrays = dataclasses.replace(there, stale=False), arrays | known
            done.copied.append(write_run(results, run, arrays))
    return done


def _why_not(
    run: Run, there: Run | None, target: Path, current: Callable[[Run], bool]
) -> str | None:
    """Why a run is not published to where ``there`` is, or None."""
    if run.stale or not current(run):
        return "the registry or the simulator has outgrown it, or lacks it"
    if there is None:
        return None
    if there.hash != run.hash:
        if current(there) and not there.stale:
            return f"{target} was made on other data of that name; delete it to publish this one"
    elif (there.metrics, there.counts) != (run.metrics, run.counts):
        return f"{target} is the same run with other scores; delete it to publish this one"
    return None


def mark_stale(path: Path) -> None:
    """Note in a run's file that the registry has changed since; tables then say so."""
    write_text(path, _as_json(dataclasses.replace(read_run(path), stale=True)))


class Estimate(NamedTuple):
    """A mean over seeds and half its 95 % interval; one run has no interval."""

    mean: float
    half_width: float | None


class Summary(NamedTuple):
    """What several seeds of one experiment say together."""

    runs: int
    metrics: dict[str, Estimate]  #: those that the experiment has
    seconds: float  #: mean
    stale: bool  #: any of them


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and half-width t(n-1) s / sqrt(n) of a two-sided 95 % interval."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None)
    spread = float(np.std(values, ddof=1))
    return Estimate(mean, float(stats.t.ppf(0.975, count - 1)) * spread / math.sqrt(count))


def summarise(runs: Iterable[Run]) -> Summary:
    """Mean and interval of every metric over the seeds of one experiment.

    Raises:
        AvvpError: there are no runs, or they are not seeds of one experiment, profile and data set.
    """
    runs = list(runs)
    if not runs:
        raise AvvpError("There are no runs to summarise.")
    kinds = {(run.experiment, run.profile, run.data_fingerprint) for run in runs}
    if len(kinds) > 1 or len({run.seed for run in runs}) < len(runs):
        first, *_ = sorted(kinds)
        raise AvvpError(
            f"These {len(runs)} runs are not different seeds of one experiment, profile and data "
            f"set (one is {first[0]}, {first[1]}); summarise each group by itself."
        )
    return Summary(
        len(runs),
        {name: estimate([run.metrics[name] for run in runs]) for name in runs[0].metrics},
        math.fsum(run.seconds for run in runs) / len(runs),
        any(run.stale for run in runs),
    )
