"""Every loss term, each with the equation it comes from."""

import math
from collections.abc import Callable, Mapping
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
    (1 - e) y + e / 2, as in the releases; Eq. (6), MGN, has both smoothed.

    Args:
        weak: (B, C) bool or 0/1.
        visual_smoothing: e; the releases use 0.1, which makes 0.95 and 0.05.

    Raises:
        AvvpError: ``visual_smoothing`` is not in [0, 1).
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


def contrast(
    similarity: Tensor, *, temperature: float = 0.2, label_smoothing: float = 0.1
) -> Tensor:
    """Each second of sound has to find its own second of vision (Eq. 8, MA).

    A cross-entropy over the T seconds of one video, mean over B x T rows. The paper has a one-hot
    target; the release smooths it.

    Args:
        similarity: (B, T, T) cosines; rows: audio after attention, columns: visual before it.
        temperature: the cosines are divided by it.
        label_smoothing: spread evenly over the T - 1 other seconds; 0 is the paper's equation.
    """
    found = (similarity / temperature).log_softmax(dim=-1)  # (B, T, T)
    own = found.diagonal(dim1=1, dim2=2)  # (B, T)
    others = (found.sum(dim=-1) - own) / (similarity.shape[-1] - 1)
    return -((1 - label_smoothing) * own + label_smoothing * others).mean()


def token_class(logits_audio: Tensor, logits_visual: Tensor) -> Tensor:
    """Each class token has to be recognised as its own class (Eq. 12, MGN).

    The sum of two cross-entropies, each a mean over the C tokens of its modality, so that each has
    weight 1.

    Args:
        logits_audio, logits_visual: (C, C); row c is token c.
    """
    own = torch.arange(len(logits_audio), device=logits_audio.device)
    return sum(
        functional.cross_entropy(logits.float(), own) for logits in (logits_audio, logits_visual)
    )


def sparsity(attention: Tensor) -> Tensor:
    """The L1 norm of a video's attention over time, mean over videos (STPN's sparsity loss).

    Args:
        attention: (B, T), each second's in [0, 1].
    """
    return attention.float().abs().sum(dim=-1).mean()


def branch_diversity(scores: Tensor) -> Tensor:
    """How much the branches of a network look at the same seconds (CMCS's diversity loss).

    Each branch's scores become shares of the classes; for each class the courses over time of two
    branches are compared by their cosine, of which the positive part counts. Mean over videos,
    classes and ordered pairs of different branches.

    Args:
        scores: (B, K, T, C) before any sigmoid, of K branches.

    Raises:
        AvvpError: there are no two branches to compare.
    """
    branches = scores.shape[1]
    if branches < 2:
        raise AvvpError(
            f"diversity compares branches, of which there is {branches}; use 2 or more."
        )
    course = functional.normalize(scores.float().softmax(dim=-1), dim=2)  # (B, K, T, C)
    cosine = torch.einsum("bktc,bltc->bckl", course, course).relu()
    alone = cosine.diagonal(dim1=2, dim2=3).sum(dim=-1)  # (B, C)
    return ((cosine.sum(dim=(2, 3)) - alone) / (branches * (branches - 1))).mean()


def branch_balance(scores: Tensor) -> Tensor:
    """How unequal the sizes of the branches' scores are (CMCS's norm regularisation).

    A branch's size is the L1 norm of its scores a second; mean distance from the mean of branches.

    Args:
        scores: (B, K, T, C) before any sigmoid, of K branches.
    """
    size = scores.float().abs().sum(dim=(2, 3)) / scores.shape[2]  # (B, K)
    return (size - size.mean(dim=1, keepdim=True)).abs().mean()


def _probability(parsing: Parsing, name: str) -> Tensor:
    found = getattr(parsing, name)
    if found is None:
        raise AvvpError(
            f"a term of the loss needs the {name} probability, but this network parses the other "
            "modality only."
        )
    return found


def modality_guess(guess: Tensor, truth: Tensor) -> Tensor:
    """A discriminator has to tell sound from image (Eq. 2, Cross-Modal, its complement restored).

    Unlike the probabilities of classes, the release does not clamp this one.

    Args:
        guess: (B, T, 2), the probability of being visual.
        truth: (B, T, 2), 0 for audio and 1 for visual.
    """
    return functional.binary_cross_entropy(guess.float(), truth.float())


def _extra(parsing: Parsing, name: str) -> Tensor:
    if name not in parsing.extras:
        raise AvvpError(f"a term of the loss needs {name!r}, which this network does not return.")
    return parsing.extras[name]


Term = Callable[[Parsing, Targets], Tensor]

TERMS: Mapping[str, Term] = {
    "video": lambda parsing, targets: cross_entropy_of_probabilities(parsing.video, targets.video),
    "audio": lambda parsing, targets: cross_entropy_of_probabilities(
        _probability(parsing, "audio"), targets.audio
    ),
    "visual": lambda parsing, targets: cross_entropy_of_probabilities(
        _probability(parsing, "visual"), targets.visual
    ),
    "token_class": lambda parsing, _: token_class(
        _extra(parsing, "token_logits_audio"), _extra(parsing, "token_logits_visual")
    ),
}


