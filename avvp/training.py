"""Fit a network on weak labels and predict with it; the one place that names a device.

A run that is cut off goes on where its last checkpoint stands and ends with the same numbers: the
order of an epoch follows from (seed, epoch) alone, and the checkpoint keeps the generator that
dropout draws from.
"""

import io
import json
import math
import pickle
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import psutil
import torch
from torch import Tensor, nn
from tqdm import tqdm

from avvp.atomic import atomic_path
from avvp.data.videos import Batch, Videos
from avvp.errors import AvvpError
from avvp.events import Gate, Parsing, Thresholds, decode
from avvp.losses import Objective, Targets, weak_targets
from avvp.metrics import Scores, evaluate, main_metric
from avvp.thresholds import best_of_each_class, best_pair

Precision = Literal["float32", "bfloat16"]
CHECKPOINT = "checkpoint.pt"
SELECTED = "selected.pt"


def choose_device(device: str = "auto") -> torch.device:
    """The device to compute on: ``"auto"`` takes cuda, else mps, else cpu.

    Raises:
        AvvpError: when the named device is not on this machine.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        device = next(name for name, there in available.items() if there)
    if not available.get(device.split(":")[0], False):
        there = ", ".join(name for name, yes in available.items() if yes)
        raise AvvpError(f"device {device!r} is not on this machine; it has {there}.")
    return torch.device(device)


def describe_device(device: torch.device) -> str:
    """What a run notes of the machine: the accelerator, or the processor and its threads."""
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    kind = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return f"{device.type}, {kind}, {torch.get_num_threads()} threads"


class PeakMemory:
    """The most memory in use while the block runs, in ``bytes``: ``with PeakMemory(device) as p``.

    On cuda what PyTorch allocated there; elsewhere what the process holds in RAM, looked at five
    times a second.
    """

    def __init__(self, device: torch.device) -> None:
        self.bytes = 0
        self._device = device
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.bytes = max(self.bytes, process.memory_info().rss)
            if self._over.wait(0.2):
                return

    def __enter__(self) -> "PeakMemory":
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self._over.set()
            self._watcher.join()


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        epochs: passes over the training split.
        batch_size: videos a step; the last, incomplete batch is kept.
        learning_rate: of Adam, with its default betas and eps and no weight decay.
        decay_factor: the learning rate is multiplied by it after every ``decay_every`` epochs.
        decay_every: in epochs.
        selection: ``"best"`` keeps the epoch with the highest segment-level Type@AV on validation
            (of a method of one modality: that modality's score), ties to the later one (HAN, MGN);
            ``"last"`` keeps the last epoch (MA).
        gate: how validation decodes, see :func:`avvp.decode`.
        precision: ``"bfloat16"`` runs matrix products in bfloat16 under autocast; weights, Adam,
            softmaxes over time and losses stay in float32.
    """

    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 3e-4
    decay_factor: float = 0.1
    decay_every: int = 10
    selection: Literal["best", "last"] = "best"
    gate: Gate | None = "video"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "decay_every"):
            if getattr(self, name) < 1:
                raise AvvpError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.selection not in ("best", "last"):
            raise AvvpError(f"selection is {self.selection!r}; it must be 'best' or 'last'.")
        if self.precision not in ("float32", "bfloat16"):
            raise AvvpError(f"precision is {self.precision!r}; it must be 'float32' or 'bfloat16'.")

    def learning_rate_at(self, epoch: int, scores: Sequence[float] = ()) -> float:
        """The learning rate of ``epoch``, counted from 1.

        Args:
            epoch: from 1.
            scores: of the earlier epochs on validation, which some schedules look at.
        """
        return self.learning_rate * self.decay_factor ** ((epoch - 1) // self.decay_every)

    def scaled_to(self, epochs: int) -> "TrainingConfig":
        """The same protocol in fewer epochs: decay points move in proportion."""
        if epochs == self.epochs:
            return self
        every = max(1, round(self.decay_every * epochs / self.epochs))
        return replace(self, epochs=epochs, decay_every=every)

    def thresholds(self, parsing: Parsing, videos: Videos) -> Thresholds:
        """What a probability has to reach; a fixed 0.5, whatever the validation videos say.

        Args:
            parsing: of the validation videos.
            videos: the same, annotated.
        """
        return Thresholds(0.5, 0.5)


Tuned = Literal["classes", "pair"]


@dataclass(frozen=True)
class TunedTraining(TrainingConfig):
    """A protocol with weight decay, a rate that falls on a plateau, or thresholds that are tuned.

    A class of its own, so that the hash of a run that has none of these does not depend on them.

    Attributes:
        weight_decay: of Adam, as an L2 penalty.
        patience: the learning rate is multiplied by ``decay_factor`` when more than so many epochs
            have brought no better validation score; None: after every ``decay_every`` epochs.
        tuned: ``"classes"`` tunes one threshold a class, for the micro-averaged F-score of videos,
            and uses it for videos and seconds alike (TALNet); ``"pair"`` one for videos and one
            for seconds, for the segment-level score (STPN). On validation videos, in every epoch
            anew, so that what is selected is what is used. None: 0.5.
    """

    weight_decay: float = 0.0
    patience: int | None = None
    tuned: Tuned | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.weight_decay < math.inf:
            raise AvvpError(f"weight_decay is {self.weight_decay}; it must be at least 0.")
        if self.patience is not None and self.patience < 0:
            raise AvvpError(f"patience is {self.patience}; it must be at least 0, or None.")
        if self.tuned not in (None, *get_args(Tuned)):
            raise AvvpError(f"tuned is {self.tuned!r}; it must be 'classes', 'pair' or None.")

    def learning_rate_at(self, epoch: int, scores: Sequence[float] = ()) -> float:
        """See :meth:`TrainingConfig.learning_rate_at`."""
        if self.patience is None:
            return super().learning_rate_at(epoch)
        # PyTorch's own schedule, replayed: a run that goes on needs no state but its history.
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode="max", factor=self.decay_factor, patience=self.patience
        )
        for score in scores[: epoch - 1]:
            schedule.step(score)
        return optimizer.param_groups[0]["lr"]

    def thresholds(self, parsing: Parsing, videos: Videos) -> Thresholds:
        """See :meth:`TrainingConfig.thresholds`.

        Raises:
            AvvpError: thresholds are tuned for one modality, and the network parses both.
        """
        if self.tuned is None:
            return super().thresholds(parsing, videos)
        if parsing.audio is not None and parsing.visual is not None:
            raise AvvpError(
                f"tuned is {self.tuned!r}, which is for a network of one modality; this one parses "
                "both."
            )
        segment, truth = (
            (parsing.segment_audio, videos.true_audio)
            if parsing.visual is None
            else (parsing.segment_visual, videos.true_visual)
        )
        truth = truth.cpu()
        if self.tuned == "classes":
            cuts = best_of_each_class(parsing.video, truth.any(dim=-1))
            return Thresholds(cuts, cuts)
        return Thresholds(*best_pair(parsing.video, segment, truth))


