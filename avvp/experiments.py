"""Run an entry of the registry: train, parse the test split, score, write.

An experiment that comes ``after`` another one (label refinement, another decision rule) needs the
weights that the other one's run left under ``runs``; its configuration contains the other's, so
that a change of the first stage makes the second one stale.
"""

import fnmatch
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import avvp
from avvp.atomic import remove_leftovers
from avvp.data import load
from avvp.data.oracle import oracle
from avvp.data.simulate import SPLITS, SimulatorConfig
from avvp.data.store import check_name, describe
from avvp.data.videos import Videos
from avvp.devices import PeakMemory, choose_device, describe_device
from avvp.embedding import event_embedding
from avvp.errors import AvvpError
from avvp.events import Gate, Parsing, Thresholds
from avvp.grounding import pretrain
from avvp.metrics import METRICS
from avvp.models import build
from avvp.published import Row, published_cells
from avvp.refinement import Refined, refine, removals
from avvp.registry import (
    PROFILES,
    REGISTRY,
    Change,
    Experiment,
    Override,
    Profile,
)
from avvp.results import HOME, RUNS, Run, read_run, run_hash, run_path, write_run
from avvp.scored import scored
from avvp.training import SELECTED, fit, predict, read_weights, seeded
from avvp.worlds import SWEEP, at_world, is_world, simulator_of

__all__ = [
    "PROFILES",
    "REGISTRY",
    "Change",
    "Experiment",
    "Override",
    "Predicted",
    "Profile",
    "Source",
    "check_free",
    "find_experiments",
    "get_profile",
    "is_current",
    "network_before",
    "one_step",
    "open_source",
    "open_split",
    "predict_again",
    "predict_with",
    "refined_by",
    "rows_without_experiment",
    "run",
    "targets_from",
    "trains_nothing",
    "weights_path",
]
_THRESHOLDS = tuple(f"thresholds/{name}" for name in Thresholds._fields)
"""Arrays of a run that tuned them."""


