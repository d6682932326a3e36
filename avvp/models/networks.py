"""Every network by its name."""

from typing import Any

from torch import nn

from avvp.errors import AvvpError
from avvp.models.ave import AVE
from avvp.models.avg import AVG
from avvp.models.avsdn import AVSDN
from avvp.models.cmcs import CMCS
from avvp.models.cross_modal import CrossModal
from avvp.models.han import HAN
from avvp.models.linear import LinearMeanPooling
from avvp.models.mgn import MGN
from avvp.models.released import construct
from avvp.models.stpn import STPN
from avvp.models.talnet import TALNet

MODELS: dict[str, type[nn.Module]] = {
    "ave": AVE,
    "avg": AVG,
    "avsdn": AVSDN,
    "cmcs": CMCS,
    "cross_modal": CrossModal,
    "han": HAN,
    "linear": LinearMeanPooling,
    "mgn": MGN,
    "stpn": STPN,
    "talnet": TALNet,
}


def build(name: str, **options: Any) -> nn.Module:
    """Make a network; ``forward(audio, visual_2d, visual_3d)`` returns an ``avvp.Parsing``.

    Args:
        name: one of ``MODELS``.
        options: keyword arguments of the class.

    Raises:
        AvvpError: there is no such network, or it has no such option.
    """
    if name not in MODELS:
        raise AvvpError(f"no model is called {name!r}; there are {', '.join(sorted(MODELS))}.")
    return construct(name, MODELS[name], options)
