"""Fit the simulator to the published row of HAN, and keep the log of every trial.

The rules (design, section 3): only HAN's row is looked at; only the parameters in ``SEARCHED``
move; trials are small (2,500 videos, 12 epochs) and scored on simulated validation videos of data
seeds that no result uses; at most ``MAX_TRIALS`` trials and ``MAX_CONFIRMATIONS`` runs at full
scale. What HAN's row cannot identify, such as asynchrony or shared per-second dynamics, is not
searched.

A small run scores lower than a full one. The difference, measured by the confirmations, is added to
the trials' scores before they are compared with the published row.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from avvp.atomic import write_text
from avvp.data.simulate import SimulatorConfig, simulate
from avvp.devices import choose_device
from avvp.errors import AvvpError
from avvp.losses import Objective
from avvp.metrics import METRICS
from avvp.models import build
from avvp.published import published
from avvp.training import TrainingConfig, fit, seeded

SEARCHED: dict[str, tuple[float, float]] = {
    "strength_audio": (5.0, 14.0),
    "strength_visual": (5.0, 14.0),
    "gain_spread": (0.1, 0.9),
    "missing_audio": (0.0, 0.4),
    "missing_visual": (0.0, 0.4),
    "distractors_audio": (0.0, 0.8),
    "distractors_visual": (0.0, 0.8),
    "smear": (0.0, 0.5),
    "background": (0.5, 3.0),
}
"""Parameter -> range. Everything else keeps its default."""

SCATTERED, NEARBY = 6, 20
"""Trials before which the next one is drawn from the whole range, and from near the best."""

MAX_TRIALS = 60
MAX_CONFIRMATIONS = 4
TRIAL_SIZES = {"train": 2_500, "val": 1_200, "test": 1}
TRIAL_EPOCHS = 12
FIRST_DATA_SEED = 100
"""Results use data seed 0; trials and confirmations start here."""

TARGET: dict[str, float] = published("mgn", "Table 1", "HAN")
"""The ten published numbers of HAN."""


def read_log(path: str | Path) -> list[dict]:
    """The entries of a log, one JSON object a line; an absent file is an empty log.

    Raises:
        AvvpError: a line is not JSON.
    """
    path = Path(path)
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise AvvpError(f"{path}, line {number}: not JSON ({error.msg}).") from error
    return entries


def append_log(path: str | Path, entry: dict) -> None:
    """Add one entry to a log; the file is replaced as a whole."""
    lines = [json.dumps(e) for e in [*read_log(path), entry]]
    write_text(path, "\n".join(lines) + "\n")


def run_han(
    config: SimulatorConfig, *, epochs: int, device: str = "auto", folder: Path | None = None
) -> dict:
    """Train HAN on a simulated data set and score it on its validation split.

    Returns:
        A log entry: the configuration, the ten scores of the selected epoch, the seconds.
    """
    train, val = simulate(config, "train"), simulate(config, "val")
    network = seeded(1, lambda: build("han")).to(choose_device(device))
    protocol = TrainingConfig(precision="bfloat16").scaled_to(epochs)
    with tempfile.TemporaryDirectory() as scratch:
        result = fit(
            network,
            train,
            val,
            objective=Objective(),
            config=protocol,
            seed=1,
            folder=folder or scratch,
        )
    selected = result.history[result.selected_epoch - 1]
    return {
        "config": asdict(config),
        "epochs": epochs,
        "selected_epoch": result.selected_epoch,
        "scores": {name: round(selected[f"val/{name}"], 3) for name in METRICS},
        "seconds": round(result.seconds, 1),
    }


def offset(trials: list[dict], confirmations: list[dict]) -> np.ndarray:
    """(10,) what full scale adds to a trial's scores, from the last confirmation that was tried.

    A confirmation's parameters must also have been a trial; without one the offset is 0.
    """
    for confirmed in reversed(confirmations):
        twins = [t for t in trials if _point(t) == _point(confirmed)]
        if twins:
            small = np.mean([scores_of(t) for t in twins], axis=0)
            return scores_of(confirmed) - small
    return np.zeros(len(METRICS))


def _point(entry: Mapping) -> tuple[float, ...]:
    return tuple(entry["config"][name] for name in SEARCHED)


def scores_of(entry: Mapping) -> np.ndarray:
    """(10,) the scores of a log entry, in the order of :data:`avvp.metrics.METRICS`."""
    return np.array([entry["scores"][name] for name in METRICS])


def _unit(points: np.ndarray) -> np.ndarray:
    low, high = np.array(list(SEARCHED.values())).T
    return (points - low) / (high - low)


def distance(scores: np.ndarray) -> np.ndarray:
    """Points off the published row: half root mean square, half the worst of the ten; (...,)."""
    off = scores - np.array([TARGET[name] for name in METRICS])
    return 0.5 * np.sqrt((off**2).mean(-1)) + 0.5 * np.abs(off).max(-1)


def surrogate(trials: list[dict], points: np.ndarray) -> np.ndarray:
    """Expected scores (P, 10) at ``points`` (P, S), by one Gaussian process a metric."""
    known = _unit(np.array([_point(t) for t in trials]))
    values = np.array([scores_of(t) for t in trials])
    kernel = ConstantKernel(1.0) * Matern(np.ones(len(SEARCHED)), (0.2, 20), nu=2.5) + WhiteKernel(
        0.02, (1e-3, 0.3)
    )
    columns = [
        GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        .fit(known, values[:, i])
        .predict(_unit(points))
        for i in range(values.shape[1])
    ]
    return np.stack(columns, axis=1)


def propose(
    trials: list[dict], confirmations: list[dict], *, generator: np.random.Generator
) -> dict[str, float]:
    """The next trial: scattered at first, then near the best, then where the surrogate points."""
    low, high = np.array(list(SEARCHED.values())).T
    size = len(SEARCHED)
    if len(trials) < SCATTERED:
        point = low + (high - low) * (0.25 + 0.5 * generator.random(size))
    else:
        best = np.array(_point(nearest(trials, confirmations)))
        count, spreads = (1, [0.1]) if len(trials) < NEARBY else (4000, [0.03, 0.1, 0.2])
        spread = generator.choice(spreads, size=(count, 1)) * (high - low)
        candidates = np.clip(best + spread * generator.standard_normal((count, size)), low, high)
        if count == 1:
            point = candidates[0]
        else:
            expected = surrogate(trials, candidates) + offset(trials, confirmations)
            point = candidates[distance(expected).argmin()]
    return {name: round(float(x), 3) for name, x in zip(SEARCHED, point, strict=True)}


def nearest(trials: list[dict], confirmations: list[dict]) -> dict:
    """The trial whose scores, with the offset of full scale, lie nearest to the published row."""
    shift = offset(trials, confirmations)
    return min(trials, key=lambda t: distance(scores_of(t) + shift))


def search(
    folder: Path,
    *,
    trials: int,
    worker: int = 0,
    point: Mapping[str, float] | None = None,
    device: str = "auto",
) -> None:
    """Run ``trials`` more trials, each logged in ``folder/trials.jsonl`` as it ends.

    Args:
        folder: of the logs.
        trials: how many.
        worker: number of this process, where several search at once.
        point: try this one first, instead of a proposal.
        device: to train on.

    Raises:
        AvvpError: the procedure allows no more trials.
    """
    log = folder / "trials.jsonl"
    for _ in range(trials):
        done, confirmed = read_log(log), read_log(folder / "confirmations.jsonl")
        if len(done) >= MAX_TRIALS:
            raise AvvpError(f"{log} has {len(done)} trials; the procedure allows {MAX_TRIALS}.")
        number = len(done)
        generator = np.random.default_rng([number, worker])
        chosen, point = point or propose(done, confirmed, generator=generator), None
        config = SimulatorConfig(**TRIAL_SIZES, seed=FIRST_DATA_SEED + number, **chosen)
        append_log(log, run_han(config, epochs=TRIAL_EPOCHS, device=device))


def confirm(folder: Path, point: Mapping[str, float], *, device: str = "auto") -> None:
    """One run at full scale, logged in ``folder/confirmations.jsonl``.

    Raises:
        AvvpError: the procedure allows no more confirmations.
    """
    log = folder / "confirmations.jsonl"
    done = read_log(log)
    if len(done) >= MAX_CONFIRMATIONS:
        raise AvvpError(f"{log} has {len(done)} runs; the procedure allows {MAX_CONFIRMATIONS}.")
    config = SimulatorConfig(seed=FIRST_DATA_SEED + MAX_TRIALS + len(done), **point)
    scratch = Path("runs") / "calibration" / f"confirmation-{len(done) + 1}"
    entry = run_han(config, epochs=TrainingConfig().epochs, device=device, folder=scratch)
    append_log(log, entry)
