"""Train several networks of one shape as one batched computation.

Tens of thousands of tiny steps leave an accelerator idle: S networks with their parameters stacked
take hardly longer than one. Each member has its own initial weights, order of the epoch, dropout,
targets, objective and selected epoch. Adam works on each number by itself, so that one Adam of the
stack is S Adams. Without dropout a member goes the way that it would go alone; with dropout it
draws other random numbers.

What is left behind is what :func:`avvp.training.fit` leaves, for each member in its own folder: to
whoever comes later, a member has been trained.
"""

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel

from avvp.checkpoints import read_checkpoint, write_checkpoint
from avvp.data.videos import Batch, Videos, shuffled
from avvp.devices import PeakMemory, device_of, exact_float32, launch_bound
from avvp.errors import AvvpError
from avvp.events import Parsing, Thresholds, decode
from avvp.losses import Objective, Targets, weak_targets
from avvp.metrics import Evaluation, Scores, evaluate_videos, main_metric
from avvp.training import (
    CHECKPOINT,
    SELECTED,
    Course,
    FitResult,
    Precision,
    TrainingConfig,
    autocast,
    check_network,
    epoch_generator,
    identity_of,
    result_of,
    shapes_of,
    train_step,
    write_course,
)

RANDOMNESS = "different"
"""Of dropout and noise, from member to member."""
WARM_UP = 3
"""Steps before the one that is recorded, on cuda: libraries reserve their memory in them."""


def _fields(parsing: Parsing) -> dict[str, Any]:
    """A parsing without what it has not: vmap takes tensors only."""
    fields = {name: value for name, value in parsing._asdict().items() if value is not None}
    extras = {key: value for key, value in parsing.extras.items() if isinstance(value, Tensor)}
    return fields | {"extras": extras}


def _parsing(fields: Mapping[str, Any]) -> Parsing:
    return Parsing(*(fields.get(name) for name in Parsing._fields))


class Together(nn.Module):
    """S networks of one shape, their parameters and buffers stacked along a first axis.

    The parameters have the names of a member's, behind ``stacked.``.

    Args:
        networks: of one class and with the same options, on one device; they are copied.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = len(networks)
        self.stacked = copy.deepcopy(networks[0])
        parameters, buffers = stack_module_state(list(networks))
        trained = {name: nn.Parameter(value.detach()) for name, value in parameters.items()}
        for name, value in (trained | buffers).items():
            owner, _, last = name.rpartition(".")
            setattr(self.stacked.get_submodule(owner), last, value)
        if hasattr(self.stacked, "at_progress"):
            self.at_progress = self.stacked.at_progress

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos by each member.

        Args:
            audio, visual_2d, visual_3d: (B, ...) as for a member: the same videos for all. Or
                (S, B, ...): to each member its own.

        Returns:
            A parsing whose tensors have an axis of S before the others.
        """
        own = 0 if audio.ndim == 4 else None

        def one(parameters: dict, buffers: dict, *features: Tensor) -> dict[str, Any]:
            return _fields(functional_call(self.stacked, (parameters, buffers), features))

        every = torch.vmap(one, in_dims=(0, 0, own, own, own), randomness=RANDOMNESS)
        # The fused kernels of attention have no batched form.
        with sdpa_kernel(SDPBackend.MATH):
            found = every(
                dict(self.stacked.named_parameters()),
                dict(self.stacked.named_buffers()),
                audio,
                visual_2d,
                visual_3d,
            )
        return _parsing(found)

    def member_state(self, member: int) -> dict[str, Tensor]:
        """The ``state_dict`` of one member, as views."""
        return {name: value[member] for name, value in self.stacked.state_dict().items()}


