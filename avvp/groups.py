"""Which experiments and seeds can be trained together, and their training.

Members of a group share model, options and protocol: seeds of one experiment, and experiments that
differ in their loss or in their labels alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch

from avvp.errors import AvvpError
from avvp.experiments import (
    Experiment,
    Profile,
    open_source,
    open_split,
)
from avvp.models import build
from avvp.together import (
    Losses,
    Stepper,
    Together,
    alone_because,
    epoch_orders,
    stacked_targets,
)
from avvp.training import Precision, choose_device, seeded

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
        device: see :func:`avvp.training.choose_device`.
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
    recorded = chosen.type == "cuda" if recorded is None else recorded
    networks = [seeded(seed, lambda: build(here.model, **here.options)) for seed in seeds]
    members = Together([network.to(chosen) for network in networks]).train()
    objectives = [here.objective] * len(seeds)
    rate = here.training.learning_rate
    optimizer = torch.optim.Adam(
        members.parameters(),
        lr=torch.tensor(rate, device=chosen) if recorded else rate,
        weight_decay=here.training.weight_decay,
        capturable=recorded,
        fused=chosen.type in ("cuda", "cpu"),
    )
    step = Stepper(
        members,
        train,
        stacked_targets(train, objectives, [None] * len(seeds)),
        losses=Losses(objectives, chosen),
        optimizer=optimizer,
        precision=precision or here.training.precision,
        recorded=recorded,
    )
    size = min(here.training.batch_size, len(train))
    epoch, waiting = 0, []

    def next_step() -> torch.Tensor:
        nonlocal epoch, waiting
        if not waiting:
            epoch += 1
            order = epoch_orders(train, seeds, epoch).to(chosen)
            waiting = [batch for batch in order.split(size, dim=1) if batch.shape[1] == size]
        return step(waiting.pop())

    return next_step
