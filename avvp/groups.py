"""Which experiments and seeds can be trained together, and their training.

Members of a group share model, options and protocol: seeds of one experiment, and experiments that
differ in their loss or in their labels alone. While a group is trained its checkpoint lies in a
folder of its own beside the members', with the list of them, so that what was begun together goes
on together: halves of a group that memory was too small for are listed before the first of them is
trained, and a member that is left alone has its own folder then. When it is done each member's
folder holds what training it alone would have left.
"""

import gc
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from avvp.atomic import write_text
from avvp.data.simulate import SPLITS
from avvp.devices import choose_device, give_back_memory, launch_bound
from avvp.errors import AvvpError
from avvp.experiments import (
    REGISTRY,
    Experiment,
    Profile,
    Source,
    network_before,
    open_source,
    open_split,
    refined_by,
    targets_from,
    weights_path,
)
from avvp.memory import out_of_memory
from avvp.models import build
from avvp.results import RUNS
from avvp.together import (
    Losses,
    Stepper,
    Together,
    alone_because,
    epoch_orders,
    fit_together,
    stacked_targets,
)
from avvp.training import CHECKPOINT, SELECTED, Precision, adam, seeded

Member = tuple[Experiment, int]
"""An experiment and a seed."""
MEMBERS = "members.json"

RECURRENT = ("ave", "avsdn", "talnet")
"""Models with recurrent layers, of which torch has no batched form."""


def shape_of(experiment: Experiment, profile: Profile) -> str:
    """What members of a group have in common: model, options and protocol."""
    here = experiment.at(profile)
    training = here.training and asdict(here.training)
    return json.dumps([here.model, here.options, training], sort_keys=True, default=list)


def trained_alone(experiment: Experiment) -> str | None:
    """Why an experiment cannot be trained together with others, if so."""
    if experiment.training is None:
        return "nothing is trained"
    if experiment.model in RECURRENT:
        return "its recurrent layers have no batched form"
    if experiment.pretraining:
        return "it is pre-trained first"
    if getattr(experiment.training, "patience", None) is not None:
        return "its learning rate falls on a plateau of its own"
    return None


def step_of(
    experiment: Experiment,
    *,
    profile: Profile,
    seeds: Sequence[int],
    data: str = "sim",
    device: str = "auto",
    precision: Precision | None = None,
    recorded: bool | None = None,
) -> Callable[[], torch.Tensor]:
    """The step of several seeds of an experiment, to be timed: call it, and all take one step.

    Nothing is validated or written. Each call takes the next batch of full size of the members'
    epochs; the loss and its parts by member, (P, S), stay on the device.

    Args:
        experiment: one that can be trained together.
        profile: how much data, and what it changes of the protocol.
        seeds: of the members; one is enough.
        data: ``"sim"`` or the path of an HDF5 file.
        device: see :func:`avvp.devices.choose_device`.
        precision: None: as in the profile.
        recorded: see :class:`avvp.together.Stepper`; None: on cuda.

    Raises:
        AvvpError: the experiment is trained alone.
    """
    chosen, here = choose_device(device), experiment.at(profile)
    if why := trained_alone(here):
        raise AvvpError(f"{experiment.name} is trained alone: {why}.")
    train = open_split(open_source(data, profile), "train", profile, chosen)
    if why := alone_because(here.training, train):
        raise AvvpError(f"{experiment.name} is trained alone: {why}.")
    recorded = launch_bound(chosen) if recorded is None else recorded
    networks = [seeded(seed, lambda: build(here.model, **here.options)) for seed in seeds]
    members = Together([network.to(chosen) for network in networks]).train()
    objectives = [here.objective] * len(seeds)
    size = min(here.training.batch_size, len(train))
    optimizer = adam(
        members,
        learning_rate=here.training.learning_rate,
        weight_decay=here.training.weight_decay,
        capturable=recorded,
    )
    step = Stepper(
        members,
        train,
        stacked_targets(train, objectives, [None] * len(seeds)),
        losses=Losses(objectives, chosen),
        optimizer=optimizer,
        precision=precision or here.training.precision,
        recorded=size if recorded else None,
    )
    epoch, waiting = 0, []

    def next_step() -> torch.Tensor:
        nonlocal epoch, waiting
        if not waiting:
            epoch += 1
            order = epoch_orders(train, seeds, epoch).to(chosen)
            waiting = [batch for batch in order.split(size, dim=1) if batch.shape[1] == size]
        return step(waiting.pop())

    return next_step


