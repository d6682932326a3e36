"""The registry of experiments, and how one is run.

An :class:`Experiment` says what is trained and which printed rows it regenerates; a
:class:`Profile` says how much of it. ``experiment.at(profile)`` is what actually runs, and the
difference between the two is what the status page lists.

An experiment that starts from another one's output (label refinement, fine-tuning) has no entry
yet. It needs two more fields of :class:`Experiment`: ``after``, the name of the other experiment,
and ``prepare``, which turns (training split, folder of the other run) into the ``targets`` that
:func:`avvp.training.fit` takes. :func:`run` would call it before ``fit``, the hash of the other run
join :func:`avvp.results.run_hash`, and :func:`avvp.fan_out.reproduce` go through the experiments in
waves.
"""

import fnmatch
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import avvp
from avvp.curves import overlap_curve, reliability, telling_videos, threshold_curve
from avvp.data import load
from avvp.data.oracle import oracle
from avvp.data.simulate import PROFILE_SIZES, SPLITS, SimulatorConfig
from avvp.data.store import describe
from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.events import Gate, Parsing, decode
from avvp.losses import Objective
from avvp.metrics import METRICS, evaluate_videos
from avvp.models import build
from avvp.published import Row, published_cells
from avvp.results import HOME, RUNS, Run, run_hash, run_path, write_run
from avvp.training import (
    PeakMemory,
    Precision,
    TrainingConfig,
    choose_device,
    describe_device,
    fit,
    predict,
    seeded,
)

TIMELINES = 8
"""Test videos whose probabilities a run keeps for figures."""


@dataclass(frozen=True)
class Profile:
    """How much data, how many epochs and how many seeds.

    Attributes:
        name: in commands and paths.
        purpose: in a few words.
        train, val, test: videos.
        epochs: at most so many, whatever an experiment asks for; None: as published. Decay points
            of the learning rate move in proportion.
        seeds: training seeds 1 to n; 0: nothing is trained.
        core_only: leave out what is not ``core``, unless it is asked for by name.
        precision: of matrix products, unless an experiment overrides it.
    """

    name: str
    purpose: str
    train: int
    val: int
    test: int
    epochs: int | None = None
    seeds: int = 1
    core_only: bool = False
    precision: Precision = "float32"


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("published", "read the committed results", seeds=0, **PROFILE_SIZES["full"]),
        Profile("smoke", "check that everything executes", epochs=1, **PROFILE_SIZES["smoke"]),
        Profile(
            "quick", "try the code on a laptop", epochs=8, core_only=True, **PROFILE_SIZES["quick"]
        ),
        Profile("medium", "a processor over lunch", epochs=12, seeds=3, **PROFILE_SIZES["medium"]),
        Profile(
            "full", "as published, on a GPU", seeds=5, precision="bfloat16", **PROFILE_SIZES["full"]
        ),
    )
}


class Override(NamedTuple):
    """A value that a profile changes in one experiment, and why."""

    field: str  # "training.learning_rate", "options.width", ...
    value: Any
    reason: str


class Change(NamedTuple):
    """A difference between an experiment as published and as a profile runs it."""

    field: str
    published: Any
    here: Any
    reason: str


