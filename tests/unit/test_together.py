"""Several networks trained as one computation: each goes its own way."""

import re
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from avvp import together
from avvp.data.videos import Videos
from avvp.experiments import REGISTRY
from avvp.losses import (
    AdversarialObjective,
    AttentionObjective,
    ContrastiveObjective,
    Objective,
    Targets,
    weak_targets,
)
from avvp.models import build
from avvp.together import Losses, Stepper, Together, epoch_orders, stacked_targets
from avvp.training import (
    TrainingConfig,
    epoch_generator,
    predict,
    seeded,
    train_step,
    validate,
)
from tests.made_up_videos import make_videos

SEEDS = (1, 2, 3)
STEPS = 60
BATCH = 6
RATE = 1e-4
"""At three times as much, rounding grows to 1e-4 in MGN within sixty steps."""
MGN = dict.fromkeys(("video", "audio", "visual", "token_class"), 1.0)


@pytest.fixture(scope="module")
def videos() -> Videos:
    return make_videos(20, seed=3)  # the last batch of an epoch is smaller


def adam(network: torch.nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, fused=True)


def alone(
    make, seed, videos, objective, targets=None, *, steps=STEPS, rate=RATE, dropout_seed=None
):
    """The network after its steps, and its losses."""
    network = seeded(seed, make).train()
    if dropout_seed is not None:
        torch.manual_seed(dropout_seed)
    optimizer, losses, epoch = adam(network, rate), [], 0

    def wanted(batch):
        if targets is None:
            return weak_targets(batch.weak, visual_smoothing=objective.visual_smoothing)
        return Targets(*(x[batch.index] for x in targets))

    while len(losses) < steps:
        epoch += 1
        generator = epoch_generator(seed, epoch)
        for batch in videos.batches(batch_size=BATCH, generator=generator):
            parts = train_step(
                network, batch, optimizer, objective, wanted, torch.device("cpu"), "float32"
            )
            losses.append(parts["loss"])
            if len(losses) == steps:
                break
    return network, torch.stack(losses)


def stepper(members, videos, objectives, targets=None, *, optimizer, recorded=None) -> Stepper:
    """Steps of members on the device of their videos."""
    return Stepper(
        members,
        videos,
        stacked_targets(videos, objectives, targets or [None] * len(objectives)),
        losses=Losses(objectives, videos.weak.device),
        optimizer=optimizer,
        recorded=recorded,
    )


def batched(make, seeds, videos, objectives, targets=None, *, steps=STEPS, rate=RATE):
    """All members after their steps, and their losses (steps, S)."""
    members = Together([seeded(seed, make) for seed in seeds]).train()
    step = stepper(members, videos, objectives, targets, optimizer=adam(members, rate))
    losses, epoch = [], 0
    while len(losses) < steps:
        epoch += 1
        for index in epoch_orders(videos, seeds, epoch).split(BATCH, dim=1):
            losses.append(step(index)[0].clone())
            if len(losses) == steps:
                break
    return members, torch.stack(losses)


NETWORKS = {
    "han": ({"model": "han", "width": 32, "dropout": 0.0}, Objective()),
    "ma/c": ({"model": "han", "width": 32, "dropout": 0.0}, ContrastiveObjective()),
    "mgn": (
        {"model": "mgn", "depths": (1, 1, 2), "width": 32, "drop_path": 0.0, "audio_time": "own"},
        Objective(MGN),
    ),
    "cross_modal/base": (
        {"model": "cross_modal", "width": 32, "skip": False, "global_context": "off"}
        | {"dropout": 0.0},
        AdversarialObjective(),
    ),
}  # fmt: skip


def maker(model, **options):
    return lambda: build(model, **options)


IDLE = re.compile(
    r"(time_attention|modality_attention|in_projection|mix\.contract|discriminator\.\w+)\.bias"
    r"|running_mean"
)
"""Numbers that change nothing, because a softmax or a norm follows, and means that follow them.

Their gradient is rounding alone; Adam makes of it steps of full size, in either direction."""


