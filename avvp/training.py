"""Fit a network on weak labels and predict with it.

A run that is cut off goes on where its last checkpoint stands and ends with the same numbers: the
order of an epoch follows from (seed, epoch) alone, and the checkpoint keeps the generator that
dropout draws from. Generators of another kind of device draw otherwise, so a run that was begun on
one does not go on on another.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from tqdm import tqdm

from avvp.atomic import remove_leftovers
from avvp.checkpoints import read_checkpoint, write_checkpoint
from avvp.data.videos import Batch, Videos
from avvp.devices import (
    device_of,
    drawn_on,
    exact_float32,
    on_gpu,
    random_state,
    set_random_state,
)
from avvp.errors import AvvpError
from avvp.events import Gate, Parsing, Thresholds, check_parsing, decode
from avvp.losses import Objective, Targets, weak_targets
from avvp.memory import out_of_memory
from avvp.metrics import Scores, evaluate, main_metric
from avvp.thresholds import best_of_each_class, best_pair

Precision = Literal["float32", "bfloat16"]
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
"""The weights to select so far, while a course is on its way."""
SELECTED = "selected.pt"
"""The selected weights: there as soon as a course is finished, and not before."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        epochs: passes over the training split.
        batch_size: videos a step; the last, incomplete batch is kept.
        learning_rate: of Adam, with its default betas and eps and no weight decay.
        decay_factor: the learning rate is multiplied by it after every ``decay_every`` epochs.
        decay_every: in epochs.
        selection: ``"best"`` keeps the epoch with the highest ``segment/type_av`` on validation
            (of a method of one modality: that modality's score), ties to the later one (HAN, MGN);
            ``"last"`` keeps the last epoch (MA).
        gate: how validation decodes, see :func:`avvp.events.decode`.
        precision: ``"bfloat16"`` runs matrix products in bfloat16 under autocast; weights, Adam
            and losses stay in float32, on cuda softmaxes and recurrent layers too.
    """

    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 3e-4
    decay_factor: float = 0.1
    decay_every: int = 10
    selection: Literal["best", "last"] = "best"
    gate: Gate | None = "video"
    precision: Precision = "float32"

    weight_decay: ClassVar[float] = 0.0
    tuned: ClassVar[None] = None

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
        seconds: wall-clock time of training and validation, over every session that took part; of
            a network that was trained with others (:mod:`avvp.together`) its share.
        thresholds: what the selected network's probabilities are compared with.
        together: the names of all that were trained as one computation, if it was not alone.
        peak_memory: in bytes, of such a computation.
    """

    history: list[dict[str, float]]
    selected_epoch: int
    seconds: float
    thresholds: Thresholds
    together: tuple[str, ...] = ()
    peak_memory: int = 0


def autocast(device: torch.device, precision: Precision):
    """Matrix products in bfloat16, or nothing at all."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def adam(
    network: nn.Module, *, learning_rate: float, weight_decay: float = 0.0, capturable: bool = False
) -> torch.optim.Adam:
    """Adam for all parameters of a network, fused where there is such a form.

    Args:
        network: on its device.
        learning_rate, weight_decay: of Adam.
        capturable: its steps may be recorded; the learning rate is a tensor then.
    """
    device = device_of(network)
    return torch.optim.Adam(
        network.parameters(),
        lr=torch.tensor(learning_rate, device=device) if capturable else learning_rate,
        weight_decay=weight_decay,
        capturable=capturable,
        fused=on_gpu(device) or device.type == "cpu",
    )


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The CPU generator that shuffles one epoch; it depends on nothing but (seed, epoch)."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


@exact_float32()
def predict(
    network: nn.Module, videos: Videos, *, batch_size: int = 64, precision: Precision = "float32"
) -> Parsing:
    """Parse every video of a split, in order.

    Returns:
        A :class:`avvp.events.Parsing` of float32 tensors on the CPU. Extras that hold one entry a
        video (attention over time and modality) are kept; others are left out.
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


@exact_float32()
def check_network(network: nn.Module, videos: Videos, *, precision: Precision = "float32") -> None:
    """See what a network makes of a video, before hours are spent on it; no number is drawn.

    Raises:
        AvvpError: it is no parsing: see :func:`avvp.events.check_parsing`.
    """
    device = device_of(network)
    drawn = random_state(device)
    was_training = network.training
    network.eval()
    with torch.no_grad(), autocast(device, precision):
        batch = videos.rows(torch.arange(1))
        found = network(*(x.to(device) for x in batch[1:4]))
    network.train(was_training)
    set_random_state(drawn, device)
    check_parsing(found, videos=1, network=type(network).__name__)


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


def _of_batches(
    targets: Targets | None, objective: Objective, device: torch.device
) -> Callable[[Batch], Targets]:
    """What a batch is compared with: its rows of ``targets``, or its weak labels."""
    if targets is None:
        return lambda batch: weak_targets(batch.weak, visual_smoothing=objective.visual_smoothing)
    there = [x.to(device) for x in targets]
    # The rows of a split that is resident elsewhere are numbered there.
    return lambda batch: Targets(*(x[batch.index.to(device)] for x in there))


def fit(
    network: nn.Module,
    train: Videos,
    val: Videos,
    *,
    objective: Objective,
    config: TrainingConfig,
    seed: int,
    folder: str | Path,
    targets: Targets | None = None,
    targets_from: str | None = None,
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
            checkpoint; one of another configuration, network or targets is refused.
        targets: what to compare the videos with, (N, C) each; None: the weak labels.
        targets_from: what determines ``targets``, where another device may find other ones: a run
            goes on if this is the same. None: their values.
        watch: called after every epoch; what it returns joins the history.
        optimizer_state: of Adam, to go on with its moments; by default it starts afresh.
        progress: show a bar.
        checkpoint_seconds: write a checkpoint at the first step after so many seconds, besides one
            at the end of every epoch.

    Raises:
        AvvpError: the folder holds another run, or one that was begun on another kind of device;
            or ``targets`` are not of these videos; or the network returns no parsing.
    """
    device = device_of(network)
    identity = identity_of(
        train,
        objective=objective,
        config=config,
        seed=seed,
        targets=targets,
        targets_from=targets_from,
    )
    of_batch = _of_batches(targets, objective, device)
    at_progress = getattr(network, "at_progress", None)
    course = Course(
        network,
        folder=folder,
        identity=identity,
        videos=len(train),
        batch_size=config.batch_size,
        epochs=config.epochs,
        weight_decay=config.weight_decay,
        optimizer_state=optimizer_state,
        told=f"seed {seed}",
        progress=progress,
        checkpoint_seconds=checkpoint_seconds,
    )
    if not course.done:
        check_network(network, train, precision=config.precision)
    state = course.state
    for epoch in course.remaining_epochs():
        rate = config.learning_rate_at(epoch, [_reached(entry) for entry in state["history"]])
        course.set_learning_rate(rate)
        network.train()
        batches = train.batches(
            batch_size=config.batch_size,
            generator=epoch_generator(seed, epoch),
            skip=state["step"],
        )
        for batch in batches:
            if at_progress:
                at_progress(course.done, epochs=config.epochs)
            parts = train_step(
                network, batch, course.optimizer, objective, of_batch, device, config.precision
            )
            course.stepped(parts, len(batch.index))
        scores, thresholds = validate(network, val, config)
        reached = scores[main_metric(scores)]
        entry = {
            "epoch": epoch,
            "learning_rate": rate,
            **course.means(),
            **{f"val/{name}": value for name, value in scores.items()},
            **(watch() if watch else {}),
        }
        keep = reached >= state["best_score"] or config.selection == "last"
        if keep:
            state["thresholds"] = tuple(thresholds)
        course.end_epoch(entry, reached, keep=keep, told=f"val {main_metric(scores)} {reached:.1f}")
    course.finish()
    network.eval()
    return result_of(state)


def result_of(state: Mapping[str, Any]) -> FitResult:
    """What the state of a :class:`Course` that has come to its end says."""
    return FitResult(
        state["history"],
        state["best_epoch"],
        state["seconds"],
        Thresholds(*state["thresholds"]),
        tuple(state.get("together", ())),
        state.get("peak_memory", 0),
    )


def identity_of(
    train: Videos,
    *,
    objective: Objective,
    config: TrainingConfig,
    seed: int,
    targets: Targets | None = None,
    targets_from: str | None = None,
) -> dict[str, object]:
    """What determines a training besides its network; see :class:`Course` and :func:`fit`.

    Raises:
        AvvpError: ``targets`` are not of these videos.
    """
    for name, values in (targets._asdict() if targets else {}).items():
        if values.shape != train.weak.shape:
            raise AvvpError(
                f"targets.{name} has shape {tuple(values.shape)}; expected that of the weak labels "
                f"of the videos to train on, {tuple(train.weak.shape)}."
            )
    return {
        "config": asdict(config),
        "objective": asdict(objective),
        "seed": seed,
        "data": train.fingerprint,
        "targets": targets_from or (targets and _digest(*(_bytes(x) for x in targets))),
    }


def shapes_of(network: nn.Module) -> str:
    """A hash of the names and shapes of all that a network keeps."""
    told = (f"{name} {tuple(value.shape)}\n" for name, value in network.state_dict().items())
    return _digest(*(line.encode() for line in told))


def _bytes(values: Tensor) -> bytes:
    return values.float().cpu().numpy().tobytes()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _of_before(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity as it was kept before it told of network and targets."""
    kept = {name: value for name, value in identity.items() if name not in ("network", "targets")}
    if "together" in kept:
        kept["together"] = [_of_before(member) for member in kept["together"]]
    return kept


def _reached(entry: Mapping[str, float]) -> float:
    """The validation score of an epoch that sums it up."""
    scores = {k.removeprefix("val/"): v for k, v in entry.items() if k.startswith("val/")}
    return scores[main_metric(scores)]


@exact_float32()
def train_step(
    network: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    targets: Callable[[Batch], Targets],
    device: torch.device,
    precision: Precision,
) -> dict[str, Tensor]:
    """One step of gradient descent on ``batch``; returns the loss and its parts, detached."""
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


def read_weights(
    network: nn.Module, path: Path, *, advice: str = "delete its folder and train again"
) -> None:
    """Load the weights that :func:`fit` selected into ``network``, on its device.

    Args:
        network: to fill.
        path: of the file.
        advice: what to do where the file is not as it should be.

    Raises:
        AvvpError: the file is missing or damaged, holds something else, or belongs to another
            network.
    """
    if not path.exists():
        raise AvvpError(f"{path} is not there; {advice}.")
    state = read_checkpoint(path, device=device_of(network), advice=advice)
    try:
        network.load_state_dict(state)
    except (AttributeError, RuntimeError, TypeError):
        raise AvvpError(
            f"{path} does not hold the weights of a {type(network).__name__} with these options; "
            f"{advice}."
        ) from None


def write_course(
    folder: Path,
    *,
    identity: Mapping[str, object],
    device: torch.device,
    state: Mapping[str, object],
    network: Mapping[str, Tensor] | None = None,
    optimizer: dict | None = None,
) -> None:
    """Write the checkpoint that a :class:`Course` in ``folder`` goes on from.

    Args:
        folder: of the checkpoints.
        identity: see :class:`Course`; with the network in it.
        device: whose random numbers go on too.
        state: see :class:`Course`.
        network, optimizer: their states; None where the course is finished and nobody needs them,
            which makes a file of kilobytes out of one three times as large as the weights.
    """
    content = {
        "identity": json.dumps(identity, sort_keys=True),
        "network": network,
        "optimizer": optimizer,
        "device": device.type,
        "random": random_state(device),
        "state": state,
    }
    write_checkpoint(content, folder / CHECKPOINT)


class Course:
    """A training on its way: its optimiser, its bar, its checkpoints, and where it stands.

    What :func:`fit` and :func:`avvp.grounding.pretrain` have in common: cut off at any step, a
    course goes on from its last checkpoint and ends with the same numbers.

    Attributes:
        optimizer: Adam.
        state: ``epoch`` (from 1) and ``step``, the next ones to take; ``sums`` over the videos of
            the epoch so far; ``history``; ``best_score`` and ``best_epoch``; ``seconds``; and the
            caller's own entries.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        folder: str | Path,
        identity: Mapping[str, object],
        videos: int,
        batch_size: int,
        epochs: int,
        learning_rate: float = 0.0,
        weight_decay: float = 0.0,
        optimizer_state: dict | None = None,
        capturable: bool = False,
        told: str = "",
        progress: bool = True,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        """Begin, or go on from the checkpoint in ``folder``.

        Args:
            network: on the device to train on.
            folder: of the checkpoints.
            identity: what determines the course besides the names and shapes of the network's
                state; a checkpoint with another one is refused.
            videos, batch_size, epochs: how long it is.
            learning_rate, weight_decay: of Adam; see also :meth:`set_learning_rate`.
            optimizer_state: of Adam, to begin with its moments.
            capturable: keep the learning rate on the device, so that a recorded step reads it.
            told: beside the bar.
            progress: show the bar.
            checkpoint_seconds: write a checkpoint at the first step after so many seconds, besides
                one at the end of every epoch.

        Raises:
            AvvpError: the checkpoint is damaged, of another course, or of another kind of device.
        """
        self._network, self._folder = network, Path(folder)
        self._device = device_of(network)
        self._identity = {**identity, "network": shapes_of(network)}
        self._finished = False
        self._videos, self._epochs = videos, epochs
        self._steps = math.ceil(videos / batch_size)
        self._checkpoint_seconds = checkpoint_seconds
        self.optimizer = adam(
            network,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            capturable=capturable,
        )
        if optimizer_state:
            self._load_moments(optimizer_state)
        remove_leftovers(self._folder)
        self.state = self._restored()
        self._started = time.monotonic() - self.state["seconds"]
        self._saved = time.monotonic()
        self._bar = tqdm(
            total=epochs * self._steps,
            initial=self._taken,
            desc=told,
            unit="step",
            disable=not progress,
            leave=False,
            mininterval=1.0,
        )

    @property
    def _taken(self) -> int:
        return (self.state["epoch"] - 1) * self._steps + self.state["step"]

    @property
    def done(self) -> float:
        """The share of all steps that lies behind."""
        return self._taken / (self._epochs * self._steps)

    def remaining_epochs(self) -> Iterator[int]:
        """The epochs that are left, the one that was cut off included."""
        while self.state["epoch"] <= self._epochs:
            yield self.state["epoch"]

    def set_learning_rate(self, rate: float) -> None:
        """Of all parameters, from the next step on."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)  # in place: a recorded step knows where it lies
            else:
                group["lr"] = rate

    def stepped(self, parts: Mapping[str, Tensor], count: int) -> None:
        """A step was taken: ``parts`` are means over its ``count`` videos."""
        sums = self.state["sums"]
        for name, value in parts.items():
            value = value.float() * count
            sums[name] = sums[name] + value if name in sums else value
        self.state["step"] += 1
        self._bar.update()
        due = time.monotonic() - self._saved > self._checkpoint_seconds
        if due and self.state["step"] < self._steps:
            self._save()

    def means(self) -> dict[str, float]:
        """Of the parts, over all videos of the epoch."""
        return {name: float(value) / self._videos for name, value in self.state["sums"].items()}

    def end_epoch(
        self, entry: Mapping[str, float], score: float, *, keep: bool, told: str = ""
    ) -> None:
        """Add ``entry`` to the history, and keep the weights if they are to be selected."""
        self._bar.set_postfix_str(told)
        self.state["history"].append(dict(entry))
        if keep:
            self.state["best_score"], self.state["best_epoch"] = score, self.state["epoch"]
            write_checkpoint(self._network.state_dict(), self._folder / BEST)
        self.state |= {"epoch": self.state["epoch"] + 1, "step": 0, "sums": {}}
        self._save()

    def finish(self, *, keep_optimizer: bool = False) -> None:
        """Leave the selected weights in the network, and a checkpoint that says no more than that.

        Args:
            keep_optimizer: leave the state of the optimiser in the checkpoint, for whoever goes on
                with it.
        """
        self._bar.close()
        if (self._folder / BEST).exists():
            (self._folder / BEST).replace(self._folder / SELECTED)
        read_weights(self._network, self._folder / SELECTED)
        if not self._finished:
            self._write(optimizer=self.optimizer.state_dict() if keep_optimizer else None)

    def _save(self) -> None:
        self.state["seconds"] = time.monotonic() - self._started
        self._write(network=self._network.state_dict(), optimizer=self.optimizer.state_dict())
        self._saved = time.monotonic()

    def _write(self, **states: Any) -> None:
        write_course(
            self._folder,
            identity=self._identity,
            device=self._device,
            state=self.state,
            **states,
        )

    def _restored(self) -> dict:
        """The state in the folder, loaded into network and optimiser too, or a fresh one."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            return {
                "epoch": 1,
                "step": 0,
                "sums": {},
                "history": [],
                "best_score": 0.0,
                "best_epoch": 0,
                "seconds": 0.0,
            }
        content = read_checkpoint(
            path, device=self._device, advice="delete it to start this run again"
        )
        identity = content.get("identity") if isinstance(content, dict) else None
        # A course from before network and targets were kept goes on as one of the present ones.
        known = self._identity, _of_before(self._identity)
        if identity not in [json.dumps(each, sort_keys=True) for each in known]:
            raise AvvpError(
                f"{path} belongs to a run of another configuration, network, seed, data set or "
                "targets; delete its folder, or train in another one."
            )
        self._finished = content["network"] is None
        if self._finished and content["optimizer"] is None:
            return content["state"]  # nobody goes on from here: on any device
        random = content["random"]
        begun_on = content.get("device") or drawn_on(random)
        if begun_on != self._device.type:
            raise AvvpError(
                f"{path} was begun on {begun_on}, and on {self._device.type} it would end with "
                f"other numbers; go on on {begun_on}, or delete its folder to begin again."
            )
        try:
            if content["network"] is not None:
                self._network.load_state_dict(content["network"])
            self._load_moments(content["optimizer"])
        except (RuntimeError, ValueError) as error:
            if out_of_memory(error):  # a RuntimeError that says nothing of the file
                raise
            raise AvvpError(
                f"{path} is of another network than this {type(self._network).__name__}; delete "
                "its folder, or train in another one."
            ) from None
        set_random_state(random, self._device)
        return content["state"]

    def _load_moments(self, state: Mapping[str, Any]) -> None:
        """Go on with the moments of another Adam, under the options of this one.

        Whether its steps can be recorded, and where the learning rate lies, is for this course to
        say.
        """
        groups = [
            saved | {name: value for name, value in own.items() if name != "params"}
            for saved, own in zip(state["param_groups"], self.optimizer.param_groups, strict=True)
        ]
        self.optimizer.load_state_dict({**state, "param_groups": groups})