@dataclass(frozen=True)
class Experiment:
    """One way to train and score one network.

    Attributes:
        name: ``family/variant``; also where its runs lie.
        title: in tables.
        rows: the printed rows that it regenerates.
        model: a name for :func:`avvp.models.build`.
        options: keyword arguments of the model.
        objective: the loss.
        training: the protocol as published. None: nothing is trained, and the oracle decoder of
            the simulator parses the test split.
        core: trained by every profile, quick included.
        overrides: profile -> what it changes besides the number of epochs.
        reduced: how the method is smaller than the published one, in a few words; tables add it to
            the title.
    """

    name: str
    title: str
    rows: tuple[Row, ...] = ()
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    objective: Objective = field(default_factory=Objective)
    training: TrainingConfig | None = field(default_factory=TrainingConfig)
    core: bool = False
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)
    reduced: str | None = None

    @property
    def label(self) -> str:
        """The title, and what is reduced about the method."""
        return f"{self.title} (reduced: {self.reduced})" if self.reduced else self.title

    @property
    def gate(self) -> Gate | None:
        """How the test split is decoded; see :func:`avvp.decode`."""
        return self.training.gate if self.training else None

    def at(self, profile: Profile) -> "Experiment":
        """What a profile makes of the experiment: fewer epochs, and its own overrides."""
        changed = {change.field: change.value for change in self.overrides.get(profile.name, ())}
        options, training = dict(self.options), self.training
        if training is not None:
            epochs = min(training.epochs, profile.epochs or training.epochs)
            training = training.scaled_to(changed.pop("training.epochs", epochs))
            training = replace(training, precision=profile.precision)
        for name, value in changed.items():
            part, _, entry = name.partition(".")
            if part == "options":
                options[entry] = value
            elif part == "training" and hasattr(training, entry):
                training = replace(training, **{entry: value})
            else:
                raise AvvpError(f"{self.name} overrides {name!r}, which it does not have.")
        return replace(self, options=options, training=training)

    def configuration(self, profile: Profile) -> dict[str, Any]:
        """What determines a run besides data and seed, in the types of JSON."""
        here = self.at(profile)
        content = {
            "model": here.model,
            "options": here.options,
            "objective": asdict(here.objective),
            "training": here.training and asdict(here.training),
            "videos": {split: getattr(profile, split) for split in SPLITS},
        }
        return json.loads(json.dumps(content))

    def changes(self, profile: Profile) -> list[Change]:
        """What a profile changes, each with its reason."""
        here = self.at(profile)
        reasons = {change.field: change.reason for change in self.overrides.get(profile.name, ())}
        parts = {
            "training": [asdict(e.training) if e.training else {} for e in (self, here)],
            "options": [self.options, here.options],
        }
        return [
            Change(name, before.get(entry), value, reasons.get(name, f"profile {profile.name}"))
            for part, (before, after) in parts.items()
            for entry, value in after.items()
            if before.get(entry) != value
            for name in [f"{part}.{entry}"]
        ]


_HAN_ROWS = (
    Row("mgn", "Table 1", "HAN"),
    Row("mgn", "Table 2", "MGN", "CUG off, MCG off"),
    Row("mgn", "text", "HAN"),
    Row("mgn_abstract", "Table 1", "HAN"),
    Row("mgn_abstract", "text", "HAN"),
    Row("mgn_supp", "Table 1", "HAN"),
    Row("mgn_supp", "text", "HAN"),
    Row("ma", "Table 1", "HAN"),
    Row("ma", "Table 2", "Baseline"),
    Row("ma", "text", "HAN"),
    Row("ma", "text", "Baseline"),
    Row("cross_modal", "Table 1", "HAN"),
    Row("cross_modal", "Table 2", "HAN"),
    Row("cross_modal", "text", "HAN"),
)

REGISTRY: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment("han/han", "HAN", _HAN_ROWS, model="han", core=True),
        Experiment(
            "reference/linear",
            "Linear, mean pooling",
            model="linear",
            # At HAN's rate the layer is still far from its optimum after 40 epochs: a floor that is
            # too low would flatter everything above it.
            training=TrainingConfig(learning_rate=3e-3),
            core=True,
            overrides={
                profile: (Override("training.epochs", 40, "40 epochs of it take seconds"),)
                for profile in ("quick", "medium")
            },
        ),
        Experiment("reference/oracle", "Oracle decoder", training=None, core=True),
    )
}
"""Every experiment, by name; tables and the status page keep this order."""


