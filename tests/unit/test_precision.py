"""What stays in float32 where matrix products are in bfloat16, alone and together."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from avvp.events import Parsing
from avvp.models import build
from avvp.models.cross_modal import GlobalContextAttention
from avvp.models.layers import Attention, widened
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


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("members", [0, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_softmax_is_in_float32(name, members, training):
    """Members that are trained together escape from what autocast does on cuda."""
    network = Together([made(name, s) for s in range(members)]) if members else made(name)
    network.train(training)
    with Softmaxes() as noted, torch.autocast("cpu", dtype=torch.bfloat16):
        parsing = parse(network)
    assert noted.dtypes == ({torch.float32} if name != "stpn" else set())
    for extra, value in parsing.extras.items():
        if extra.startswith(("attention", "assignment")):
            assert value.dtype == torch.float32, extra


@pytest.mark.parametrize(
    "attention", [Attention(16), GlobalContextAttention(16), Assignment(16, hard=False)]
)
def test_in_float64_attention_stays_there(attention):
    x = torch.ones(2, 10, 16, dtype=torch.float64)
    read, *weights = attention.double()(x, x)
    assert {read.dtype, *(weight.dtype for weight in weights)} == {torch.float64}


def test_what_is_wide_enough_is_left_as_it_is():
    for dtype, wide in (
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        x = torch.ones(2, dtype=dtype)
        assert widened(x).dtype == wide
        assert (widened(x) is x) == (dtype == wide)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_are_computed_in_float32(name):
    """Autocast would give cuDNN float16; here it can be seen only that it is off for them."""
    network, noted = made(name), []
    layers = [module for module in network.modules() if isinstance(module, nn.RNNBase)]

    def note(_, given):
        noted.append((given[0].dtype, torch.is_autocast_enabled("cpu")))

    for layer in layers:
        layer.register_forward_pre_hook(note)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parsing = parse(network)
    assert noted == [(torch.float32, False)] * len(layers)
    parsing.video.sum().backward()
    for layer in layers:
        for parameter in layer.parameters():
            assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()
