"""Random splits for tests that care about plumbing, not about content."""

import torch

from avvp.data.videos import Videos
from avvp.events import CLASSES, SEGMENTS


def make_videos(count: int, *, seed: int, annotated: bool = True) -> Videos:
    """``count`` videos with random features and labels."""
    generator = torch.Generator().manual_seed(seed)

    def chance(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) < 0.1

    masks = [chance(count, CLASSES, SEGMENTS) if annotated else None for _ in range(2)]
    return Videos(
        ids=tuple(f"seed{seed}-{n:05d}_0_10" for n in range(count)),
        audio=torch.randn(count, SEGMENTS, 128, generator=generator),
        visual_2d=torch.randn(count, SEGMENTS, 2048, generator=generator),
        visual_3d=torch.randn(count, SEGMENTS, 512, generator=generator),
        weak=chance(count, CLASSES),
        true_audio=masks[0],
        true_visual=masks[1],
        fingerprint=f"made up {seed}",
    )
