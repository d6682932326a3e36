"""The ten numbers by plain loops, written from the definition alone: slow, and easy to check.

It shares no code with :mod:`avvp.metrics`; tests compare the two, and ``evaluate.py`` their speed.
"""

from fractions import Fraction

import numpy as np


def naive_runs(mask: np.ndarray) -> list[set[int]]:
    """The maximal runs of one (T,) mask, each as the set of its seconds."""
    runs: list[set[int]] = []
    for second, on in enumerate(mask):
        if on and second and mask[second - 1]:
            runs[-1].add(second)
        elif on:
            runs.append({second})
    return runs


def naive_segment_count(predicted: np.ndarray, true: np.ndarray) -> tuple[int, int, int]:
    """TP, FP, FN over the seconds of two (T,) masks."""
    pairs = list(zip(predicted.tolist(), true.tolist(), strict=True))
    return pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True))


def naive_event_count(
    predicted: np.ndarray, true: np.ndarray, event_iou: Fraction = Fraction(1, 2)
) -> tuple[int, int, int]:
    """TP, FP, FN over the runs of two (T,) masks."""

    def reached(run: set[int], others: list[set[int]]) -> bool:
        return any(Fraction(len(run & other), len(run | other)) >= event_iou for other in others)

    predictions, truths = naive_runs(predicted), naive_runs(true)
    hits = sum(reached(run, truths) for run in predictions)
    misses = sum(not reached(run, predictions) for run in truths)
    return hits, len(predictions) - hits, misses


def naive_video_score(counts: list[tuple[int, int, int]]) -> float:
    """The mean F over the classes with any count, in [0, 1]; 1 if there are none."""
    scores = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts if tp + fp + fn]
    return sum(scores) / len(scores) if scores else 1.0


def naive_scores(
    pred_audio: np.ndarray,
    pred_visual: np.ndarray,
    true_audio: np.ndarray,
    true_visual: np.ndarray,
    event_iou: Fraction = Fraction(1, 2),
) -> np.ndarray:
    """Per-video scores (N, 10) in per cent, columns as in ``avvp.metrics.METRICS``."""
    rows = []
    for pa, pv, ta, tv in zip(pred_audio, pred_visual, true_audio, true_visual, strict=True):
        row = []
        for count in (naive_segment_count, lambda p, t: naive_event_count(p, t, event_iou)):
            audio = [count(p, t) for p, t in zip(pa, ta, strict=True)]
            visual = [count(p, t) for p, t in zip(pv, tv, strict=True)]
            both = [count(p, t) for p, t in zip(pa & pv, ta & tv, strict=True)]
            pooled = [
                (a[0] + v[0], a[1] + v[1], a[2] + v[2]) for a, v in zip(audio, visual, strict=True)
            ]
            a, v, av = (naive_video_score(counts) for counts in (audio, visual, both))
            row += [a, v, av, (a + v + av) / 3, naive_video_score(pooled)]
        rows.append(row)
    return 100 * np.array(rows)
