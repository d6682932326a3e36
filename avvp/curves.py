"""What one number a metric hides: other thresholds, other overlaps, calibration, single videos.

These are the arrays that a run keeps beside its ten numbers, so that figures need no probabilities.
"""

import torch
from torch import Tensor

from avvp.errors import AvvpError
from avvp.events import Gate, Parsing, decode
from avvp.metrics import LEVELS, METRICS, Evaluation, evaluate_videos

THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""Decision thresholds, 0.05 to 0.95."""
OVERLAPS = tuple(step / 10 for step in range(1, 10))
"""Intersections over union that make two events match, 0.1 to 0.9."""
BINS = 20
"""Bins of probability, equally wide over [0, 1]."""


def threshold_curve(
    parsing: Parsing, true_audio: Tensor, true_visual: Tensor, *, gate: Gate | None
) -> Tensor:
    """The ten metrics, in per cent, when segments and gate decide at each of ``THRESHOLDS``.

    Args:
        parsing: N videos.
        true_audio, true_visual: bool (N, C, T).
        gate: see :func:`avvp.events.decode`.

    Returns:
        (19, 10) float64, columns in the order of :data:`avvp.metrics.METRICS`.
    """
    rows = []
    for threshold in THRESHOLDS:
        audio, visual = decode(parsing, threshold=threshold, gate=gate)
        rows.append(evaluate_videos(audio, visual, true_audio, true_visual).per_video.mean(dim=0))
    return torch.stack(rows)


def overlap_curve(audio: Tensor, visual: Tensor, true_audio: Tensor, true_visual: Tensor) -> Tensor:
    """The five event-level metrics, in per cent, at each of ``OVERLAPS``: (9, 5) float64.

    Args:
        audio, visual, true_audio, true_visual: bool (N, C, T).
    """
    first = METRICS.index(f"{LEVELS[1]}/audio")
    rows = []
    for overlap in OVERLAPS:
        scored = evaluate_videos(audio, visual, true_audio, true_visual, event_iou=overlap)
        rows.append(scored.per_video[:, first:].mean(dim=0))
    return torch.stack(rows)


def one_modality_only(
    audio: Tensor, visual: Tensor, true_audio: Tensor, true_visual: Tensor
) -> Evaluation:
    """What is heard without being seen, and seen without being heard, scored like the rest.

    The truth of a second that is heard only is GT_a (1 - GT_v), and likewise for what is predicted;
    of one that is seen only GT_v (1 - GT_a). They stand in the places of ``audio`` and ``visual``.

    Args:
        audio, visual, true_audio, true_visual: bool (N, C, T).
    """
    return evaluate_videos(
        audio & ~visual, visual & ~audio, true_audio & ~true_visual, true_visual & ~true_audio
    )


def reliability(probability: Tensor, truth: Tensor) -> Tensor:
    """How often what is said with probability p is true, by bins of p.

    Args:
        probability: any shape; above 1 (MGN's segment scores may be) counts in the last bin.
        truth: bool, the same shape.

    Returns:
        (BINS, 3) float64: entries in the bin, their mean probability, the share that is true; the
        means of an empty bin are NaN.

    Raises:
        AvvpError: the shapes differ.
    """
    if probability.shape != truth.shape:
        raise AvvpError(
            f"probability has shape {tuple(probability.shape)} and truth {tuple(truth.shape)}; "
            "they must be equal."
        )
    flat = probability.flatten().double()
    index = (flat * BINS).long().clamp(0, BINS - 1)
    entries = torch.bincount(index, minlength=BINS).double()
    said = torch.bincount(index, weights=flat, minlength=BINS)
    held = torch.bincount(index, weights=truth.flatten().double(), minlength=BINS)
    return torch.stack((entries, said / entries, held / entries), dim=1)


def order_in_time(score: Tensor, truth: Tensor) -> Tensor:
    """How often a second with an event scores above one without, within one video and class.

    That is the area under the ROC curve of each pair of video and class by itself: 0.5 is chance, a
    tie counts one half, and neither a threshold nor the level of the scores plays a part.

    Args:
        score: (N, C, T).
        truth: bool (N, C, T).

    Returns:
        (P,) float64 in [0, 1]: the pairs whose event is on in some seconds and off in others, by
        video and class.

    Raises:
        AvvpError: the shapes differ.
    """
    if score.shape != truth.shape:
        raise AvvpError(
            f"score has shape {tuple(score.shape)} and truth {tuple(truth.shape)}; they must be "
            "equal."
        )
    partial = truth.any(dim=-1) & ~truth.all(dim=-1)
    score, on = score[partial].double(), truth[partial]
    difference = score[:, :, None] - score[:, None, :]
    right = (difference > 0).double() + (difference == 0).double() / 2
    compared = on[:, :, None] & ~on[:, None, :]
    return (right * compared).sum(dim=(1, 2)) / compared.sum(dim=(1, 2))


def telling_videos(true_audio: Tensor, true_visual: Tensor, *, count: int) -> Tensor:
    """The videos whose timelines are drawn: chosen from the truth alone, equal for every method.

    First come those where the most (modality, class) lanes start or end inside the video, and of
    these the earliest in the split: a label on all ten seconds would say little about localisation.

    Args:
        true_audio, true_visual: bool (N, C, T).
        count: how many; all N if there are fewer.

    Returns:
        Rows of the split, int64, in the order of the split.
    """
    lanes = torch.cat((true_audio, true_visual), dim=1)  # (N, 2 C, T)
    partial = (lanes.any(dim=-1) & ~lanes.all(dim=-1)).sum(dim=-1)  # (N,)
    order = partial.argsort(descending=True, stable=True)
    return order[:count].sort().values