@pytest.mark.parametrize("name", NETWORKS)
def test_without_dropout_each_member_goes_the_way_it_goes_alone(name, videos):
    """Losses at each of 60 steps and probabilities after them to 1e-5, weights to 2e-4."""
    options, objective = NETWORKS[name]
    make = maker(**options)
    # A channel of the critic's norm that hardly varies multiplies rounding; at the printed rate
    # none of these three comes across one.
    rate = 3e-4 if name == "cross_modal/base" else RATE
    members, losses = batched(make, SEEDS, videos, [objective] * len(SEEDS), rate=rate)
    assert losses.shape == (STEPS, len(SEEDS))
    assert (losses[-1] < losses[0] - 0.1).all()
    for member, seed in enumerate(SEEDS):
        network, wanted = alone(make, seed, videos, objective, rate=rate)
        torch.testing.assert_close(losses[:, member], wanted, atol=1e-5, rtol=0)
        state, moved = members.member_state(member), 0.0
        for key, value in network.state_dict().items():
            far = 2 * rate * STEPS if IDLE.search(key) else 2e-4
            torch.testing.assert_close(state[key], value, atol=far, rtol=0, msg=key)
            moved = max(moved, (value - seeded(seed, make).state_dict()[key]).abs().max().item())
        assert moved > 2e-3
        again = make()
        again.load_state_dict(state)
        for ours, theirs in zip(
            predict(again, videos)[:5], predict(network, videos)[:5], strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    # Members do not go one way.
    assert (losses[:, 0] - losses[:, 1]).abs().max() > 0.01


def test_members_may_differ_in_their_loss_and_in_their_labels(videos):
    make = maker("han", width=16, dropout=0.0)
    objectives = [
        Objective(),
        ContrastiveObjective(temperature=0.3),
        Objective(visual_smoothing=0.0),
        ContrastiveObjective(temperature=0.1),
        Objective(),
    ]
    label = torch.rand(3, 20, 25, generator=torch.Generator().manual_seed(0)).round()
    targets = [None, Targets(*label), None, None, Targets(*label.flip(0))]
    seeds = (1, 1, 1, 2, 1)
    _, losses = batched(make, seeds, videos, objectives, targets, steps=12)
    for member, seed in enumerate(seeds):
        _, wanted = alone(make, seed, videos, objectives[member], targets[member], steps=12)
        torch.testing.assert_close(losses[:, member], wanted, atol=1e-5, rtol=0)


def test_each_member_has_the_parts_of_its_own_loss(videos):
    objectives = [Objective({"audio": 1.0}), ContrastiveObjective(), AttentionObjective()]
    losses = Losses(objectives, torch.device("cpu"))
    parsing = Together([maker("han", width=16)() for _ in objectives])(
        *videos.rows(torch.arange(4))[1:4]
    )
    wanted = stacked_targets(videos, objectives, [None] * 3)
    _, parts = losses(parsing, Targets(*(x[:, :4] for x in wanted)))
    owners = {"loss": [0, 1, 2], "audio": [0, 1, 2], "video": [1, 2], "visual": [1, 2]}
    assert {k: sorted(v) for k, v in losses.owners.items()} == owners | {"contrastive": [1]}
    there = {name: (~part.isnan()).nonzero().flatten().tolist() for name, part in parts.items()}
    assert there == {k: sorted(v) for k, v in losses.owners.items()}


# Free of host work


class Noted(TorchDispatchMode):
    """Notes the operations that are carried out."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*arguments, **(options or {}))


WAITING = {"_local_scalar_dense", "item", "nonzero", "masked_select", "_unique2", "equal"}
"""Operations whose result, or its shape, the processor has to wait for."""


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_in_a_step_waits_for_the_device(name, videos):
    options, objective = NETWORKS[name]
    members = Together([seeded(seed, maker(**options)) for seed in SEEDS]).train()
    objectives = [objective] * len(SEEDS)
    step = stepper(members, videos, objectives, optimizer=adam(members, RATE))
    index = epoch_orders(videos, SEEDS, 1)[:, :BATCH]
    step(index)
    with Noted() as noted:
        step(index)
    assert {"_fused_adam_", "index"} <= noted.names
    assert not noted.names & WAITING


class FromTheHost(TorchDispatchMode):
    """Notes what a device gets from the host's memory; a plain number goes with the order."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        made = function(*arguments, **(options or {}))
        given, made_of = (
            [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor) and x.ndim]
            for tree in ((arguments, options), made)
        )
        if any(x.device.type == "cpu" for x in [*given, *made_of]):
            self.names.add(function.overloadpacket.__name__)
        return made


