"""How parsing is scored: ten F-scores, at the level of segments and of events.

For every video and class the true positives (TP), false positives (FP) and false negatives (FN) are
counted. The class-wise score is ``2 TP / (2 TP + FP + FN)``; a video's score is its mean over the
classes that have any count, and 1 if there are none (nothing to find, nothing found). The published
number is the mean over videos, in per cent.

* At segment level the unit is one second. At event level it is a maximal run of consecutive
  positive seconds: a predicted run is a TP if its intersection over union with some true run is at
  least 0.5 and an FP otherwise; a true run that no predicted run reaches so is an FN. (Below a
  threshold of 0.5, but not from there on, several runs may match one.)
* An audio-visual event is heard and seen in the same second: the conjunction of the two masks.
* A method that parses one modality has that modality's two scores and no others.
* ``type_av`` is the mean of the audio, visual and audio-visual scores; ``event_av`` pools the
  audio and the visual counts before the score is taken.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS

Mask = Tensor | np.ndarray

LEVELS = ("segment", "event")
MODALITIES = ("audio", "visual", "audio_visual", "pooled")
"""What is counted; ``pooled`` is the sum of the audio and the visual counts."""

METRICS: tuple[str, ...] = tuple(
    f"{level}/{kind}"
    for level in LEVELS
    for kind in ("audio", "visual", "audio_visual", "type_av", "event_av")
)
"""The keys of the ten published numbers, in the order of the papers' tables."""


class Scores(dict[str, float]):
    """The published numbers that a method has, in per cent: all ten, or two of one modality.

    Asking for one that it does not have raises :class:`avvp.errors.AvvpError`.
    """

    def __missing__(self, metric: str) -> float:
        if metric not in METRICS:
            raise AvvpError(f"No metric is called {metric!r}; there are {', '.join(METRICS)}.")
        raise AvvpError(
            f"There is no {metric!r} of a method that parses one modality; it has "
            f"{' and '.join(self)}."
        )


def main_metric(scores: Mapping[str, float]) -> str:
    """What sums a method up: ``segment/type_av``, or the segment score of its one modality."""
    return "segment/type_av" if "segment/type_av" in scores else next(iter(scores))


@dataclass(frozen=True)
class Evaluation:
    """The scores of N videos and what they are made of, on the CPU.

    Attributes:
        per_video: (N, 10) float64, per cent, columns in the order of ``METRICS``; NaN where one
            modality was not parsed and the score would need it.
        counts: (2, 4, C, 3) int64, TP, FP and FN of ``LEVELS`` x ``MODALITIES`` x classes, summed
            over videos; 0 where nothing was parsed.
    """

    per_video: Tensor
    counts: Tensor

    def ten(self) -> Scores:
        """The ten published numbers, or those there are: means over videos, in per cent."""
        means = zip(METRICS, self.per_video.mean(dim=0).tolist(), strict=True)
        return Scores((name, mean) for name, mean in means if not math.isnan(mean))


def evaluate(
    pred_audio: Mask | None, pred_visual: Mask | None, true_audio: Mask, true_visual: Mask
) -> Scores:
    """The ten published numbers of N videos, in per cent, by the keys of ``METRICS``.

    Args:
        pred_audio, pred_visual, true_audio, true_visual: bool (N, C, T), tensors on any device or
            numpy arrays. They are counted on the device of the first. One prediction may be None:
            that modality was not parsed, and only the other one is scored.

    Raises:
        AvvpError: a mask is not bool, not (N, 25, 10), or N differs or is 0; nothing is predicted.
    """
    return evaluate_videos(pred_audio, pred_visual, true_audio, true_visual).ten()