class Losses:
    """The objectives of S members, as one.

    Args:
        objectives: of each member.
        device: of the members.

    Attributes:
        owners: name of a part -> the members that have it, once there was a call; ``loss`` is the
            first.
    """

    def __init__(self, objectives: Sequence[Objective], device: torch.device) -> None:
        self._members = len(objectives)
        self._kinds: list[tuple[Objective, list[int], Tensor]] = []
        for objective in objectives:
            if not any(objective == known for known, *_ in self._kinds):
                rows = [n for n, other in enumerate(objectives) if other == objective]
                self._kinds.append((objective, rows, torch.tensor(rows, device=device)))
        self.owners: dict[str, list[int]] = {}

    def __call__(self, parsing: Parsing, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of all members' totals, and each part by member, (S,), NaN where it has none."""
        fields = _fields(parsing)
        total, found, owners = [], {}, {}
        for objective, own, rows in self._kinds:

            def one(
                fields: dict, targets: tuple, objective: Objective = objective
            ) -> dict[str, Tensor]:
                whole, parts = objective(_parsing(fields), Targets(*targets))
                return {"total": whole, "loss": whole.detach(), **parts}

            both = fields, tuple(targets)
            parts = torch.vmap(one)(*(both if len(self._kinds) == 1 else _of_members(rows, both)))
            total.append(parts.pop("total").sum())
            for name, value in parts.items():
                if name not in found:
                    found[name] = value.new_full((self._members,), torch.nan, dtype=torch.float32)
                    owners[name] = []
                found[name] = found[name].index_copy(0, rows, value.float())
                owners[name] += own
        self.owners = owners
        return torch.stack(total).sum(), found


def _of_members(rows: Tensor, tree: Any) -> Any:
    """Some members' part of every tensor in dictionaries and tuples."""
    if isinstance(tree, Tensor):
        return tree.index_select(0, rows)
    if isinstance(tree, dict):
        return {name: _of_members(rows, branch) for name, branch in tree.items()}
    return tuple(_of_members(rows, branch) for branch in tree)


class Stepper:
    """Steps of S members on a split that lies on their device.

    Nothing of a step waits for the device: videos are gathered there, losses stay there. On cuda
    the whole step is recorded once as a CUDA graph and replayed, which spares the processor the
    launch of a thousand kernels; a batch of another size, such as the last of an epoch, is not.

    Args:
        members: in training mode.
        train: the split.
        targets: of each member, (S, N, C) each.
        losses: of the members.
        optimizer: of the members; capturable if steps are recorded.
        precision: see :class:`avvp.training.TrainingConfig`.
        recorded: record and replay steps of so many videos, on cuda only; None: no step.
    """

    def __init__(
        self,
        members: Together,
        train: Videos,
        targets: Targets,
        *,
        losses: Losses,
        optimizer: torch.optim.Optimizer,
        precision: Precision = "float32",
        recorded: int | None = None,
    ) -> None:
        self._members, self._train, self._targets = members, train, targets
        self._losses, self._optimizer, self._precision = losses, optimizer, precision
        self._device = device_of(members)
        self._rows = torch.arange(members.members, device=self._device)[:, None]
        self._recorded, self._taken = recorded, 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._index: Tensor | None = None
        self._parts: Tensor | None = None

    @property
    def names(self) -> list[str]:
        """Of the rows of what a step returns."""
        return list(self._losses.owners)

    def __call__(self, index: Tensor) -> Tensor:
        """Take one step.

        Args:
            index: (S, B) int64 on the device, rows of the split; a member's own in its row.

        Returns:
            (P, S) float32: the loss and its parts by member, means over the B videos. A replayed
            step writes it over the one before.
        """
        if self._recorded is None:
            return self._take(index)
        if index.shape[1] != self._recorded:
            return self._unrecorded(index)
        self._taken += 1
        if self._taken <= WARM_UP:
            self._index = index.clone()
            aside = torch.cuda.Stream(self._device)
            aside.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(aside):
                parts = self._unrecorded(self._index)
            torch.cuda.current_stream(self._device).wait_stream(aside)
            return parts
        self._index.copy_(index)
        if self._graph is None:
            self._optimizer.zero_grad(set_to_none=True)
            self._graph = torch.cuda.CUDAGraph()
            # Without a stream of this device torch records on one that it keeps of another: nothing
            # would be recorded.
            aside = torch.cuda.Stream(self._device)
            with torch.cuda.device(self._device), torch.cuda.graph(self._graph, stream=aside):
                self._parts = self._take(self._index)
        self._graph.replay()
        return self._parts

    def _unrecorded(self, index: Tensor) -> Tensor:
        """A step that is not recorded, of which an Adam made for recording would warn."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            return self._take(index)

    def _take(self, index: Tensor) -> Tensor:
        parts = train_step(
            self._members,
            self._train.rows(index),
            self._optimizer,
            self._losses,
            self._wanted,
            self._device,
            self._precision,
        )
        return torch.stack([parts[name] for name in self.names])

    def _wanted(self, batch: Batch) -> Targets:
        return Targets(*(x[self._rows, batch.index] for x in self._targets))


def stacked_targets(
    train: Videos, objectives: Sequence[Objective], targets: Sequence[Targets | None]
) -> Targets:
    """What members are compared with, (S, N, C) each: their own targets, or the weak labels."""
    device = train.weak.device
    every = [
        weak_targets(train.weak, visual_smoothing=objective.visual_smoothing)
        if own is None
        else Targets(*(x.to(device) for x in own))
        for objective, own in zip(objectives, targets, strict=True)
    ]
    return Targets(*(torch.stack(column) for column in zip(*every, strict=True)))


def epoch_orders(train: Videos, seeds: Sequence[int], epoch: int) -> Tensor:
    """The order in which each member sees the split, (S, N) int64: the same as alone."""
    orders = [
        shuffled(len(train), chunk=train.chunk, generator=epoch_generator(seed, epoch))
        for seed in seeds
    ]
    return torch.stack(orders)


@torch.no_grad()
@exact_float32()
def predict_together(
    members: Together, videos: Videos, *, batch_size: int = 64, precision: Precision = "float32"
) -> list[Parsing]:
    """The parsing of a split by each member, float32 on their device, without extras."""
    device = device_of(members)
    was_training = members.training
    members.eval()
    pieces: list[dict[str, Tensor]] = []
    with autocast(device, precision):
        for batch in videos.batches(batch_size=batch_size):
            fields = _fields(members(*(x.to(device) for x in batch[1:4])))
            pieces.append({k: v.float() for k, v in fields.items() if k != "extras"})
    members.train(was_training)
    whole = {name: torch.cat([piece[name] for piece in pieces], dim=1) for name in pieces[0]}
    return [
        _parsing({name: value[member] for name, value in whole.items()} | {"extras": {}})
        for member in range(members.members)
    ]


def validate_together(
    members: Together, val: Videos, config: TrainingConfig
) -> list[tuple[Scores, Thresholds]]:
    """What :func:`avvp.training.validate` tells of each member, counted at once on the device."""
    parsings = predict_together(members, val, precision=config.precision)
    if config.tuned:  # sorting and searching, which the processor does
        parsings = [Parsing(*(x if x is None else x.cpu() for x in p[:5]), {}) for p in parsings]
    thresholds = [config.thresholds(parsing, val) for parsing in parsings]
    decided = [
        decode(parsing, threshold=threshold, gate=config.gate)
        for parsing, threshold in zip(parsings, thresholds, strict=True)
    ]
    masks = [None if None in both else torch.cat(both) for both in zip(*decided, strict=True)]
    truth = (x.repeat(members.members, 1, 1) for x in (val.true_audio, val.true_visual))
    whole = evaluate_videos(*masks, *truth)
    each = whole.per_video.chunk(members.members)
    scores = [Evaluation(per_video, whole.counts).ten() for per_video in each]
    return list(zip(scores, thresholds, strict=True))


_OF_EACH = ("history", "best_score", "best_epoch", "thresholds")


class _Courses(Course):
    """The course of S members: each has a history and a selected epoch of its own.

    Those entries of ``state`` are lists by member. The weights that are selected so far lie stacked
    in the folder.
    """

    def __init__(self, members: Together, **options: Any) -> None:
        super().__init__(members, **options)
        self._members = members
        if not self.state["history"]:
            self.state |= {
                "history": [[] for _ in range(members.members)],
                "best_score": [0.0] * members.members,
                "best_epoch": [0] * members.members,
                "thresholds": [()] * members.members,
            }
        self._selected = {
            name: value.clone() for name, value in members.stacked.state_dict().items()
        }
        if any(self.state["best_epoch"]):
            path = self._folder / SELECTED
            advice = "delete its folder and train again"
            self._selected = read_checkpoint(path, device=self._device, advice=advice)

    def means_of_each(self, parts: Mapping[str, Sequence[int]]) -> list[dict[str, float]]:
        """The loss and its parts of each member, means over all videos of the epoch."""
        rows = (self.state["sums"]["parts"] / self._videos).tolist()  # (P, S)
        named = list(zip(parts.items(), rows, strict=True))
        return [
            {name: row[member] for (name, owners), row in named if member in owners}
            for member in range(self._members.members)
        ]

    def end_epoch_of_each(
        self,
        entries: Sequence[Mapping[str, float]],
        reached: Sequence[float],
        thresholds: Sequence[Thresholds],
        keep: Sequence[bool],
    ) -> None:
        """Add to each member's history, and keep its weights if they are to be selected."""
        state, now = self.state, self._members.stacked.state_dict()
        for member, entry in enumerate(entries):
            state["history"][member].append(dict(entry))
            if keep[member]:
                state["best_score"][member] = reached[member]
                state["best_epoch"][member] = state["epoch"]
                state["thresholds"][member] = tuple(thresholds[member])
                for name, value in now.items():
                    self._selected[name][member] = value[member]
        if any(keep):
            write_checkpoint(self._selected, self._folder / SELECTED)
        self._bar.set_postfix_str(f"val {min(reached):.1f} to {max(reached):.1f}")
        state |= {"epoch": state["epoch"] + 1, "step": 0, "sums": {}}
        self._save()

    def leave(
        self,
        networks: Sequence[nn.Module],
        folders: Sequence[Path],
        identities: Sequence[Mapping[str, object]],
        names: Sequence[str],
    ) -> list[FitResult]:
        """Leave networks and folders as if each had been trained alone."""
        self._bar.close()
        found = []
        for member, (network, folder) in enumerate(zip(networks, folders, strict=True)):
            own = {name: self.state[name][member] for name in _OF_EACH}
            state = self.state | own | {
                "seconds": self.state["seconds"] / len(networks),
                "together": list(names),
            }  # fmt: skip
            selected = {name: value[member].clone() for name, value in self._selected.items()}
            # What a training of this member alone has left does not belong to these weights.
            (folder / CHECKPOINT).unlink(missing_ok=True)
            write_checkpoint(selected, folder / SELECTED)
            identity = {**identities[member], "network": shapes_of(network)}
            write_course(folder, identity=identity, device=self._device, state=state)
            network.load_state_dict(selected)
            network.eval()
            found.append(result_of(state))
        return found


def fit_together(
    networks: Sequence[nn.Module],
    train: Videos,
    val: Videos,
    *,
    objectives: Sequence[Objective],
    config: TrainingConfig,
    seeds: Sequence[int],
    folder: str | Path,
    folders: Sequence[str | Path],
    names: Sequence[str],
    targets: Sequence[Targets | None] | None = None,
    targets_from: Sequence[str | None] | None = None,
    recorded: bool | None = None,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
) -> list[FitResult]:
    """Train ``networks`` in place, all at once, and leave each one's selected weights in it.

    Cut off at any step it goes on from its last checkpoint and ends with the same numbers. When it
    is done, each member's folder holds what :func:`avvp.training.fit` would have left there.

    Args:
        networks: S, of one class and with the same options, on the device to train on; each
            initialised by its own seed, see :func:`avvp.training.seeded`. One with a method
            ``token_scores`` is watched by it after every epoch.
        train, val: of all members, resident on the device.
        objectives: of each.
        config: of all.
        seeds: of each one's shuffling. Dropout draws from torch's generator as the caller left it.
        folder: of the group's checkpoints.
        folders: of each one's.
        names: of each, for whoever asks with whom it was trained.
        targets: what to compare each one with, (N, C) each; None: the weak labels.
        targets_from: what determines those of each, see :func:`avvp.training.fit`.
        recorded: replay recorded steps (:class:`Stepper`); None: on cuda, if all of a step is of
            this package or of torch. What a reader's own network or loss does on the processor,
            such as counting steps, would be recorded once and then stand still.
        progress: show a bar.
        checkpoint_seconds: see :func:`avvp.training.fit`.

    Raises:
        AvvpError: these cannot be trained together; or as for :func:`avvp.training.fit`.
    """
    if why := alone_because(config, train):
        raise AvvpError(f"{names[0]} and others cannot be trained together: {why}.")
    device = device_of(networks[0])
    if recorded is None:
        recorded = launch_bound(device) and not _of_a_reader(networks, objectives)
    nothing = [None] * len(networks)
    targets, targets_from = targets or nothing, targets_from or nothing
    identities = [
        identity_of(
            train, objective=objective, config=config, seed=seed, targets=own, targets_from=origin
        )
        for objective, seed, own, origin in zip(
            objectives, seeds, targets, targets_from, strict=True
        )
    ]
    members, losses = Together(networks), Losses(objectives, device)
    course = _Courses(
        members,
        folder=folder,
        identity={"together": identities, "names": list(names)},
        videos=len(train),
        batch_size=config.batch_size,
        epochs=config.epochs,
        weight_decay=config.weight_decay,
        capturable=recorded,
        told=f"{names[0]} and {len(names) - 1} more",
        progress=progress,
        checkpoint_seconds=checkpoint_seconds,
    )
    if not course.done:
        check_network(networks[0], train, precision=config.precision)
    step = Stepper(
        members,
        train,
        stacked_targets(train, objectives, targets),
        losses=losses,
        optimizer=course.optimizer,
        precision=config.precision,
        recorded=config.batch_size if recorded else None,
    )
    at_progress = getattr(members, "at_progress", None)
    state = course.state
    with PeakMemory(device) as memory:
        for epoch in course.remaining_epochs():
            rate = config.learning_rate_at(epoch)
            course.set_learning_rate(rate)
            members.train()
            order = epoch_orders(train, seeds, epoch).to(device)
            for index in order.split(config.batch_size, dim=1)[state["step"] :]:
                if at_progress:
                    at_progress(course.done, epochs=config.epochs)
                course.stepped({"parts": step(index)}, index.shape[1])
            told = validate_together(members, val, config)
            reached = [scores[main_metric(scores)] for scores, _ in told]
            entries = [
                {
                    "epoch": epoch,
                    "learning_rate": rate,
                    **means,
                    **{f"val/{name}": value for name, value in scores.items()},
                    **_watched(members, networks, member),
                }
                for member, (means, (scores, _)) in enumerate(
                    zip(course.means_of_each(losses.owners), told, strict=True)
                )
            ]
            keep = [
                score >= best or config.selection == "last"
                for score, best in zip(reached, state["best_score"], strict=True)
            ]
            course.end_epoch_of_each(entries, reached, [cut for _, cut in told], keep)
    state["peak_memory"] = max(state.get("peak_memory", 0), memory.bytes)
    return course.leave(networks, [Path(each) for each in folders], identities, names)


def _of_a_reader(networks: Sequence[nn.Module], objectives: Sequence[Objective]) -> bool:
    """Whether a layer or a loss is defined outside this package and torch."""
    layers = (layer for network in networks for layer in network.modules())
    return any(
        type(part).__module__.partition(".")[0] not in ("avvp", "torch")
        for part in (*layers, *objectives)
    )


def _watched(members: Together, networks: Sequence[nn.Module], member: int) -> dict[str, float]:
    """What a network that judges its own tokens says of them."""
    network = networks[member]
    if not hasattr(network, "token_scores"):
        return {}
    network.load_state_dict(members.member_state(member))
    return network.token_scores()


def alone_because(config: TrainingConfig, train: Videos) -> str | None:
    """Why networks cannot be trained together under this protocol on this split, if so."""
    if getattr(config, "patience", None) is not None:
        return "each one's learning rate falls on a plateau of its own"
    if not isinstance(train, Videos):
        return "the training split does not fit into the memory of the device and is streamed"
    return None