class FromAList(Objective):
    """With a weight a class that each step copies to the device."""

    def terms(self) -> dict:
        def weighted(parsing, targets):
            return (parsing.video * torch.tensor([0.5] * 25).to(parsing.video.device)).mean()

        return {**super().terms(), "weighted": weighted}


def taken_from_the_host(make, videos, objective, monkeypatch) -> set[str]:
    """By a step on a device that computes nothing, and so is in every computer."""
    monkeypatch.setattr(
        torch, "autocast", lambda *_, **__: nullcontext()
    )  # it knows no such device
    device, objectives = torch.device("meta"), [objective] * len(SEEDS)
    members = Together([seeded(seed, make) for seed in SEEDS]).train().to(device)
    there = videos.to(device)
    step = stepper(
        members, there, objectives, optimizer=torch.optim.SGD(members.parameters(), foreach=True)
    )
    index = epoch_orders(videos, SEEDS, 1)[:, :BATCH].to(device)
    step(index)
    with FromTheHost() as host:
        step(index)
    return host.names


@pytest.mark.parametrize(
    "name",
    [
        "han/han",
        "reference/linear",
        "older/stpn",
        "older/cmcs",
        "ma/c",
        "mgn/c",
        "mgn/hard_hard",
        "mgn/localising",
        "cross_modal/adv_skip_gcaa",
        "cross_modal/gcaa_intended",
        "cross_modal/pretrain_uni",
    ],
)
def test_a_step_takes_nothing_from_the_host(name, videos, monkeypatch):
    entry = REGISTRY[name]
    make = maker(entry.model, **entry.options)
    assert taken_from_the_host(make, videos, entry.objective, monkeypatch) == set()


def test_a_step_that_takes_a_list_from_the_host_is_found(videos, monkeypatch):
    objective = FromAList({"video": 1.0, "weighted": 1.0})
    make = maker("han", width=16)
    assert "_to_copy" in taken_from_the_host(make, videos, objective, monkeypatch)


class FakeCuda:
    """Notes what is asked of ``torch.cuda``, and of which device, where there is none."""

    def __init__(self, monkeypatch):
        self.current, self.noted = torch.device("cuda", 0), []
        monkeypatch.setattr(torch.cuda, "device", self.device)
        monkeypatch.setattr(torch.cuda, "Stream", self.stream)
        monkeypatch.setattr(torch.cuda, "current_stream", self.stream)
        monkeypatch.setattr(torch.cuda, "stream", self.on)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)

    @contextmanager
    def device(self, device):
        before, self.current = self.current, device
        yield
        self.current = before

    def stream(self, device=None):
        made = type("Stream", (), {"device": device or self.current})()
        made.wait_stream = lambda other: self.noted.append(("wait", made.device, other.device))
        return made

    def on(self, stream):
        return self.device(stream.device)

    @contextmanager
    def graph(self, graph, *, stream=None):
        stream = stream or self.stream(torch.device("cuda", 0))  # torch keeps it from device 0
        self.noted.append(("begin", self.current, stream.device))
        with self.on(stream):
            yield
        self.noted.append(("end", self.current, stream.device))

    def replay(self):
        self.noted.append(("replay",))


