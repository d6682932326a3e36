"""The networks, one file each, and the three ways to get one: new, released, shared."""

from avvp.models.networks import MODELS, build
from avvp.models.pretrained import from_pretrained
from avvp.models.released import load_released

__all__ = ["MODELS", "build", "from_pretrained", "load_released"]
