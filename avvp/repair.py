"""Which kind of error costs how much: repair one kind with the truth, and score again.

A decision is wrong for one of three reasons. Take a class in a video, and say that it is in a
modality if it is on in any of its seconds there, and in the video if it is in either modality.

* ``class``: prediction and truth disagree whether the class is in the video. It was made up, or
  missed altogether.
* ``modality``: both have it in the video, and they disagree whether it is in this modality.
* ``time``: both have it in this modality, and they disagree about its seconds.

So every (video, class, modality) has at most one kind of error, all its wrong seconds are of that
kind, and to repair a kind is to put the truth in the place of the prediction there. To repair all
three leaves the truth, which scores 100.

What one repair brings depends on what was repaired before: a class that was made up enters the mean
of its video with 0, and whoever takes it out makes every other class count more. So
:func:`repaired_scores` scores all eight sets of repairs, and :func:`gains` averages what a repair
brings over the six orders (the Shapley value): these add up to what is missing to 100.
"""

from itertools import combinations, permutations

import numpy as np
import torch
from torch import Tensor

from avvp.metrics import METRICS, evaluate

KINDS = ("class", "modality", "time")
REPAIRS: tuple[tuple[str, ...], ...] = tuple(
    chosen for size in range(len(KINDS) + 1) for chosen in combinations(KINDS, size)
)
"""Sets of repaired kinds: none, each, two of them, all."""


def error_kinds(
    pred_audio: Tensor | None, pred_visual: Tensor | None, true_audio: Tensor, true_visual: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Where there is an error of each of ``KINDS``: bool (N, C) for audio, and for visual.

    ``class`` marks both modalities; in one of them the seconds may be right all the same.

    Args:
        pred_audio, pred_visual, true_audio, true_visual: bool (N, C, T); a modality that was not
            predicted is None, and then the class is in the video if it is in the other one.
    """
    predicted = [
        torch.zeros_like(truth) if pred is None else pred
        for pred, truth in ((pred_audio, true_audio), (pred_visual, true_visual))
    ]
    said = [mask.any(dim=-1) for mask in predicted]
    true = [mask.any(dim=-1) for mask in (true_audio, true_visual)]
    in_video = (said[0] | said[1]) ^ (true[0] | true[1])
    in_modality = [~in_video & (s ^ t) for s, t in zip(said, true, strict=True)]
    in_time = [~in_video & s & t for s, t in zip(said, true, strict=True)]
    return {
        "class": (in_video, in_video),
        "modality": tuple(in_modality),
        "time": tuple(in_time),
    }


def repaired(
    repairs: tuple[str, ...],
    pred_audio: Tensor | None,
    pred_visual: Tensor | None,
    true_audio: Tensor,
    true_visual: Tensor,
) -> tuple[Tensor | None, Tensor | None]:
    """The predictions with these kinds of errors repaired; see :func:`error_kinds`."""
    kinds = error_kinds(pred_audio, pred_visual, true_audio, true_visual)
    fixed = []
    for index, (pred, truth) in enumerate(((pred_audio, true_audio), (pred_visual, true_visual))):
        if pred is not None:
            for kind in repairs:
                pred = torch.where(kinds[kind][index].unsqueeze(-1), truth, pred)
        fixed.append(pred)
    return fixed[0], fixed[1]


def repaired_scores(
    pred_audio: Tensor | None, pred_visual: Tensor | None, true_audio: Tensor, true_visual: Tensor
) -> np.ndarray:
    """The ten metrics, in per cent, after each of ``REPAIRS``: (8, 10) float64.

    Columns are in the order of :data:`avvp.metrics.METRICS`; NaN where a modality was not parsed.
    """
    truth = true_audio, true_visual
    scores = [
        evaluate(*repaired(repairs, pred_audio, pred_visual, *truth), *truth) for repairs in REPAIRS
    ]
    return np.array([[ten.get(name, np.nan) for name in METRICS] for ten in scores])


def gains(scores: np.ndarray) -> np.ndarray:
    """What the repair of each of ``KINDS`` brings, averaged over the orders of repair: (3, ...).

    Their sum is 100 minus the score before any repair.

    Args:
        scores: (8, ...) by ``REPAIRS``, in per cent.
    """
    brought = np.zeros((len(KINDS), *scores.shape[1:]))
    orders = list(permutations(KINDS))
    for order in orders:
        done: frozenset[str] = frozenset()
        for kind in order:
            after = done | {kind}
            brought[KINDS.index(kind)] += scores[_INDEX[after]] - scores[_INDEX[done]]
            done = after
    return brought / len(orders)


_INDEX = {frozenset(repairs): index for index, repairs in enumerate(REPAIRS)}


def wrong_seconds(
    pred_audio: Tensor | None, pred_visual: Tensor | None, true_audio: Tensor, true_visual: Tensor
) -> np.ndarray:
    """How many seconds are wrong for each reason: (3, 2, 2) int64.

    The axes are ``KINDS``, audio and visual, and made up (on, and not in the truth) and missed. A
    modality that was not predicted has none.
    """
    kinds = error_kinds(pred_audio, pred_visual, true_audio, true_visual)
    counts = np.zeros((len(KINDS), 2, 2), dtype=np.int64)
    pairs = ((pred_audio, true_audio), (pred_visual, true_visual))
    for row, where in enumerate(kinds.values()):
        for column, (pred, truth) in enumerate(pairs):
            if pred is not None:
                there = where[column].unsqueeze(-1)
                counts[row, column] = (
                    int((pred & ~truth & there).sum()),
                    int((truth & ~pred & there).sum()),
                )
    return counts