def test_a_step_is_recorded_on_the_device_of_its_members(videos, monkeypatch):
    """With a fake of torch.cuda: the members lie on the processor, and say that it is cuda:1."""
    cuda, second, taken = FakeCuda(monkeypatch), torch.device("cuda", 1), []
    monkeypatch.setattr(together, "device_of", lambda network: second)
    monkeypatch.setattr(torch, "arange", lambda *_, whole=torch.arange, **__: whole(*_))
    members = Together([seeded(seed, maker("linear")) for seed in SEEDS])
    step = Stepper(members, videos, None, losses=None, optimizer=adam(members, RATE), recorded=2)

    def take(index):
        taken.append(cuda.current)
        return index

    monkeypatch.setattr(step, "_take", take)
    for _ in range(together.WARM_UP + 2):
        step(torch.zeros(3, 2, dtype=torch.int64))
    assert taken == [second] * (together.WARM_UP + 1)  # the last one is the recording
    waits = 2 * together.WARM_UP
    assert cuda.noted == [
        *[("wait", second, second)] * waits,
        ("begin", second, second),
        ("end", second, second),
        ("replay",),
        ("replay",),
    ]
    assert cuda.current == torch.device("cuda", 0)  # as it was found


def test_what_is_not_recorded_warns_of_all_but_that(videos):
    """Adam's warning, which needs a GPU, is said in its stead."""

    class Warning_(Objective):
        def __call__(self, *arguments):
            warnings.warn("This instance was constructed with capturable=True or", stacklevel=1)
            warnings.warn("something else", stacklevel=1)
            return super().__call__(*arguments)

    members = Together([seeded(seed, maker("linear")) for seed in SEEDS])
    objectives = [Warning_()] * len(SEEDS)
    step = stepper(members, videos, objectives, optimizer=adam(members, RATE), recorded=BATCH)
    with pytest.warns(UserWarning) as caught:
        step(epoch_orders(videos, SEEDS, 1)[:, : BATCH - 1])
    assert {str(warning.message) for warning in caught} == {"something else"}


needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="records steps as CUDA graphs: needs a CUDA device"
)


def on_cuda(make, videos, objective, *, recorded, epochs=4, rate=RATE, number=0):
    """Losses (steps, S) of networks on cuda; after the first epoch whatever waits is an error."""
    device = torch.device("cuda", number)
    members = Together([seeded(seed, make).to(device) for seed in SEEDS]).train()
    there, objectives = videos.to(device), [objective] * len(SEEDS)
    optimizer = torch.optim.Adam(
        members.parameters(), lr=torch.tensor(rate, device=device), fused=True, capturable=True
    )
    step = stepper(
        members, there, objectives, optimizer=optimizer, recorded=BATCH if recorded else None
    )
    losses = []
    for epoch in range(1, epochs + 1):
        batches = epoch_orders(videos, SEEDS, epoch).to(device).split(BATCH, dim=1)
        torch.cuda.set_sync_debug_mode("error" if epoch > 2 else "default")
        try:
            losses += [step(index)[0].clone() for index in batches]
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return torch.stack(losses).cpu()


@needs_cuda
@pytest.mark.parametrize("name", NETWORKS)
def test_a_recorded_step_is_the_step(name, videos):
    options, objective = NETWORKS[name]
    eager, replayed = (
        on_cuda(maker(**options), videos, objective, recorded=recorded)
        for recorded in (False, True)
    )
    torch.testing.assert_close(replayed, eager, atol=1e-4, rtol=0)
    assert (replayed[-4:].mean(0) < replayed[:4].mean(0)).all()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs a second CUDA device")
def test_a_step_is_recorded_on_a_second_device(videos):
    options, objective = NETWORKS["han"]
    # Torch keeps the stream of the first recording for later ones.
    for number in (0, 1):
        eager, replayed = (
            on_cuda(maker(**options), videos, objective, recorded=recorded, number=number)
            for recorded in (False, True)
        )
        torch.testing.assert_close(replayed, eager, atol=1e-4, rtol=0)


@needs_cuda
@pytest.mark.filterwarnings("error")
def test_recording_warns_of_nothing(videos):
    options, objective = NETWORKS["han"]
    on_cuda(maker(**options), videos, objective, recorded=True, epochs=2)