def in_groups(
    members: Sequence[Member],
    *,
    limit: int | None,
    profile: Profile,
    source: Source,
    device: torch.device,
    runs: Path,
) -> tuple[list[tuple[Member, ...]], dict[str, str]]:
    """Who is trained with whom.

    Groups that were begun go on as they are. What was begun alone goes on alone, and so does what
    cannot be trained together.

    Args:
        members: all to be trained.
        limit: at most so many in a group, which may then hold several experiments of one shape.
            None: on cuda all seeds of one experiment, elsewhere one.
        profile, source, runs: of all.
        device: to train on.

    Returns:
        the groups, and the experiments that are trained alone because they have to, with the
        reason; nothing of the latter where everything is.

    Raises:
        AvvpError: the list of a group that was begun is damaged.
    """
    if limit == 1 or (limit is None and not launch_bound(device)):
        return [(member,) for member in members], {}
    place = {"profile": profile, "source": source, "runs": runs}
    waiting = dict(zip(_names(members), members, strict=True))
    groups, kinds, alone = [], {}, {}
    lists = {path: _listed(path) for path in sorted(_root(**place).glob(f"*/{MEMBERS}"))}
    # Cut off while it was halved, a group is listed besides its halves: it comes first.
    for path, names in sorted(lists.items(), key=lambda item: -len(item[1])):
        begun = tuple(waiting[name] for name in names if name in waiting)
        whole = len(begun) == len(names) <= (limit or len(names))
        if whole and _folder(begun, **place) == path.parent:
            groups.append(begun)
            waiting = {name: member for name, member in waiting.items() if name not in names}
    for experiment, seed in waiting.values():
        why = trained_alone(experiment)
        begun = _own((experiment, seed), **place).exists()
        if why or begun:
            groups.append(((experiment, seed),))
            alone |= {experiment.name: why} if why else {}
        else:
            kind = shape_of(experiment, profile) if limit else experiment.name
            kinds.setdefault(kind, []).append((experiment, seed))
    for kind in kinds.values():
        size = limit or len(kind)
        groups += [tuple(kind[start : start + size]) for start in range(0, len(kind), size)]
    return groups, alone


def _listed(path: Path) -> list[str]:
    """The members of a group that was begun."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AvvpError(
            f"{path} does not say who is trained together: delete its folder, and they begin again."
        )
    return names


def _root(*, profile: Profile, source: Source, runs: Path) -> Path:
    return runs / source.name / profile.name / "together"


def _own(member: Member, *, profile: Profile, source: Source, runs: Path) -> Path:
    """A member's folder. It is there when the member was begun alone, or trained with others."""
    experiment, seed = member
    place = {"profile": profile, "source": source, "runs": runs}
    return weights_path(experiment, seed=seed, **place).parent


def _folder(members: Sequence[Member], *, profile: Profile, source: Source, runs: Path) -> Path:
    """Where a group's checkpoint lies: named by what determines its members."""
    place = {"profile": profile, "source": source, "runs": runs}
    told = "\n".join(str((_own(m, **place) / SELECTED).relative_to(runs)) for m in members)
    return _root(**place) / hashlib.sha256(told.encode()).hexdigest()[:12]


def _names(members: Sequence[Member]) -> list[str]:
    return [f"{experiment.name} seed {seed}" for experiment, seed in members]


def _begin(members: Sequence[Member], *, profile: Profile, source: Source, runs: Path) -> None:
    """Leave what :func:`in_groups` knows members by that are to be trained together, or alone."""
    place = {"profile": profile, "source": source, "runs": runs}
    if len(members) == 1:
        _own(members[0], **place).mkdir(parents=True, exist_ok=True)
    else:
        write_text(_folder(members, **place) / MEMBERS, json.dumps(_names(members)))


def _remove(folder: Path) -> None:
    """Remove a group's folder, its list last: cut off in here, it is found and removed again."""
    if folder.exists():
        for path in folder.iterdir():
            if path.name != MEMBERS:
                path.unlink()
        shutil.rmtree(folder)


