"""The networks, one file each, and the two ways to get one: ``build`` and ``load_released``."""

import inspect
from typing import Any

from torch import nn

from avvp.errors import AvvpError
from avvp.models.han import HAN
from avvp.models.linear import LinearMeanPooling

MODELS: dict[str, type[nn.Module]] = {
    "han": HAN,
    "linear": LinearMeanPooling,
}


def build(name: str, **options: Any) -> nn.Module:
    """Make a network; ``forward(audio, visual_2d, visual_3d)`` returns a :class:`avvp.Parsing`.

    Args:
        name: one of ``MODELS``.
        options: keyword arguments of the class.
    """
    if name not in MODELS:
        raise AvvpError(f"no model is called {name!r}; there are {', '.join(sorted(MODELS))}.")
    known = inspect.signature(MODELS[name]).parameters
    for option in options:
        if option not in known:
            raise AvvpError(
                f"model {name!r} has no option {option!r}; it has {', '.join(known) or 'none'}."
            )
    return MODELS[name](**options)


from avvp.models.released import load_released  # noqa: E402

__all__ = ["MODELS", "build", "load_released"]