def get_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        AvvpError: there is none.
    """
    if name not in PROFILES:
        raise AvvpError(f"There is no profile {name!r}; choose one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def find_experiments(pattern: str) -> list[Experiment]:
    """The experiments whose names match ``pattern`` (``*`` and ``?``), in the registry's order.

    Raises:
        AvvpError: there are none.
    """
    found = [e for name, e in REGISTRY.items() if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        raise AvvpError(f"No experiment matches {pattern!r}; there are {', '.join(REGISTRY)}.")
    return found


def rows_without_experiment() -> list[Row]:
    """The printed rows with scores in per cent that no experiment regenerates yet."""
    covered = {row for experiment in REGISTRY.values() for row in experiment.rows}
    scored = dict.fromkeys(
        cell.place for cell in published_cells() if cell.key in METRICS and cell.unit == "F1 %"
    )
    return [row for row in scored if row not in covered]


class Source(NamedTuple):
    """Where the three splits come from."""

    name: str  # in paths
    origin: SimulatorConfig | Path
    simulated: bool
    fingerprint: str


def open_source(data: str, profile: Profile) -> Source:
    """What ``--data`` means: ``"sim"``, or the path of an HDF5 file.

    Raises:
        AvvpError: there is no such file, or it is not one of ours.
    """
    if data != "sim":
        told = describe(data, check=False)
        simulated = told.provenance.get("source") == "simulated"
        return Source(Path(data).name, Path(data), simulated, told.fingerprint)
    config = SimulatorConfig(train=profile.train, val=profile.val, test=profile.test)
    fingerprint = "-".join(config.fingerprint(split) for split in SPLITS)
    return Source("sim", config, True, fingerprint)


@lru_cache(maxsize=len(SPLITS))
def _split(source: Source, split: str, profile: Profile, device: torch.device) -> Videos:
    """A split, kept for the next run: seeds and experiments share their data."""
    return load(source.origin, split, device=device, limit=getattr(profile, split))


def is_current(run: Run) -> bool:
    """Whether the registry, and the simulator, would determine the same run today."""
    if run.experiment not in REGISTRY or run.profile not in PROFILES:
        return False
    profile = PROFILES[run.profile]
    fingerprint = run.data_fingerprint
    if run.data == "sim":
        fingerprint = open_source("sim", profile).fingerprint
    configuration = REGISTRY[run.experiment].configuration(profile)
    return run.hash == run_hash(configuration, fingerprint, run.seed)


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

    A run that was cut off goes on from its last checkpoint. Besides the ten numbers of :class:`Run`
    its file of arrays holds:

    * ``per_video`` (N, 10) float16, per cent, by :data:`avvp.metrics.METRICS`;
    * ``threshold_curve`` (19, 10) and ``overlap_curve`` (9, 5): see :mod:`avvp.curves`;
    * ``reliability/`` + ``video``, ``audio``, ``visual``, ``segment_audio``, ``segment_visual``
      (20, 3): see :func:`avvp.curves.reliability`; the video's truth is its weak label;
    * ``history/`` + every entry of :attr:`avvp.training.FitResult.history` (epochs,), and
      ``selected_epoch``;
    * ``timelines/`` of some test videos: ``ids``, ``true_audio``, ``true_visual`` (K, C, T),
      the five probabilities of :class:`avvp.Parsing`, and every extra that it has a video.

    Args:
        experiment: an entry of the registry.
        profile: how much of it.
        data: ``"sim"`` or the path of an HDF5 file.
        seed: of training.
        device: see :func:`avvp.training.choose_device`.
        runs: where the run lands.
        progress: show a bar.
    """
    chosen = choose_device(device)
    source = open_source(data, profile)
    configuration = experiment.configuration(profile)
    found = run_hash(configuration, source.fingerprint, seed)
    path = run_path(
        runs, data=source.name, profile=profile.name, experiment=experiment.name, seed=seed
    )
    with PeakMemory(chosen) as memory:
        test = _split(source, "test", profile, chosen)
        if test.true_audio is None or test.true_visual is None:
            raise AvvpError(f"The test split of {data} has no annotated seconds: nothing to score.")
        if experiment.training is None:
            parsed = _decoded(experiment, source)
        else:
            # A changed definition trains in a folder of its own, not on from old checkpoints.
            folder = path.with_suffix("") / found[:12]
            parsed = _trained(
                experiment.at(profile),
                *(_split(source, split, profile, chosen) for split in SPLITS),
                seed=seed,
                device=chosen,
                folder=folder,
                progress=progress,
            )

    truth = test.true_audio.cpu(), test.true_visual.cpu()
    decided = decode(parsed.parsing, gate=experiment.gate)
    evaluation = evaluate_videos(*decided, *truth)
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
        peak_memory=memory.bytes,
        parameters=parsed.parameters,
        metrics=evaluation.ten(),
        counts=evaluation.counts.tolist(),
        hash=found,
    )
    arrays = {
        "per_video": evaluation.per_video.numpy().astype(np.float16),
        "threshold_curve": threshold_curve(parsed.parsing, *truth, gate=experiment.gate).numpy(),
        "overlap_curve": overlap_curve(*decided, *truth).numpy(),
        **_reliabilities(parsed.parsing, test.weak.cpu(), *truth),
        **parsed.history,
        **_timelines(parsed.parsing, test.ids, *truth),
    }
    write_run(runs, result, arrays)
    return result