@dataclass(frozen=True)
class FitResult:
    """What training leaves behind, besides the weights in the network.

    Attributes:
        history: one entry an epoch: ``epoch``, ``learning_rate``, ``loss`` and its parts (means
            over videos), the ten validation metrics as ``val/...``.
        selected_epoch: counted from 1.
        seconds: wall-clock time of training and validation, over every session that took part.
        thresholds: what the selected network's probabilities are compared with.
    """

    history: list[dict[str, float]]
    selected_epoch: int
    seconds: float
    thresholds: Thresholds


def autocast(device: torch.device, precision: Precision):
    """Matrix products in bfloat16, or nothing at all."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The CPU generator that shuffles one epoch; it depends on nothing but (seed, epoch)."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def device_of(network: nn.Module) -> torch.device:
    """Where the parameters of ``network`` lie."""
    return next(network.parameters()).device


def predict(
    network: nn.Module, videos: Videos, *, batch_size: int = 64, precision: Precision = "float32"
) -> Parsing:
    """Parse every video of a split, in order.

    Returns:
        A :class:`Parsing` of float32 tensors on the CPU. Extras that hold one entry a video
        (attention over time and modality) are kept; others are left out.
    """
    device = device_of(network)
    was_training = network.training
    network.eval()
    pieces: list[Parsing] = []
    with torch.no_grad(), autocast(device, precision):
        for batch in videos.batches(batch_size=batch_size):
            parsing = network(*(x.to(device) for x in batch[1:4]))
            pieces.append(_to_cpu(parsing, len(batch.index)))
    network.train(was_training)
    extras = {key: torch.cat([p.extras[key] for p in pieces]) for key in pieces[0].extras}
    columns = zip(*(p[:5] for p in pieces), strict=True)
    return Parsing(*(None if None in parts else torch.cat(parts) for parts in columns), extras)


def _to_cpu(parsing: Parsing, count: int) -> Parsing:
    kept = {
        key: value.float().cpu()
        for key, value in parsing.extras.items()
        if isinstance(value, Tensor)
        and not key.startswith("token_logits")
        and value.ndim
        and len(value) == count
    }
    return Parsing(*(None if x is None else x.float().cpu() for x in parsing[:5]), kept)


def validate(network: nn.Module, val: Videos, config: TrainingConfig) -> tuple[Scores, Thresholds]:
    """The metrics of a network on validation videos, in per cent, and the thresholds they take."""
    parsing = predict(network, val, precision=config.precision)
    thresholds = config.thresholds(parsing, val)
    decided = decode(parsing, threshold=thresholds, gate=config.gate)
    return evaluate(*decided, val.true_audio, val.true_visual), thresholds


def _default_targets(objective: Objective) -> Callable[[Batch], Targets]:
    return lambda batch: weak_targets(batch.weak, visual_smoothing=objective.visual_smoothing)


def fit(
    network: nn.Module,
    train: Videos,
    val: Videos,
    *,
    objective: Objective,
    config: TrainingConfig,
    seed: int,
    folder: str | Path,
    targets: Callable[[Batch], Targets] | None = None,
    watch: Callable[[], Mapping[str, float]] | None = None,
    optimizer_state: dict | None = None,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
) -> FitResult:
    """Train ``network`` in place and leave the selected weights in it.

    Args:
        network: on the device to train on. If it has a method ``at_progress(done, *, epochs)``, it
            is told before every step which share of all steps lies behind, resumed or not.
        train: weakly labelled videos.
        val: annotated videos, for selection and for the curves.
        objective: the loss.
        config: the protocol.
        seed: of shuffling and dropout. The weights are the caller's to initialise: see
            :func:`seeded`.
        folder: where checkpoints live. A finished or cut-off run found there goes on from its last
            checkpoint; one of another configuration is refused.
        targets: what to compare a batch with; the weak labels by default.
        watch: called after every epoch; what it returns joins the history.
        optimizer_state: of Adam, to go on with its moments; by default it starts afresh.
        progress: show a bar.
        checkpoint_seconds: write a checkpoint at the first step after so many seconds, besides one
            at the end of every epoch.
    """
    folder = Path(folder)
    device = device_of(network)
    targets = targets or _default_targets(objective)
    at_progress = getattr(network, "at_progress", None)
    optimizer = torch.optim.Adam(
        network.parameters(),
        lr=config.learning_rate,
        weight_decay=getattr(config, "weight_decay", 0.0),
        fused=device.type in ("cuda", "cpu"),
    )
    if optimizer_state:
        optimizer.load_state_dict(optimizer_state)
    identity = json.dumps(
        {
            "config": asdict(config),
            "objective": asdict(objective),
            "seed": seed,
            "data": train.fingerprint,
        },
        sort_keys=True,
    )
    state = restore_checkpoint(folder, identity, network, optimizer, device)
    steps = math.ceil(len(train) / config.batch_size)
    started = time.monotonic() - state["seconds"]
    saved = time.monotonic()
    bar = tqdm(
        total=config.epochs * steps,
        initial=(state["epoch"] - 1) * steps + state["step"],
        desc=f"seed {seed}",
        unit="step",
        disable=not progress,
        leave=False,
        mininterval=1.0,
    )

    def save() -> None:
        nonlocal saved
        state["seconds"] = time.monotonic() - started
        save_checkpoint(folder, identity, network, optimizer, device, state)
        saved = time.monotonic()

    while state["epoch"] <= config.epochs:
        epoch = state["epoch"]
        rate = config.learning_rate_at(epoch, [_reached(entry) for entry in state["history"]])
        for group in optimizer.param_groups:
            group["lr"] = rate
        network.train()
        batches = train.batches(
            batch_size=config.batch_size,
            generator=epoch_generator(seed, epoch),
            skip=state["step"],
        )
        for batch in batches:
            if at_progress:
                taken = (epoch - 1) * steps + state["step"]
                at_progress(taken / (config.epochs * steps), epochs=config.epochs)
            parts = _step(network, batch, optimizer, objective, targets, device, config.precision)
            sums = state["sums"]
            for name, value in parts.items():
                value = value.float() * len(batch.index)
                sums[name] = sums[name] + value if name in sums else value
            state["step"] += 1
            bar.update()
            if time.monotonic() - saved > checkpoint_seconds and state["step"] < steps:
                save()
        scores, thresholds = validate(network, val, config)
        reached = scores[main_metric(scores)]
        state["history"].append(
            {
                "epoch": epoch,
                "learning_rate": rate,
                **{name: float(value) / len(train) for name, value in state["sums"].items()},
                **{f"val/{name}": value for name, value in scores.items()},
                **(watch() if watch else {}),
            }
        )
        bar.set_postfix_str(f"val {main_metric(scores)} {reached:.1f}")
        if reached >= state["best_score"] or config.selection == "last":
            state["best_score"], state["best_epoch"] = reached, epoch
            state["thresholds"] = tuple(thresholds)
            write_state(network.state_dict(), folder / SELECTED)
        state["epoch"], state["step"], state["sums"] = epoch + 1, 0, {}
        save()
    bar.close()
    read_weights(network, folder / SELECTED)
    network.eval()
    thresholds = Thresholds(*state["thresholds"])
    return FitResult(state["history"], state["best_epoch"], state["seconds"], thresholds)


def _reached(entry: Mapping[str, float]) -> float:
    """The validation score of an epoch that sums it up."""
    scores = {k.removeprefix("val/"): v for k, v in entry.items() if k.startswith("val/")}
    return scores[main_metric(scores)]


def _step(
    network: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    targets: Callable[[Batch], Targets],
    device: torch.device,
    precision: Precision,
) -> dict[str, Tensor]:
    """One step of gradient descent; returns the loss and its parts, detached."""
    with autocast(device, precision):
        parsing = network(*(x.to(device, non_blocking=True) for x in batch[1:4]))
    wanted = Targets(*(x.to(device, non_blocking=True) for x in targets(batch)))
    total, parts = objective(parsing, wanted)
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    optimizer.step()
    return {"loss": total.detach(), **parts}


def seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """Make a network whose initial weights, and whose later dropout, follow from ``seed``."""
    torch.manual_seed(seed)
    return make()


def read_weights(network: nn.Module, path: Path) -> None:
    """Load the weights that :func:`fit` selected into ``network``, on its device.

    Raises:
        AvvpError: the file is damaged, holds something else, or belongs to another network.
    """
    try:
        state = torch.load(path, weights_only=True, map_location=device_of(network))
        network.load_state_dict(state)
    except (AttributeError, EOFError, KeyError, pickle.UnpicklingError, RuntimeError, TypeError):
        raise AvvpError(
            f"{path} does not hold the weights of a {type(network).__name__} with these options; "
            "delete it and train again."
        ) from None


def _random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def save_checkpoint(
    folder: Path,
    identity: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    state: dict,
) -> None:
    """Write all that :func:`restore_checkpoint` needs to go on: ``state`` is the caller's."""
    content = {
        "identity": identity,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": _random_state(device),
        "state": state,
    }
    write_state(content, folder / CHECKPOINT)


