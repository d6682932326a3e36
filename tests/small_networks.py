"""Networks that take no time and give arrays of the right shapes, for tests of all around them."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from avvp.data.features import FOLDERS
from avvp.extraction import visual
from avvp.extraction.extract import Networks


class Averages(nn.Module):
    """Averages of what it is given, repeated: (N, ...) -> (N, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, values: Tensor) -> Tensor:
        rows = values.flatten(1)
        parts = [part.mean(dim=1) for part in rows.tensor_split(4, dim=1)]
        return torch.stack(parts, dim=1).repeat(1, self.width // 4)


def see_small(replace: Callable[[object, str, object], None] = setattr) -> None:
    """Show the networks images of 32 by 32; they pool over them, so all shapes of features stay."""

    def shrunk(image: Image.Image) -> Tensor:
        return torch.tensor(np.asarray(image.resize((32, 32)))).permute(2, 0, 1) / 255

    replace(visual, "_FRAME", shrunk)
    replace(visual, "_SMALL_FRAME", shrunk)


def small_networks(name: str = "small") -> Networks:
    """For :func:`avvp.extraction.extract.extract_folder`; ``name`` stands for the weights."""
    return Networks(
        modules={stream: Averages(width) for stream, (_, (_, width)) in FOLDERS.items()},
        device=torch.device("cpu"),
        sha256=dict.fromkeys(FOLDERS, name),
    )
