"""What a run keeps of its test split's probabilities: ten numbers, and arrays for every figure.

The probabilities themselves are not kept, they are too large to be committed. An array that a new
figure needs is added to :func:`scored`; ``avvp results complete`` then adds it to finished runs.
"""

from typing import NamedTuple

import numpy as np
import torch

from avvp.curves import (
    one_modality_only,
    overlap_curve,
    reliability,
    telling_videos,
    threshold_curve,
)
from avvp.data.videos import Videos
from avvp.event_lengths import in_all_seconds, scores_by_length
from avvp.events import Gate, Parsing, Thresholds, decode
from avvp.metrics import LEVELS, METRICS, Evaluation, evaluate, evaluate_videos
from avvp.repair import repaired_scores, wrong_seconds

GATES: tuple[Gate | None, ...] = ("video", "modality", None)
"""The rules of :func:`avvp.events.decode` by which every run is scored besides its own."""
TIMELINES = 8
"""Test videos whose probabilities a run keeps for figures."""


class Scored(NamedTuple):
    """What the probabilities of a test split come to."""

    evaluation: Evaluation
    arrays: dict[str, np.ndarray]


def scored(
    parsing: Parsing, videos: Videos, *, threshold: float | Thresholds, gate: Gate | None
) -> Scored:
    """Decide and score the parsing of an annotated split.

    The arrays (a score is NaN that a method of one modality does not have, and what is named after
    the other modality is left out):

    * ``per_video`` (N, 10) float16, per cent, by :data:`avvp.metrics.METRICS`;
    * ``gates`` (3, 10): the ten numbers under each of :data:`GATES`;
    * ``threshold_curve`` (19, 10) and ``overlap_curve`` (9, 5): see :mod:`avvp.curves`;
    * ``only/scores`` (2, 2), per cent, and ``only/counts`` (2, 2, C, 3), TP, FP and FN: by level,
      what is heard only and what is seen only, see :func:`avvp.curves.one_modality_only`; not of a
      method of one modality;
    * ``reliability/`` + ``video``, ``audio``, ``visual``, ``segment_audio``, ``segment_visual``
      (20, 3): see :func:`avvp.curves.reliability`; the video's truth is its weak label;
    * ``repair/scores`` (8, 10) and ``repair/seconds`` (3, 2, 2): see
      :func:`avvp.repair.repaired_scores` and :func:`avvp.repair.wrong_seconds`;
    * ``by_length`` (2, 10): see :func:`avvp.event_lengths.scores_by_length`;
    * ``all_seconds/scores`` (10,) and ``all_seconds/by_length`` (2, 10): the same if each class is
      marked in all seconds of the modality in which the method finds it in any;
    * ``timelines/`` of some videos: ``ids``, ``true_audio``, ``true_visual`` (K, C, T), the five
      probabilities of :class:`avvp.events.Parsing`, and every extra that it has a video.

    Args:
        parsing: of N videos, on the CPU.
        videos: the same, annotated.
        threshold, gate: how the method decides, see :func:`avvp.events.decode`.
    """
    truth = videos.true_audio.cpu(), videos.true_visual.cpu()
    decided = decode(parsing, threshold=threshold, gate=gate)
    evaluation = evaluate_videos(*decided, *truth)
    arrays = {
        "per_video": evaluation.per_video.numpy().astype(np.float16),
        "gates": _gates(parsing, threshold, *truth),
        "threshold_curve": threshold_curve(parsing, *truth, gate=gate).numpy(),
        "overlap_curve": overlap_curve(*decided, *truth).numpy(),
        **_only(*decided, *truth),
        **_reliabilities(parsing, videos.weak.cpu(), *truth),
        "repair/scores": repaired_scores(*decided, *truth),
        "repair/seconds": wrong_seconds(*decided, *truth),
        "by_length": scores_by_length(*decided, *truth),
        **_all_seconds(*map(in_all_seconds, decided), *truth),
        **_timelines(parsing, videos.ids, *truth),
    }
    return Scored(evaluation, arrays)


def _gates(parsing: Parsing, threshold: float | Thresholds, *truth: torch.Tensor) -> np.ndarray:
    decided = (decode(parsing, threshold=threshold, gate=gate) for gate in GATES)
    scores = [evaluate(*masks, *truth) for masks in decided]
    return np.array([[ten.get(name, np.nan) for name in METRICS] for ten in scores])


def _only(
    audio: torch.Tensor | None, visual: torch.Tensor | None, *truth: torch.Tensor
) -> dict[str, np.ndarray]:
    if audio is None or visual is None:
        return {}
    found = one_modality_only(audio, visual, *truth)
    ten = found.ten()
    return {
        "only/scores": np.array([[ten[f"{x}/audio"], ten[f"{x}/visual"]] for x in LEVELS]),
        "only/counts": found.counts[:, :2].numpy(),
    }


def _all_seconds(*masks: torch.Tensor | None) -> dict[str, np.ndarray]:
    ten = evaluate(*masks)
    return {
        "all_seconds/scores": np.array([ten.get(name, np.nan) for name in METRICS]),
        "all_seconds/by_length": scores_by_length(*masks),
    }


def _reliabilities(
    parsing: Parsing, weak: torch.Tensor, true_audio: torch.Tensor, true_visual: torch.Tensor
) -> dict[str, np.ndarray]:
    truths = {
        "video": weak,
        "audio": true_audio.any(dim=-1),
        "visual": true_visual.any(dim=-1),
        "segment_audio": true_audio.transpose(1, 2),
        "segment_visual": true_visual.transpose(1, 2),
    }
    return {
        f"reliability/{name}": reliability(getattr(parsing, name), truth).numpy()
        for name, truth in truths.items()
        if getattr(parsing, name) is not None
    }


def _timelines(
    parsing: Parsing,
    ids: tuple[str, ...],
    true_audio: torch.Tensor,
    true_visual: torch.Tensor,
) -> dict[str, np.ndarray]:
    index = telling_videos(true_audio, true_visual, count=TIMELINES)
    probabilities = {**parsing._asdict(), **parsing.extras}
    del probabilities["extras"]
    return {
        "timelines/ids": np.array([ids[row] for row in index.tolist()]),
        "timelines/true_audio": true_audio[index].numpy(),
        "timelines/true_visual": true_visual[index].numpy(),
        **{
            f"timelines/{name}": value[index].numpy().astype(np.float16)
            for name, value in probabilities.items()
            if value is not None
        },
    }
