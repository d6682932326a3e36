"""Thresholds that a method tunes on validation videos: one number a class, or two for all.

They are functions of probabilities and truths of one split and of nothing else. Whoever calls them
with the test split cheats; :func:`avvp.training.fit` calls them with the validation split only.
"""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from avvp.curves import THRESHOLDS
from avvp.errors import AvvpError
from avvp.metrics import mean_over_classes


def best_of_each_class(probability: Tensor, truth: Tensor) -> Tensor:
    """Class thresholds that maximise the micro-averaged F-score, as TALNet tunes them.

    Micro-F1 pools the counts of all classes: 2 sum TP / sum (predicted + true). The classes depend
    on each other through that ratio alone. For a guess f of it the best threshold of a class is
    the one with the largest 2 TP - f (predicted); the ratio that these reach is the next guess,
    and when it stops growing it is the maximum (Dinkelbach's method for ratios).

    Args:
        probability: (N, C) in [0, 1].
        truth: bool (N, C).

    Returns:
        (C,) float64, halfway between two probabilities: the last that is on and the first that is
        not; below the lowest or above the highest there are 0 and 1.

    Raises:
        AvvpError: the shapes differ, or no video is positive.
    """
    if probability.shape != truth.shape:
        raise AvvpError(
            f"probability has shape {tuple(probability.shape)} and truth {tuple(truth.shape)}; "
            "they must be equal."
        )
    if not truth.any():
        raise AvvpError("No class occurs in these videos: there is nothing to tune a threshold on.")
    score, order = probability.double().sort(dim=0, descending=True)  # (N, C)
    edge = score.new_ones(1, score.shape[1])
    padded = torch.cat((edge + 1e-9, score, 0 * edge))  # (N + 2, C); a 1 can be off too
    hits = torch.cat((0 * edge, truth.gather(0, order).double().cumsum(dim=0)))  # first k are on
    predicted = torch.arange(len(hits), dtype=torch.double, device=hits.device)[:, None]
    # Equal probabilities are on together or not at all.
    tied = (padded[:-1] == padded[1:]) & (predicted > 0) & (predicted < len(score))
    best = score.new_zeros(())
    while True:
        gain = (2 * hits - best * predicted).masked_fill(tied, -torch.inf)
        chosen = gain.argmax(dim=0, keepdim=True)  # (1, C)
        reached = 2 * hits.gather(0, chosen).sum() / (chosen.sum() + truth.sum())
        if reached <= best:
            break
        best, kept = reached, chosen
    return (padded.gather(0, kept) + padded.gather(0, kept + 1))[0] / 2


def best_pair(
    video: Tensor, segment: Tensor, truth: Tensor, *, candidates: Sequence[float] = THRESHOLDS
) -> tuple[float, float]:
    """The threshold of the video and that of its seconds with the highest segment-level score.

    Args:
        video: (N, C), the event is somewhere in the video.
        segment: (N, T, C).
        truth: bool (N, C, T), of the same modality.
        candidates: of each of the two.

    Returns:
        (video threshold, segment threshold); of equally good pairs the one nearest to 0.5.
    """
    total = truth.sum(dim=-1)  # (N, C)
    counted = {}
    for threshold in candidates:
        on = (segment >= threshold).transpose(1, 2)  # (N, C, T)
        counted[threshold] = (on & truth).sum(dim=-1), on.sum(dim=-1)

    def worth(pair: tuple[float, float]) -> tuple[float, float]:
        gate = video >= pair[0]
        hits, predicted = (x * gate for x in counted[pair[1]])
        counts = torch.stack((hits, predicted - hits, total - hits), dim=-1)  # (N, C, 3)
        return mean_over_classes(counts).mean().item(), -sum(abs(x - 0.5) for x in pair)

    return max(product(candidates, repeat=2), key=worth)
