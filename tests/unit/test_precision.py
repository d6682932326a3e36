"""What stays in float32 where matrix products are in bfloat16, alone and together."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from avvp.events import Parsing
from avvp.models import build, cross_modal, layers, mgn
from avvp.models.cross_modal import GlobalContextAttention
from avvp.models.layers import Attention, recur, widened
from avvp.models.mgn import Assignment
from avvp.together import Together
from avvp.training import seeded
from tests.made_up_videos import make_videos

SMALL = {"width": 16}
NETWORKS = {
    "han": SMALL,
    "cross_modal": SMALL,
    "cross_modal intended": {**SMALL, "global_context": "intended"},
    "cross_modal off": {**SMALL, "global_context": "off"},
    "mgn": {"depths": (1, 1, 1), "width": 16},
    "mgn hard": {"depths": (1, 1, 1), "width": 16, "unimodal": "hard", "crossmodal": "hard"},
    "avg": {"hidden": 16, "layers": 1, "intermediate": 16},
    "stpn": {"hidden": 8},
    "cmcs": {"base": 8, "width": 4},
}
RECURRENT = {"ave": {**SMALL, "state": 8}, "avsdn": {"state": 8}, "talnet": SMALL}


class Softmaxes(TorchDispatchMode):
    """Notes in which types softmaxes are taken."""

    def __init__(self):
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function.overloadpacket.__name__ in ("_softmax", "_safe_softmax", "_log_softmax"):
            self.dtypes.add(arguments[0].dtype)
        return function(*arguments, **(options or {}))


def made(name: str, seed: int = 1) -> nn.Module:
    options = (NETWORKS | RECURRENT)[name]
    return seeded(seed, lambda: build(name.split()[0], **options))


def parse(network: nn.Module) -> Parsing:
    return network(*make_videos(3, seed=1).rows(torch.arange(3))[1:4])


def widest(x: torch.Tensor) -> torch.Tensor:
    """What ``widened`` does on cuda."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("members", [0, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_softmax_of_what_is_widened_is_in_float32(name, members, training, monkeypatch):
    """Members that are trained together escape from what autocast does on cuda."""
    for module in (layers, mgn, cross_modal):
        monkeypatch.setattr(module, "widened", widest)
    network = Together([made(name, s) for s in range(members)]) if members else made(name)
    network.train(training)
    with Softmaxes() as noted, torch.autocast("cpu", dtype=torch.bfloat16):
        parsing = parse(network)
    assert noted.dtypes == ({torch.float32} if name != "stpn" else set())
    for extra, value in parsing.extras.items():
        if extra.startswith(("attention", "assignment")):
            assert value.dtype == torch.float32, extra


def test_a_processor_computes_as_the_committed_runs_did():
    """In bfloat16, alone and together: the same seed gives the same numbers as before."""
    for network in (made("han"), Together([made("han", seed) for seed in range(2)])):
        with Softmaxes() as noted, torch.autocast("cpu", dtype=torch.bfloat16):
            parse(network)
        assert torch.bfloat16 in noted.dtypes


@pytest.mark.parametrize(
    "attention", [Attention(16), GlobalContextAttention(16), Assignment(16, hard=False)]
)
def test_in_float64_attention_stays_there(attention):
    x = torch.ones(2, 10, 16, dtype=torch.float64)
    read, *weights = attention.double()(x, x)
    assert {read.dtype, *(weight.dtype for weight in weights)} == {torch.float64}


@pytest.mark.parametrize(
    ("device", "dtype", "wide"),
    [
        ("cuda", torch.bfloat16, torch.float32),
        ("cuda", torch.float32, torch.float32),
        ("cuda", torch.float64, torch.float64),
        ("cpu", torch.bfloat16, torch.bfloat16),
        ("cpu", torch.float32, torch.float32),
    ],
)
def test_on_a_gpu_what_is_too_narrow_is_widened(device, dtype, wide):
    with FakeTensorMode():  # knows devices that are not there, and computes nothing
        x = torch.empty(2, dtype=dtype, device=device)
        assert widened(x).dtype == wide
        assert (widened(x) is x) == (dtype == wide)


def test_on_a_gpu_recurrent_layers_are_computed_in_float32(monkeypatch):
    """Autocast would give cuDNN float16 there; without a GPU it can be seen that it is off."""
    asked, read = [], []

    @contextmanager
    def autocast(device, *, enabled):
        asked.append((device, enabled))
        yield
        asked.append("over")

    def layer(sequence, state):
        read.append((sequence.dtype, list(asked)))
        return sequence, state

    monkeypatch.setattr(torch, "autocast", autocast)
    with FakeTensorMode():
        recur(layer, torch.empty(2, 10, 4, dtype=torch.bfloat16, device="cuda"))
    assert read == [(torch.float32, [("cuda", False)])] and asked[-1] == "over"


@pytest.mark.parametrize("name", RECURRENT)
def test_a_processor_leaves_recurrent_layers_to_autocast(name):
    network, noted = made(name), []
    recurrent = [module for module in network.modules() if isinstance(module, nn.RNNBase)]
    for layer in recurrent:
        layer.register_forward_pre_hook(lambda *_: noted.append(torch.is_autocast_enabled("cpu")))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parsing = parse(network)
    assert noted == [True] * len(recurrent)
    parsing.video.sum().backward()
    for layer in recurrent:
        for parameter in layer.parameters():
            assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()