def get_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        AvvpError: there is none.
    """
    if name not in PROFILES:
        raise AvvpError(f"There is no profile {name!r}; choose one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def trains_nothing(profile: Profile) -> str:
    """What to say where a profile that only shows results is to train."""
    return (
        f"Profile {profile.name!r} shows committed results and trains nothing; choose smoke, "
        "quick, medium or full."
    )


def find_experiments(*patterns: str) -> list[Experiment]:
    """The experiments whose names match a pattern (``*`` and ``?``), in the registry's order.

    Raises:
        AvvpError: a pattern matches none.
    """
    found = {p: [name for name in REGISTRY if fnmatch.fnmatchcase(name, p)] for p in patterns}
    for pattern, names in found.items():
        if not names:
            raise AvvpError(
                f"No experiment matches {pattern!r}; there are {', '.join(REGISTRY)}. One of your "
                "own is read from its file: avvp --with FILE.py COMMAND."
            )
    return [e for name, e in REGISTRY.items() if any(name in names for names in found.values())]


def rows_without_experiment() -> list[Row]:
    """The printed rows with scores in per cent that no experiment regenerates yet."""
    covered = {row for experiment in REGISTRY.values() for row in experiment.rows}
    scored = dict.fromkeys(
        cell.place for cell in published_cells() if cell.key in METRICS and cell.unit == "F1 %"
    )
    return [row for row in scored if row not in covered]


class Source(NamedTuple):
    """Where the three splits come from."""

    name: str  #: in paths
    origin: SimulatorConfig | Path
    simulated: bool
    fingerprint: str

    @property
    def in_words(self) -> str:
        """What numbers are measured on, in words: ``simulated LLP`` or the name of a file."""
        return data_in_words(self.name, simulated=self.simulated)

    @property
    def of_runs(self) -> str | None:
        """The fingerprint of the runs to show: another file may have had the same name.

        Runs on data simulated before the simulator changed stay in sight, as stale: None.
        """
        return self.fingerprint if isinstance(self.origin, Path) else None


def data_in_words(data: str, *, simulated: bool) -> str:
    """What numbers are measured on, in words; ``data`` is the short name of the source."""
    return "simulated LLP" if simulated else data


def open_source(data: str, profile: Profile) -> Source:
    """What ``--data`` means: ``"sim"``, another world of :mod:`avvp.worlds`, or an HDF5 file.

    Raises:
        AvvpError: there is no such file, or it is not one of ours.
    """
    if not is_world(data):
        path = Path(data)
        check_name(path)
        state = path.stat() if path.is_file() else None
        return _file_source(path, state and (state.st_size, state.st_mtime_ns))
    config = simulator_of(data, profile)
    fingerprint = "-".join(config.fingerprint(split) for split in SPLITS)
    return Source(data, config, True, fingerprint)


@lru_cache(maxsize=4)
def _file_source(path: Path, state: tuple[int, int] | None) -> Source:
    """A file as a source; looked at again when its ``state`` is another."""
    told = describe(path, check=False)
    simulated = told.provenance.get("source") == "simulated"
    return Source(path.name, path, simulated, told.fingerprint)


@lru_cache(maxsize=len(SPLITS))
def open_split(source: Source, split: str, profile: Profile, device: torch.device) -> Videos:
    """A split, kept for the next run: seeds and experiments share their data."""
    return load(source.origin, split, device=device, limit=getattr(profile, split))


def is_current(run: Run) -> bool:
    """Whether the registry, and the simulator, would determine the same run today."""
    profile = {**PROFILES, SWEEP.name: SWEEP}.get(run.profile)
    if run.experiment not in REGISTRY or profile is None:
        return False
    fingerprint = run.data_fingerprint
    if is_world(run.data):
        profile = at_world(profile, run.data)
        fingerprint = open_source(run.data, profile).fingerprint
    configuration = REGISTRY[run.experiment].configuration(profile)
    return run.hash == run_hash(configuration, fingerprint, run.seed)


def weights_path(
    experiment: Experiment, *, profile: Profile, source: Source, seed: int, runs: Path
) -> Path:
    """Where the weights that a run selected lie, for those that come after it.

    They are there when its training is finished, and not before.
    """
    found = run_hash(experiment.configuration(profile), source.fingerprint, seed)
    path = run_path(
        runs, data=source.name, profile=profile.name, experiment=experiment.name, seed=seed
    )
    # A changed definition trains in a folder of its own, not on from old checkpoints.
    return path.with_suffix("") / found[:12] / SELECTED


def check_free(
    experiment: Experiment, *, profile: Profile, source: Source, seed: int, runs: Path
) -> None:
    """See that a run on a file replaces none that was made on other data.

    Raises:
        AvvpError: its place is taken by a run on another file that had the same name.
    """
    path = run_path(
        runs, data=source.name, profile=profile.name, experiment=experiment.name, seed=seed
    )
    if not (isinstance(source.origin, Path) and path.exists()):
        return
    if read_run(path).data_fingerprint != source.fingerprint:
        raise AvvpError(
            f"{path} was made on other data that was called {source.name} too, and this run would "
            f"replace it; give {source.origin} another name, name another folder for runs, or "
            f"delete {Path(runs) / source.name}."
        )


def run(
    experiment: Experiment,
    *,
    profile: Profile,
    data: str = "sim",
    seed: int = 1,
    device: str = "auto",
    runs: Path = RUNS,
    progress: bool = True,
) -> Run:
    """Train, score on the test split, and write the run to ``runs``.

    A run that was cut off goes on from its last checkpoint. Besides the ten numbers of
    :class:`avvp.results.Run` its file of arrays holds those of :func:`avvp.scored.scored`, and:

    * ``history/`` + every entry of the history of :class:`avvp.training.FitResult` (epochs,), and
      ``selected_epoch``;
    * ``thresholds/video``, ``thresholds/segment``, () or (C,), where they were tuned;
    * ``pretraining/`` + every entry of the history of :class:`avvp.grounding.PretrainingResult`,
      ``selected_epoch`` and ``connected``, where the network was pre-trained;
    * ``refinement/`` + every entry of :func:`avvp.refinement.removals`, where labels were refined;
    * ``embedding/`` + every entry of :func:`avvp.embedding.event_embedding`, where asked for.

    Args:
        experiment: an entry of the registry.
        profile: how much of it.
        data: ``"sim"``, another world of :mod:`avvp.worlds`, or the path of an HDF5 file.
        seed: of training.
        device: see :func:`avvp.devices.choose_device`.
        runs: where the run lands, and where the run that this one comes after has left its weights.
        progress: show a bar.

    Raises:
        AvvpError: the profile trains nothing, the run that this one comes after is not there, or
            the place of this one is taken: see :func:`check_free`.
    """
    if not profile.seeds:
        raise AvvpError(trains_nothing(profile))
    chosen = choose_device(device)
    profile = at_world(profile, data)
    source = open_source(data, profile)
    configuration = experiment.configuration(profile)
    found = run_hash(configuration, source.fingerprint, seed)
    place = {"profile": profile, "source": source, "seed": seed, "runs": runs}
    check_free(experiment, **place)
    folder = weights_path(experiment, **place).parent
    remove_leftovers(folder.parents[1], f"seed-{seed}.*")
    with PeakMemory(chosen) as memory:
        test = open_split(source, "test", profile, chosen)
        if test.true_audio is None or test.true_visual is None:
            raise AvvpError(f"The test split of {data} has no annotated seconds: nothing to score.")
        here = experiment.at(profile)
        before = REGISTRY[experiment.after] if experiment.after else None
        base = before and network_before(experiment, before, chosen, **place)
        if experiment.training is not None:
            parsed = _trained(
                here,
                *(open_split(source, split, profile, chosen) for split in SPLITS),
                base=base,
                seed=seed,
                device=chosen,
                folder=folder,
                simulated=source.simulated,
                progress=progress,
            )
        elif before:
            parsed = _rescored(before.at(profile), base, test)
        else:
            parsed = _decoded(experiment, source)

    evaluation, arrays = scored(
        parsed.parsing, test, threshold=parsed.thresholds, gate=experiment.gate
    )
    result = Run(
        experiment=experiment.name,
        profile=profile.name,
        data=source.name,
        simulated=source.simulated,
        seed=seed,
        configuration=configuration,
        data_fingerprint=source.fingerprint,
        commit=commit(),
        versions={
            "avvp": avvp.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        device=describe_device(chosen),
        seconds=parsed.seconds,
        peak_memory=max(memory.bytes, parsed.peak_memory),
        parameters=parsed.parameters,
        metrics=evaluation.ten(),
        counts=evaluation.counts.tolist(),
        hash=found,
        after=before and run_hash(before.configuration(profile), source.fingerprint, seed),
        together=list(parsed.together) or None,
    )
    write_run(runs, result, arrays | parsed.arrays)
    return result


class Predicted(NamedTuple):
    """A split as a trained network sees it, and how the method decides."""

    parsing: Parsing
    videos: Videos
    thresholds: float | Thresholds
    gate: Gate | None
    network: torch.nn.Module | None
    """None: the oracle, which is none."""


def predict_again(
    done: Run, arrays: Mapping[str, np.ndarray], *, data: str, device: str, runs: Path
) -> Predicted:
    """Predict the test split of a finished run anew, from the weights that it selected.

    Args:
        done: the run.
        arrays: its arrays; thresholds that it tuned are among them.
        data: as for :func:`run`.
        device: see :func:`avvp.devices.choose_device`.
        runs: where it, or the run that it comes after, has left its weights.

    Raises:
        AvvpError: the registry or ``data`` determines another run today, or there are no weights.
    """
    told = f"{done.experiment} (profile {done.profile}, seed {done.seed})"
    profile = at_world(SWEEP if done.profile == SWEEP.name else get_profile(done.profile), data)
    (experiment,) = find_experiments(done.experiment)
    source, chosen = open_source(data, profile), choose_device(device)
    if done.hash != run_hash(experiment.configuration(profile), source.fingerprint, done.seed):
        raise AvvpError(
            f"{told} is stale, or was made on other data than {data}: it cannot be predicted again."
        )
    test = open_split(source, "test", profile, chosen)
    place = {"profile": profile, "source": source, "seed": done.seed, "runs": runs}
    trained = experiment if experiment.training else REGISTRY.get(experiment.after or "")
    if trained is None:
        return Predicted(_decoded(experiment, source).parsing, test, 0.5, experiment.gate, None)
    path = weights_path(trained, **place)
    if not path.exists():
        raise AvvpError(f"{told} cannot be predicted again: its weights are not at {path}.")
    network = _network(experiment.at(profile), path, chosen)
    parsing = predict(network, test, precision=trained.at(profile).training.precision)
    tuned = [arrays[name] for name in _THRESHOLDS if name in arrays]
    # A number stays one: a tensor of it would be compared in another precision.
    cuts = [torch.from_numpy(cut) if cut.ndim else cut.item() for cut in tuned]
    thresholds = Thresholds(*cuts) if cuts else 0.5
    return Predicted(parsing, test, thresholds, experiment.gate, network)


def predict_with(
    experiment: Experiment,
    weights: Path,
    *,
    profile: Profile,
    data: str,
    split: str = "test",
    device: str = "auto",
) -> Predicted:
    """Predict a split with a network whose weights are in a file, such as a run's ``selected.pt``.

    Thresholds that the method tunes are tuned on the validation split of ``data``.

    Args:
        experiment: what the weights were trained for.
        weights: the file.
        profile: under which they were; of ``data`` as many videos are taken.
        data: ``"sim"`` or the path of an HDF5 file.
        split: ``"train"``, ``"val"`` or ``"test"``.
        device: see :func:`avvp.devices.choose_device`.

    Raises:
        AvvpError: the experiment trains nothing, or the file holds other weights.
    """
    trained = experiment if experiment.training else REGISTRY.get(experiment.after or "")
    if trained is None:
        raise AvvpError(f"{experiment.name} learns nothing: it has no weights to predict with.")
    source, chosen = open_source(data, profile), choose_device(device)
    training = trained.at(profile).training
    advice = f"name weights that {experiment.name} has selected, such as a run's {SELECTED}"
    network = _network(experiment.at(profile), weights, chosen, advice=advice)

    def parse(videos: Videos) -> Parsing:
        return predict(network, videos, precision=training.precision)

    thresholds: float | Thresholds = 0.5
    if training.tuned:
        val = open_split(source, "val", profile, chosen)
        thresholds = training.thresholds(parse(val), val)
    videos = open_split(source, split, profile, chosen)
    return Predicted(parse(videos), videos, thresholds, experiment.gate, network)


class _Parsed(NamedTuple):
    """The test split as an experiment sees it, and what that took."""

    parsing: Parsing
    seconds: float
    parameters: int
    arrays: dict[str, np.ndarray]
    thresholds: float | Thresholds = 0.5
    together: tuple[str, ...] = ()
    peak_memory: int = 0


def _decoded(experiment: Experiment, source: Source) -> _Parsed:
    """The oracle's view: it knows how the features were drawn and learns nothing."""
    if not isinstance(source.origin, SimulatorConfig):
        raise AvvpError(f"{experiment.name} knows only the simulator; run it with --data sim.")
    started = time.monotonic()
    parsing = oracle(source.origin, "test")
    return _Parsed(parsing, time.monotonic() - started, 0, {})