class _Parsed(NamedTuple):
    """The test split as an experiment sees it, and what that took."""

    parsing: Parsing
    seconds: float
    parameters: int
    history: dict[str, np.ndarray]


def _decoded(experiment: Experiment, source: Source) -> _Parsed:
    """The oracle's view: it knows how the features were drawn and learns nothing."""
    if not isinstance(source.origin, SimulatorConfig):
        raise AvvpError(f"{experiment.name} knows only the simulator; run it with --data sim.")
    started = time.monotonic()
    parsing = oracle(source.origin, "test")
    return _Parsed(parsing, time.monotonic() - started, 0, {})


def _trained(
    here: Experiment,
    train: Videos,
    val: Videos,
    test: Videos,
    *,
    seed: int,
    device: torch.device,
    folder: Path,
    progress: bool,
) -> _Parsed:
    network = seeded(seed, lambda: build(here.model, **here.options)).to(device)
    fitted = fit(
        network,
        train,
        val,
        objective=here.objective,
        config=here.training,
        seed=seed,
        folder=folder,
        progress=progress,
    )
    history = {
        f"history/{entry}": np.array([epoch[entry] for epoch in fitted.history])
        for entry in fitted.history[0]
    }
    return _Parsed(
        predict(network, test, precision=here.training.precision),
        fitted.seconds,
        sum(p.numel() for p in network.parameters() if p.requires_grad),
        history | {"selected_epoch": np.array(fitted.selected_epoch)},
    )


def _reliabilities(
    parsing: Parsing, weak: torch.Tensor, true_audio: torch.Tensor, true_visual: torch.Tensor
) -> dict[str, np.ndarray]:
    truths = {
        "video": weak,
        "audio": true_audio.any(dim=-1),
        "visual": true_visual.any(dim=-1),
        "segment_audio": true_audio.transpose(1, 2),
        "segment_visual": true_visual.transpose(1, 2),
    }
    return {
        f"reliability/{name}": reliability(getattr(parsing, name), truth).numpy()
        for name, truth in truths.items()
    }


def _timelines(
    parsing: Parsing,
    ids: tuple[str, ...],
    true_audio: torch.Tensor,
    true_visual: torch.Tensor,
) -> dict[str, np.ndarray]:
    index = telling_videos(true_audio, true_visual, count=TIMELINES)
    probabilities = {**parsing._asdict(), **parsing.extras}
    del probabilities["extras"]
    return {
        "timelines/ids": np.array([ids[row] for row in index.tolist()]),
        "timelines/true_audio": true_audio[index].numpy(),
        "timelines/true_visual": true_visual[index].numpy(),
        **{
            f"timelines/{name}": value[index].numpy().astype(np.float16)
            for name, value in probabilities.items()
        },
    }


def one_step(experiment: Experiment, *, runs: Path) -> Run:
    """Train an experiment for one step on a handful of simulated videos: does it hold together?"""
    size = experiment.training.batch_size if experiment.training else 8
    profile = Profile("one-step", "one step", size, 8, 8, epochs=1, seeds=1)
    return run(experiment, profile=profile, device="cpu", runs=runs, progress=False)


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