def evaluate_videos(
    pred_audio: Mask | None,
    pred_visual: Mask | None,
    true_audio: Mask,
    true_visual: Mask,
    *,
    event_iou: float = 0.5,
) -> Evaluation:
    """Per-video scores and per-class counts; see :func:`count` for the arguments."""
    counts = count(pred_audio, pred_visual, true_audio, true_visual, event_iou=event_iou)
    score = 100 * mean_over_classes(counts)  # (2, 4, N)
    score[:, _not_parsed(pred_audio, pred_visual)] = torch.nan
    audio, visual, audio_visual, pooled = score.unbind(dim=1)
    type_av = (audio + visual + audio_visual) / 3
    columns = torch.stack((audio, visual, audio_visual, type_av, pooled), dim=1)  # (2, 5, N)
    return Evaluation(per_video=columns.flatten(0, 1).T.contiguous(), counts=counts.sum(dim=2))


def mean_over_classes(counts: Tensor) -> Tensor:
    """The score of a video in [0, 1] from its counts by class: (..., C, 3) -> (...) float64."""
    present = counts.any(dim=-1)  # (..., C)
    total = torch.where(present, f_score(counts), 0.0).sum(dim=-1)
    classes = present.sum(dim=-1)
    return torch.where(classes > 0, total / classes.clamp(min=1), 1.0)


def f_score(counts: Tensor) -> Tensor:
    """``2 TP / (2 TP + FP + FN)`` of (..., 3) counts, float64 in [0, 1]; 1 where all are 0."""
    hits, false_positives, false_negatives = counts.unbind(dim=-1)
    units = 2 * hits + false_positives + false_negatives
    return torch.where(units > 0, 2 * hits.double() / units, 1.0)


def _not_parsed(pred_audio: Mask | None, pred_visual: Mask | None) -> list[int]:
    """The indices of ``MODALITIES`` that nothing was predicted for."""
    if pred_audio is not None and pred_visual is not None:
        return []
    own = "audio" if pred_visual is None else "visual"
    return [index for index, modality in enumerate(MODALITIES) if modality != own]


def count(
    pred_audio: Mask | None,
    pred_visual: Mask | None,
    true_audio: Mask,
    true_visual: Mask,
    *,
    event_iou: float = 0.5,
) -> Tensor:
    """TP, FP and FN of every video and class: (2, 4, N, C, 3) int64 on the CPU.

    The first two axes are ``LEVELS`` and ``MODALITIES``.

    Args:
        pred_audio, pred_visual, true_audio, true_visual: as for :func:`evaluate`.
        event_iou: intersection over union that makes two events match, above 0 and at most 1;
            compared exactly, as a fraction.

    Raises:
        AvvpError: ``event_iou`` is not in (0, 1], or the masks do not fit each other.
    """
    not_parsed = _not_parsed(pred_audio, pred_visual)
    masks = _checked(pred_audio, pred_visual, true_audio, true_visual)
    if not 0 < event_iou <= 1:
        raise AvvpError(f"event_iou is {event_iou}; it must be above 0 and at most 1.")
    videos = len(masks[0])

    # Most (video, class) pairs have no event at all; count only the others.
    pairs = torch.stack(masks).any(dim=0).any(dim=-1).nonzero(as_tuple=True)
    pred_audio, pred_visual, true_audio, true_visual = (mask[pairs] for mask in masks)
    predicted = torch.stack((pred_audio, pred_visual, pred_audio & pred_visual))  # (3, pairs, T)
    true = torch.stack((true_audio, true_visual, true_audio & true_visual))
    found = torch.stack(
        (_count_segments(predicted, true), _count_events(predicted, true, event_iou))
    )

    counts = found.new_zeros(2, 4, videos, CLASSES, 3)
    counts[:, :3, pairs[0], pairs[1]] = found
    counts[:, 3] = counts[:, 0] + counts[:, 1]
    counts[:, not_parsed] = 0
    # Scores are float64, which not every accelerator has.
    return counts.cpu()


