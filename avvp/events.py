"""What a parsing is: 25 classes, ten segments, two modalities, and the decision to call one on.

Throughout the package B counts videos, T = 10 counts segments of one second, C = 25 counts classes.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from avvp.errors import AvvpError

LABELS: tuple[str, ...] = (
    "Speech",
    "Car",
    "Cheering",
    "Dog",
    "Cat",
    "Frying_(food)",
    "Basketball_bounce",
    "Fire_alarm",
    "Chainsaw",
    "Cello",
    "Banjo",
    "Singing",
    "Chicken_rooster",
    "Violin_fiddle",
    "Vacuum_cleaner",
    "Baby_laughter",
    "Accordion",
    "Lawn_mower",
    "Motorcycle",
    "Helicopter",
    "Acoustic_guitar",
    "Telephone_bell_ringing",
    "Baby_cry_infant_cry",
    "Blender",
    "Clapping",
)
"""The 25 classes of LLP, in the order of the released code."""

CLASSES = len(LABELS)
SEGMENTS = 10

Gate = Literal["video", "modality"]


class Parsing(NamedTuple):
    """What every model returns: probabilities per video and per segment.

    ``extras`` holds what a loss or a figure wants besides: ``similarity`` (B,T,T), token logits
    (C,C), the modality discriminator's output and truth, attention weights.
    """

    video: Tensor  # (B, C) the event is heard or seen somewhere in the video
    audio: Tensor  # (B, C) the event is heard somewhere
    visual: Tensor  # (B, C) the event is seen somewhere
    segment_audio: Tensor  # (B, T, C)
    segment_visual: Tensor  # (B, T, C)
    extras: dict[str, Any]


def decode(
    parsing: Parsing, *, threshold: float = 0.5, gate: Gate | None = "video"
) -> tuple[Tensor, Tensor]:
    """Turn probabilities into decisions: a score >= ``threshold`` is on.

    Args:
        parsing: probabilities of B videos.
        threshold: in probability, for segments and for the gate alike.
        gate: ``"video"`` keeps a class only where the joint video probability passes too (HAN, MGN,
            Cross-Modal learning); ``"modality"`` asks the probability of the same modality (MA);
            ``None`` keeps every segment decision.

    Returns:
        ``(audio, visual)``, bool tensors (B, C, T).
    """
    if gate == "video":
        gates = (parsing.video, parsing.video)
    elif gate == "modality":
        gates = (parsing.audio, parsing.visual)
    elif gate is None:
        gates = (None, None)
    else:
        raise AvvpError(f"gate is {gate!r}; it must be 'video', 'modality' or None.")
    decided = []
    for segment, video in zip((parsing.segment_audio, parsing.segment_visual), gates, strict=True):
        on = (segment >= threshold).transpose(1, 2)  # (B, C, T)
        decided.append(on if video is None else on & (video >= threshold).unsqueeze(-1))
    return decided[0], decided[1]


class Run(NamedTuple):
    """A maximal stretch of consecutive positive segments: one event."""

    video: int
    label: int
    onset: int  # first second
    offset: int  # one past the last second


def segments_to_runs(mask: Tensor) -> list[Run]:
    """List the events of a bool tensor (N, C, T), by video, then class, then onset."""
    mask = torch.as_tensor(mask).bool()
    padded = torch.nn.functional.pad(mask.to(torch.int8), (1, 1))
    step = padded.diff(dim=-1)  # (N, C, T + 1): +1 where a run starts, -1 one past its end
    starts = (step == 1).nonzero().tolist()
    ends = (step == -1).nonzero().tolist()
    return [Run(n, c, on, off) for (n, c, on), (_, _, off) in zip(starts, ends, strict=True)]


def runs_to_segments(runs: list[Run], *, videos: int) -> Tensor:
    """The inverse of :func:`segments_to_runs`: a bool tensor (videos, C, T)."""
    mask = torch.zeros(videos, CLASSES, SEGMENTS, dtype=torch.bool)
    for run in runs:
        mask[run.video, run.label, run.onset : run.offset] = True
    return mask