@dataclass(frozen=True)
class Objective:
    """A weighted sum of loss terms.

    Attributes:
        weights: term name -> weight. The terms: ``video``, ``audio``, ``visual`` (Eq. 6, MGN) and
            ``token_class`` (Eq. 12, MGN).
        visual_smoothing: see :func:`weak_targets`.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: {"video": 1.0, "audio": 1.0, "visual": 1.0}
    )
    visual_smoothing: float = 0.1

    def __post_init__(self) -> None:
        known = self.terms()
        unknown = sorted(set(self.weights) - set(known))
        if unknown:
            raise AvvpError(
                f"{type(self).__name__} has no loss term called {unknown[0]!r}; it has "
                f"{sorted(known)}."
            )
        if not self.weights:
            raise AvvpError(
                f"{type(self).__name__} weighs no term of the loss; weigh one at least."
            )

    def terms(self) -> Mapping[str, Term]:
        """Every term that may be weighted."""
        return TERMS

    def __call__(self, parsing: Parsing, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, a scalar, and each unweighted term, detached."""
        terms = self.terms()
        parts = {name: terms[name](parsing, targets) for name in self.weights}
        total = torch.stack([weight * parts[name] for name, weight in self.weights.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}


@dataclass(frozen=True)
class ContrastiveObjective(Objective):
    """The base loss and MA's contrastive term, ``contrastive``, of any network with a similarity.

    A class of its own, so that the definition, and with it the hash, of a run without the term does
    not depend on the term's parameters.

    Attributes:
        weights: see :class:`Objective`; ``contrastive`` is a term too.
        temperature: see :func:`contrast`.
        label_smoothing: see :func:`contrast`.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: {"video": 1.0, "audio": 1.0, "visual": 1.0, "contrastive": 1.0}
    )
    temperature: float = 0.2
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.temperature < math.inf:
            raise AvvpError(f"temperature is {self.temperature}; it must be above 0.")
        if not 0 <= self.label_smoothing < 1:
            raise AvvpError(f"label_smoothing is {self.label_smoothing}; it must be in [0, 1).")

    def terms(self) -> Mapping[str, Term]:
        """Every term that may be weighted."""
        return {**TERMS, "contrastive": self._contrastive}

    def _contrastive(self, parsing: Parsing, _: Targets) -> Tensor:
        return contrast(
            _extra(parsing, "similarity"),
            temperature=self.temperature,
            label_smoothing=self.label_smoothing,
        )


@dataclass(frozen=True)
class AttentionObjective(Objective):
    """What STPN and CMCS ask of their attention and branches, besides the label.

    The terms besides those of :class:`Objective`: ``sparsity`` of the extra ``attention``,
    ``diversity`` and ``balance`` of the extra ``branches``. The label is not smoothed.
    """

    visual_smoothing: float = 0.0

    def terms(self) -> Mapping[str, Term]:
        """Every term that may be weighted."""
        return {
            **TERMS,
            "sparsity": lambda parsing, _: sparsity(_extra(parsing, "attention")),
            "diversity": lambda parsing, _: branch_diversity(_extra(parsing, "branches")),
            "balance": lambda parsing, _: branch_balance(_extra(parsing, "branches")),
        }


RELEASED_ADVERSARIAL_WEIGHTS = {"video": 1.0, "audio": 0.3, "visual": 0.3, "modality": 0.3}
PRINTED_ADVERSARIAL_WEIGHTS = {"video": 1.0, "audio": 0.6, "visual": 0.6, "modality": 0.4}
"""Sec. 4, Cross-Modal: 0.6 for the guided terms and 0.4 for the discriminator's."""


@dataclass(frozen=True)
class AdversarialObjective(Objective):
    """The base loss, and ``modality``, of a network with a modality discriminator (Eq. 3, CM).

    The printed objective subtracts the discriminator's term. Behind a gradient reversal that would
    turn the sign twice: the features would learn to help the discriminator, and it to fail. So the
    term is added, as in the release, and the reversal alone turns its sign for the features.

    Attributes:
        weights: see :class:`Objective`; ``modality`` is a term too. The default is the release's;
            :data:`PRINTED_ADVERSARIAL_WEIGHTS` are the paper's.
    """

    weights: Mapping[str, float] = field(default_factory=RELEASED_ADVERSARIAL_WEIGHTS.copy)

    def terms(self) -> Mapping[str, Term]:
        """Every term that may be weighted."""
        return {**TERMS, "modality": self._modality}

    @staticmethod
    def _modality(parsing: Parsing, _: Targets) -> Tensor:
        return modality_guess(_extra(parsing, "modality"), _extra(parsing, "modality_truth"))

    def __call__(self, parsing: Parsing, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, each unweighted term, and ``modality_accuracy``, a share in [0, 1]."""
        total, parts = super().__call__(parsing, targets)
        right = (_extra(parsing, "modality") > 0.5) == _extra(parsing, "modality_truth").bool()
        return total, {**parts, "modality_accuracy": right.float().mean()}