def write_state(content: dict, path: Path) -> None:
    """Write tensors and plain containers to ``path``, whole or not at all."""
    # Serialised in memory first: torch.save to a full disk speaks of positions in an archive, and
    # the operating system of the disk.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def restore_checkpoint(
    folder: Path,
    identity: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> dict:
    """The state of the run in ``folder``, loaded into network and optimiser, or a fresh one."""
    path = folder / CHECKPOINT
    if not path.exists():
        return {
            "epoch": 1,
            "step": 0,
            "sums": {},
            "history": [],
            "best_score": 0.0,
            "best_epoch": 0,
            "seconds": 0.0,
            "thresholds": (0.5, 0.5),
        }
    try:
        content = torch.load(path, weights_only=True, map_location=device)
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise AvvpError(
            f"{path} is not a checkpoint that can be read ({type(error).__name__}); delete it to "
            "start this run again."
        ) from error
    if content["identity"] != identity:
        raise AvvpError(
            f"{path} belongs to a run of another configuration, seed or data set; delete its "
            "folder, or train in another one."
        )
    network.load_state_dict(content["network"])
    optimizer.load_state_dict(content["optimizer"])
    torch.set_rng_state(content["random"]["cpu"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(content["random"]["cuda"].cpu(), device)
    return content["state"]