def network_before(
    experiment: Experiment,
    before: Experiment,
    device: torch.device,
    *,
    profile: Profile,
    source: Source,
    seed: int,
    runs: Path,
) -> torch.nn.Module:
    """The network of the run that ``experiment`` comes after, or under its options (rescoring).

    Raises:
        AvvpError: that run has left no weights.
    """
    path = weights_path(before, profile=profile, source=source, seed=seed, runs=runs)
    if not path.exists():
        raise AvvpError(
            f"{experiment.name} comes after {before.name}, whose weights (profile {profile.name}, "
            f"seed {seed}) are not at {path}; `avvp reproduce --profile {profile.name} --only "
            f"{experiment.name}` makes both."
        )
    maker = before if experiment.training else experiment
    return _network(maker.at(profile), path, device)


def _network(here: Experiment, weights: Path, device: torch.device, **told: str) -> torch.nn.Module:
    """The network of an experiment with these weights; see :func:`avvp.training.read_weights`."""
    network = build(here.model, **here.options).to(device)
    read_weights(network, weights, **told)
    return network.eval()


def _trained(
    here: Experiment,
    train: Videos,
    val: Videos,
    test: Videos,
    *,
    base: torch.nn.Module | None,
    seed: int,
    device: torch.device,
    folder: Path,
    simulated: bool,
    progress: bool,
) -> _Parsed:
    arrays: dict[str, np.ndarray] = {}
    targets = None
    precision = here.training.precision
    if here.refinement:
        refined = refined_by(base, here, train, seed=seed)
        arrays |= {f"refinement/{k}": v.numpy() for k, v in removals(refined, train).items()}
        targets = refined.targets
    network = seeded(seed, lambda: build(here.model, **here.options)).to(device)
    before = None
    if here.pretraining:
        before = pretrain(
            network,
            train,
            config=here.pretraining,
            seed=seed,
            folder=folder / "pretraining",
            simulated=simulated,
            precision=precision,
            progress=progress,
        )
        arrays |= _columns("pretraining", before.history)
        arrays["pretraining/selected_epoch"] = np.array(before.selected_epoch)
        arrays["pretraining/connected"] = np.array(before.connected)
    fitted = fit(
        network,
        train,
        val,
        objective=here.objective,
        config=here.training,
        seed=seed,
        folder=folder,
        targets=targets,
        targets_from=targets_from(here),
        watch=getattr(network, "token_scores", None),
        optimizer_state=before.optimizer if before and here.pretraining.keep_optimizer else None,
        progress=progress,
    )
    arrays |= _columns("history", fitted.history)
    arrays["selected_epoch"] = np.array(fitted.selected_epoch)
    if here.training.tuned:
        arrays |= dict(zip(_THRESHOLDS, map(np.asarray, fitted.thresholds), strict=True))
    if here.embedded:
        drawn = event_embedding(network, test, precision=precision)
        arrays |= {f"embedding/{k}": v for k, v in drawn.items()}
    seconds = fitted.seconds + (before.seconds if before else 0)
    parsing = predict(network, test, precision=precision)
    return _Parsed(
        parsing,
        seconds,
        _parameters(network),
        arrays,
        fitted.thresholds,
        fitted.together,
        fitted.peak_memory,
    )


