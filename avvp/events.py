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
Modality = Literal["audio", "visual"]


class Parsing(NamedTuple):
    """What every model returns: probabilities per video and per segment.

    A method that only hears, or only sees, has None for the two fields of the other modality, and
    ``video`` is the probability of its own: see :func:`avvp.events.of_one_modality`.

    ``extras`` holds what a loss or a figure wants besides: ``similarity`` (B,T,T), token logits
    (C,C), the modality discriminator's output and truth, attention weights.
    """

    video: Tensor  #: (B, C) the event is heard or seen somewhere in the video
    audio: Tensor | None  #: (B, C) the event is heard somewhere
    visual: Tensor | None  #: (B, C) the event is seen somewhere
    segment_audio: Tensor | None  #: (B, T, C)
    segment_visual: Tensor | None  #: (B, T, C)
    extras: dict[str, Any]


def of_one_modality(
    modality: Modality, video: Tensor, segment: Tensor, extras: dict[str, Any] | None = None
) -> Parsing:
    """The parsing of a method that knows one modality.

    Args:
        modality: which.
        video: (B, C), the event is heard (seen) somewhere in the video.
        segment: (B, T, C).
        extras: see :class:`Parsing`.
    """
    if modality == "audio":
        return Parsing(video, video, None, segment, None, extras or {})
    return Parsing(video, None, video, None, segment, extras or {})


def check_parsing(found: object, *, videos: int, network: str) -> None:
    """See that what a network returned is a parsing that can be trained on and scored.

    Numbers above 1 pass: MGN's segment scores and MMIL's joint probability can exceed it.

    Args:
        found: what it returned.
        videos: B, how many it was given.
        network: its name, for the message.

    Raises:
        AvvpError: it is no :class:`Parsing`, or a field has another shape, or holds what is no
            probability.
    """
    if not isinstance(found, Parsing):
        raise AvvpError(f"{network} returns a {type(found).__name__}; expected an avvp.Parsing.")
    whole, segments = (videos, CLASSES), (videos, SEGMENTS, CLASSES)
    parsed = [(found.audio, found.segment_audio), (found.visual, found.segment_visual)]
    if any((a is None) != (b is None) for a, b in parsed) or parsed == [(None, None)] * 2:
        raise AvvpError(
            f"The parsing of {network} lacks a field; audio and segment_audio go together, and so "
            "do visual and segment_visual: both None is for a modality that is not parsed."
        )
    for name, value in found._asdict().items():
        if name == "extras" or (value is None and name != "video"):
            continue
        shape = segments if name.startswith("segment") else whole
        if not isinstance(value, Tensor) or value.shape != shape:
            told = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise AvvpError(
                f"{network}: {name} of its parsing is {told}; expected {shape} for {videos} videos."
            )
        odd = value[~((value >= 0) & value.isfinite())]
        if odd.numel():
            raise AvvpError(
                f"{network}: {name} of its parsing holds {float(odd[0]):.3g}; expected "
                "probabilities, as after a sigmoid."
            )


class Thresholds(NamedTuple):
    """From which probability on something is on: one number, or one a class, (C,)."""

    video: float | Tensor  #: of the gate
    segment: float | Tensor


def decode(
    parsing: Parsing, *, threshold: float | Thresholds = 0.5, gate: Gate | None = "video"
) -> tuple[Tensor | None, Tensor | None]:
    """Turn probabilities into decisions: a score >= ``threshold`` is on.

    Args:
        parsing: probabilities of B videos.
        threshold: in probability; one number is for segments and for the gate alike.
        gate: ``"video"`` keeps a class only where the joint video probability passes too (HAN, MGN,
            Cross-Modal learning); ``"modality"`` asks the probability of the same modality (MA);
            ``None`` keeps every segment decision.

    Returns:
        ``(audio, visual)``, bool tensors (B, C, T); None for a modality that is not parsed.

    Raises:
        AvvpError: there is no such gate.
    """
    if not isinstance(threshold, Thresholds):
        threshold = Thresholds(threshold, threshold)
    gates = _gates(parsing, gate)
    decided = []
    for segment, video in zip((parsing.segment_audio, parsing.segment_visual), gates, strict=True):
        if segment is None:
            decided.append(None)
            continue
        on = (segment >= threshold.segment).transpose(1, 2)  # (B, C, T)
        decided.append(on if video is None else on & (video >= threshold.video).unsqueeze(-1))
    return decided[0], decided[1]


def decision_scores(parsing: Parsing, *, gate: Gate | None) -> tuple[Tensor | None, Tensor | None]:
    """What :func:`decode` compares with one threshold: the smaller of a segment and its gate.

    Args:
        parsing: probabilities of B videos.
        gate: as for :func:`decode`.

    Returns:
        ``(audio, visual)``, (B, C, T): ``decode(parsing, threshold=t, gate=gate)`` is where they
        are at least t, for every t; None for a modality that is not parsed.
    """
    gates = _gates(parsing, gate)
    scores = []
    for segment, video in zip((parsing.segment_audio, parsing.segment_visual), gates, strict=True):
        if segment is None:
            scores.append(None)
            continue
        score = segment.transpose(1, 2)  # (B, C, T)
        scores.append(score if video is None else torch.minimum(score, video.unsqueeze(-1)))
    return scores[0], scores[1]


def _gates(parsing: Parsing, gate: Gate | None) -> tuple[Tensor | None, Tensor | None]:
    """The video probabilities (B, C) that audio and visual segments have to pass."""
    if gate == "video":
        return parsing.video, parsing.video
    if gate == "modality":
        return parsing.audio, parsing.visual
    if gate is None:
        return None, None
    raise AvvpError(f"gate is {gate!r}; it must be 'video', 'modality' or None.")


class Run(NamedTuple):
    """A maximal stretch of consecutive positive segments: one event."""

    video: int
    label: int
    onset: int  #: first second
    offset: int  #: one past the last second


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