@needs_cuda
def test_a_recorded_step_draws_new_dropout_each_time(videos):
    make = maker("han", width=16, dropout=0.5)
    losses = on_cuda(make, videos, Objective(), recorded=True, rate=0.0)
    # The same weights and the same videos, in another order, in each of the last three epochs.
    count = torch.tensor([BATCH, BATCH, BATCH, 2.0])[:, None]
    epochs = (losses[4:].unflatten(0, (3, 4)) * count).sum(1) / len(videos)
    assert (epochs[0] - epochs[1]).abs().min() > 1e-4
    still = on_cuda(
        maker("han", width=16, dropout=0.0), videos, Objective(), recorded=True, rate=0.0
    )
    epochs = (still[4:].unflatten(0, (3, 4)) * count).sum(1) / len(videos)
    torch.testing.assert_close(epochs[0], epochs[1], atol=1e-5, rtol=0)


# With dropout

TWINS = 12
LONG, SHORT = {"steps": 300, "rate": 1e-3}, {"steps": 40, "rate": 1e-3}


class Drawn(NamedTuple):
    """Final scores."""

    seeds: list[float]  # Type@AV of twenty seeds after 300 steps
    twins: list[float]  # losses of one seed after 40 steps, under as many dropouts


def noisy():
    return build("han", width=8, dropout=0.2)


def loss_after(network: torch.nn.Module, videos: Videos) -> float:
    """The loss of a trained network without its dropout."""
    network.eval()
    batch = videos.rows(torch.arange(len(videos)))
    with torch.no_grad():
        return Objective()(network(*batch[1:4]), weak_targets(batch.weak))[0].item()


def score_after(network: torch.nn.Module, videos: Videos) -> float:
    """Its segment-level Type@AV, in per cent."""
    return validate(network, videos, TrainingConfig())[0]["segment/type_av"]


def scores_together(score, seeds, videos, **options) -> list[float]:
    members, _ = batched(noisy, seeds, videos, [Objective()] * len(seeds), **options)
    networks = [noisy() for _ in seeds]
    for member, network in enumerate(networks):
        network.load_state_dict(members.member_state(member))
    return [score(network, videos) for network in networks]


def draw_together(videos) -> Drawn:
    return Drawn(
        scores_together(score_after, range(1, 21), videos, **LONG),
        scores_together(loss_after, [1] * TWINS, videos, **SHORT),
    )


@pytest.fixture(scope="module")
def drawn_alone(few) -> Drawn:
    twins = []
    for twin in range(TWINS):
        network, _ = alone(noisy, 1, few, Objective(), **SHORT, dropout_seed=twin)
        twins.append(loss_after(network, few))
    seeds = [alone(noisy, seed, few, Objective(), **LONG)[0] for seed in range(1, 21)]
    return Drawn([score_after(network, few) for network in seeds], twins)


@pytest.fixture(scope="module")
def few() -> Videos:
    made = make_videos(12, seed=4)
    truth = made.weak[:, :, None].expand(-1, -1, 10).clone()
    return replace(made, true_audio=truth, true_visual=truth)


def differences(ours: Drawn, theirs: Drawn) -> dict[str, float]:
    """How probable such a difference is if training together is training alone.

    Of the means over seeds (Welch); and of the spread of networks that differ in nothing but their
    dropout (Brown and Forsythe), which dropout that is shared takes away without moving a mean.
    """
    return {
        "mean": stats.ttest_ind(*(drawn.seeds for drawn in (ours, theirs)), equal_var=False).pvalue,
        "twins' mean": stats.ttest_ind(ours.twins, theirs.twins, equal_var=False).pvalue,
        "twins' spread": stats.levene(ours.twins, theirs.twins, center="median").pvalue,
    }


def test_with_dropout_training_together_is_like_training_alone(drawn_alone, few):
    probable = differences(draw_together(few), drawn_alone)
    assert min(probable.values()) > 0.01, probable


@pytest.mark.filterwarnings("ignore:Precision loss")  # twins that are equal to the last bit
def test_dropout_that_is_shared_would_be_found(drawn_alone, few, monkeypatch):
    monkeypatch.setattr(together, "RANDOMNESS", "same")
    twins = scores_together(loss_after, [1] * TWINS, few, **SHORT)
    assert len(set(twins)) == 1
    probable = differences(drawn_alone._replace(twins=twins), drawn_alone)
    assert probable["twins' spread"] < 0.01, probable