def refined_by(base: torch.nn.Module, here: Experiment, train: Videos, *, seed: int) -> Refined:
    """What the network that ``here`` comes after makes of the labels of the training split."""
    return refine(
        base,
        train,
        config=here.refinement,
        seed=seed,
        visual_smoothing=here.objective.visual_smoothing,
        precision=here.training.precision,
    )


def targets_from(here: Experiment) -> str | None:
    """What determines refined labels, besides the run that an experiment comes after.

    Another device may drop a label that this one keeps by a rounding error. A run that goes on
    there is still the same one: its folder is named by all that determines it.
    """
    return here.refinement and str(here.refinement)


def _columns(name: str, history: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Every entry of a history over its epochs."""
    return {f"{name}/{key}": np.array([epoch[key] for epoch in history]) for key in history[0]}


def _rescored(before: Experiment, network: torch.nn.Module, test: Videos) -> _Parsed:
    """The test split as a trained network sees it under other options."""
    started = time.monotonic()
    parsing = predict(network, test, precision=before.training.precision)
    return _Parsed(parsing, time.monotonic() - started, _parameters(network), {})


def _parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def one_step(experiment: Experiment, *, runs: Path) -> Run:
    """Train an experiment, and what it comes after, for one step on a handful of simulated videos:
    does it hold together?
    """
    size = experiment.training.batch_size if experiment.training else 8
    profile = Profile("one-step", "one step", size, 8, 8, epochs=1, seeds=1)
    options = {"profile": profile, "device": "cpu", "runs": runs, "progress": False}
    before = []
    while (before or [experiment])[-1].after:
        before.append(REGISTRY[(before or [experiment])[-1].after])
    for earlier in reversed(before):
        run(earlier, **options)
    return run(experiment, **options)


@cache
def commit() -> str:
    """The commit of the package; ``-dirty`` if its files differ, ``unknown`` outside a checkout."""
    if not (HOME / ".git").exists() or not shutil.which("git"):
        return "unknown"

    def git(*arguments: str) -> str:
        told = subprocess.run(["git", *arguments], cwd=HOME, capture_output=True, text=True)
        return told.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "avvp")
    return (git("rev-parse", "HEAD") or "unknown") + ("-dirty" if changed else "")
