"""A split in memory: the tensors every model is trained on and scored against."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """What one training step sees. ``index`` are rows of the split."""

    index: Tensor  #: (B,) int64
    audio: Tensor  #: (B, T, 128)
    visual_2d: Tensor  #: (B, T, 2048) pooled, or (B, 8T, 2048) frames
    visual_3d: Tensor  #: (B, T, 512)
    weak: Tensor  #: (B, C) bool


def shuffled(count: int, *, chunk: int | None, generator: torch.Generator) -> Tensor:
    """A random order of ``count`` rows, (count,) int64.

    With ``chunk`` the order shuffles the chunks and then the rows inside each: what a file on disk
    can deliver by reading one chunk at a time. ``None`` is a uniform permutation.
    """
    if chunk is None or chunk >= count:
        return torch.randperm(count, generator=generator)
    chunks = torch.arange(count).split(chunk)
    picked = torch.randperm(len(chunks), generator=generator).tolist()
    return torch.cat(
        [chunks[i][torch.randperm(len(chunks[i]), generator=generator)] for i in picked]
    )


@dataclass(frozen=True)
class Videos:
    """One split, resident on one device.

    Attributes:
        ids: the full ``filename`` of each of N videos.
        audio: (N, T, 128) VGGish features, one a second.
        visual_2d: (N, T, 2048) ResNet-152 features, the 8 frames of a second averaged.
        visual_3d: (N, T, 512) R(2+1)D features, one a second.
        weak: (N, C) bool, the classes that are heard or seen somewhere in the video.
        true_audio, true_visual: (N, C, T) bool, or None where nobody annotated seconds.
        fingerprint: hash of what determines the arrays.
        chunk: rows that are shuffled together, see ``shuffled``; None: all of them.
    """

    ids: tuple[str, ...]
    audio: Tensor
    visual_2d: Tensor
    visual_3d: Tensor
    weak: Tensor
    true_audio: Tensor | None
    true_visual: Tensor | None
    fingerprint: str
    chunk: int | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: str | torch.device) -> "Videos":
        """The same split on another device."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("audio", "visual_2d", "visual_3d", "weak", "true_audio", "true_visual")
            if getattr(self, name) is not None
        }
        return replace(self, **moved)

    def rows(self, index: Tensor) -> Batch:
        """The videos at ``index`` (B,), in that order."""
        index = index.to(self.audio.device)
        return Batch(
            index,
            self.audio[index],
            self.visual_2d[index],
            self.visual_3d[index],
            self.weak[index],
        )

    def batches(
        self, *, batch_size: int, generator: torch.Generator | None = None, skip: int = 0
    ) -> Iterator[Batch]:
        """One pass over the split; the last batch may be smaller.

        Args:
            batch_size: videos a batch.
            generator: a CPU generator that shuffles the pass; None goes in order.
            skip: batches to leave out at the start, to go on where a run was cut off.
        """
        if generator is None:
            order = torch.arange(len(self))
        else:
            order = shuffled(len(self), chunk=self.chunk, generator=generator)
        for index in list(order.split(batch_size))[skip:]:
            yield self.rows(index)