def train_together(
    members: Sequence[Member],
    *,
    profile: Profile,
    data: str = "sim",
    device: str = "auto",
    runs: Path = RUNS,
    progress: bool = True,
) -> list[str]:
    """Train members of one shape as one computation; :func:`avvp.experiments.run` then finds each
    of them trained and scores it.

    If the memory of the device is too small for all, halves of them are trained one after the
    other; who is left alone is not trained here. If it is too small for the training split, nobody
    is.

    Args:
        members: experiments of one :func:`shape_of`, and seeds.
        profile, data, device, runs, progress: as for :func:`avvp.experiments.run`.

    Returns:
        what there is to say: that a group was halved, or why its members are trained alone.

    Raises:
        AvvpError: an experiment is trained alone, or the run that it comes after is not there.
    """
    if len(members) < 2:
        return []
    shapes = {shape_of(experiment, profile) for experiment, _ in members}
    if len(shapes) > 1:
        raise AvvpError("These experiments differ in model, options or protocol: train them apart.")
    source, chosen = open_source(data, profile), choose_device(device)
    place = {"profile": profile, "source": source, "runs": runs}
    folder, own = _folder(members, **place), [_own(member, **place) for member in members]
    if all((path / name).exists() for path in own for name in (SELECTED, CHECKPOINT)):
        _remove(folder)  # cut off after training, perhaps while it was removed
        return []
    middle = (len(members) + 1) // 2
    halves, said = (members[:middle], members[middle:]), []
    begun = [*own, *(_folder(half, **place) / MEMBERS for half in halves)]
    # Not where parts of it were begun instead: halved by a worker that was lost, it stays halved.
    if (folder / MEMBERS).exists() or not any(path.exists() for path in begun):
        alone, exhausted = None, False
        try:
            alone = _train(members, folder, profile, source, chosen, runs, progress)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            exhausted = True  # the error holds on to the tensors of the frames it came through
        if not exhausted:
            _remove(folder)
            return [f"trained alone: {_told(members)}: {alone}"] if alone else []
        gc.collect()
        give_back_memory(chosen)
        for half in halves:
            _begin(half, **place)
        _remove(folder)
        said.append(
            f"{_told(members)} do not fit into the memory of {chosen} together: trained as "
            f"{len(halves[0])} and {len(halves[1])}."
        )
    options = {"profile": profile, "data": data, "device": device, "runs": runs}
    for half in halves:
        said += train_together(half, **options, progress=progress)
    return said


def _told(members: Sequence[Member]) -> str:
    """Names and seeds, an experiment at a time."""
    seeds: dict[str, list[str]] = {}
    for experiment, seed in members:
        seeds.setdefault(experiment.name, []).append(str(seed))
    return ", ".join(f"{name} seeds {' '.join(numbers)}" for name, numbers in seeds.items())


def _train(
    members: Sequence[Member],
    folder: Path,
    profile: Profile,
    source: Source,
    device: torch.device,
    runs: Path,
    progress: bool,
) -> str | None:
    """Train the members; or, if they have to be trained alone on such a split, say why."""
    place = {"profile": profile, "source": source, "runs": runs}
    here = [experiment.at(profile) for experiment, _ in members]
    for experiment in here:
        if why := trained_alone(experiment):
            raise AvvpError(f"{experiment.name} is trained alone: {why}.")
    train, val, _ = (open_split(source, split, profile, device) for split in SPLITS)
    if why := alone_because(here[0].training, train):
        return why
    _begin(members, **place)
    targets = []
    for experiment, (_, seed) in zip(here, members, strict=True):
        if experiment.refinement:
            before = REGISTRY[experiment.after]
            base = network_before(experiment, before, device, seed=seed, **place)
            targets.append(refined_by(base, experiment, train, seed=seed).targets)
        else:
            targets.append(None)
    networks = [
        seeded(seed, lambda e=experiment: build(e.model, **e.options)).to(device)
        for experiment, (_, seed) in zip(here, members, strict=True)
    ]
    fit_together(
        networks,
        train,
        val,
        objectives=[experiment.objective for experiment in here],
        config=here[0].training,
        seeds=[seed for _, seed in members],
        folder=folder,
        folders=[_own(member, **place) for member in members],
        names=_names(members),
        targets=targets,
        targets_from=[targets_from(experiment) for experiment in here],
        progress=progress,
    )
    return None