def _checked(*masks: Mask | None) -> list[Tensor]:
    """The four masks as bool tensors (N, C, T) on one device; False for a missing prediction."""
    names = ("pred_audio", "pred_visual", "true_audio", "true_visual")
    if masks[0] is None and masks[1] is None:
        raise AvvpError("pred_audio and pred_visual are both None; one of them must be a mask.")
    tensors: dict[str, Tensor] = {}
    for name, mask in zip(names, masks, strict=True):
        if mask is None and name in names[:2]:
            continue
        if not isinstance(mask, (Tensor, np.ndarray)) or str(mask.dtype).split(".")[-1] != "bool":
            kind = getattr(mask, "dtype", type(mask).__name__)
            raise AvvpError(f"{name} is {kind}; decisions are bool (avvp.decode makes them).")
        if mask.ndim != 3 or tuple(mask.shape[1:]) != (CLASSES, SEGMENTS):
            raise AvvpError(
                f"{name} has shape {tuple(mask.shape)}; it must be (videos, {CLASSES}, {SEGMENTS})."
            )
        tensors[name] = mask if isinstance(mask, Tensor) else torch.from_numpy(mask.copy())
        first, reference = next(iter(tensors.items()))
        if len(mask) != len(reference):
            raise AvvpError(
                f"{name} has {len(mask)} videos and {first} {len(reference)}; score equal sets."
            )
    if not len(reference):
        raise AvvpError("There are no videos to score: every mask has length 0.")
    nothing = torch.zeros_like(reference)
    return [tensors.get(name, nothing).to(reference.device) for name in names]


def _count_segments(predicted: Tensor, true: Tensor) -> Tensor:
    """TP, FP and FN over the seconds of (..., T) masks: (..., 3) int64."""
    hits = (predicted & true).sum(dim=-1)
    return torch.stack((hits, predicted.sum(dim=-1) - hits, true.sum(dim=-1) - hits), dim=-1)


def _count_events(predicted: Tensor, true: Tensor, event_iou: float) -> Tensor:
    """TP, FP and FN over the runs of (..., T) masks: (..., 3) int64.

    Two runs that overlap share a second, so it is enough to compare, at every second that lies in
    a predicted and in a true run, these two runs.
    """
    least = Fraction(event_iou).limit_denominator(10_000)
    rows = (predicted & true).any(dim=-1)
    overlap = (predicted & true)[rows]  # (rows, T)
    onset, offset = _run_bounds(predicted[rows])
    true_onset, true_offset = _run_bounds(true[rows])
    intersection = torch.minimum(offset, true_offset) - torch.maximum(onset, true_onset)
    union = torch.maximum(offset, true_offset) - torch.minimum(onset, true_onset)
    match = overlap & (intersection * least.denominator >= union * least.numerator)
    row, second = match.nonzero(as_tuple=True)

    matched = torch.zeros(2, *rows.shape, dtype=torch.int64, device=rows.device)
    for runs, first in zip(matched, (onset, true_onset), strict=True):
        # A run may match at several seconds: mark it once, at its onset.
        marks = torch.zeros_like(match)
        marks[row, first[row, second]] = True
        runs[rows] = marks.sum(dim=-1)
    hits, found = matched
    return torch.stack((hits, _count_runs(predicted) - hits, _count_runs(true) - found), dim=-1)


def _run_starts(mask: Tensor) -> Tensor:
    """Where a run of (..., T) begins, bool."""
    return mask & ~torch.nn.functional.pad(mask, (1, 0))[..., :-1]


def _count_runs(mask: Tensor) -> Tensor:
    return _run_starts(mask).sum(dim=-1)


def _run_bounds(mask: Tensor) -> tuple[Tensor, Tensor]:
    """At each second inside a run: the run's first second and one past its last; (..., T) int64."""
    second = torch.arange(mask.shape[-1], device=mask.device)
    onset = torch.where(_run_starts(mask), second, 0).cummax(dim=-1).values
    backward = mask.flip(-1)
    offset = len(second) - torch.where(_run_starts(backward), second, 0).cummax(dim=-1).values
    return onset, offset.flip(-1)
