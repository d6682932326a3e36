"""Every loss term, each with the equation it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avvp.errors import AvvpError
from avvp.events import Parsing

PROBABILITY_FLOOR = 1e-7
"""Probabilities are clamped to [floor, 1 - floor] before the logarithm, as every release does."""


class Targets(NamedTuple):
    """What the three video-level probabilities are compared with, each (B, C) in [0, 1]."""

    video: Tensor
    audio: Tensor
    visual: Tensor


def weak_targets(weak: Tensor, *, visual_smoothing: float = 0.1) -> Targets:
    """Targets from weak labels alone: HAN's protocol.

    The label of the video stands in for both modalities; the visual one is smoothed to
    (1 - e) y + e / 2, because an event of the video is less often seen than heard (Eq. 6, MGN).

    Args:
        weak: (B, C) bool or 0/1.
        visual_smoothing: e; the releases use 0.1, which makes 0.95 and 0.05.
    """
    if not 0 <= visual_smoothing < 1:
        raise AvvpError(f"visual_smoothing is {visual_smoothing}; it must be in [0, 1).")
    label = weak.float()
    return Targets(label, label, (1 - visual_smoothing) * label + visual_smoothing / 2)


def cross_entropy_of_probabilities(probability: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, mean over every entry, with the release's clamp.

    Args:
        probability: (B, C). The joint probability of MMIL pooling may exceed 1: the clamp then also
            stops its gradient.
        target: (B, C) in [0, 1].
    """
    clamped = probability.float().clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return functional.binary_cross_entropy(clamped, target)


@dataclass(frozen=True)
class Objective:
    """A weighted sum of loss terms.

    Attributes:
        weights: term name -> weight. The terms: ``video``, ``audio``, ``visual`` (Eq. 6, MGN).
        visual_smoothing: see :func:`weak_targets`.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: {"video": 1.0, "audio": 1.0, "visual": 1.0}
    )
    visual_smoothing: float = 0.1

    def __post_init__(self) -> None:
        unknown = sorted(set(self.weights) - set(TERMS))
        if unknown:
            raise AvvpError(f"no loss term is called {unknown[0]!r}; there are {sorted(TERMS)}.")

    def __call__(self, parsing: Parsing, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, a scalar, and each unweighted term, detached."""
        parts = {name: TERMS[name](parsing, targets) for name in self.weights}
        total = torch.stack([weight * parts[name] for name, weight in self.weights.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}


TERMS = {
    "video": lambda parsing, targets: cross_entropy_of_probabilities(parsing.video, targets.video),
    "audio": lambda parsing, targets: cross_entropy_of_probabilities(parsing.audio, targets.audio),
    "visual": lambda parsing, targets: cross_entropy_of_probabilities(
        parsing.visual, targets.visual
    ),
}
