"""How well one can decode when one knows how the simulator draws, and not what it drew.

The oracle sees the latent vectors, the directions of every class and kind, the amplitudes and the
statistics of the labels. In each modality it finds the likeliest event by exact Bayesian inference
over class, kind, amplitude and seconds, removes what lies along its direction, and looks for the
next one. It is close to the best decoder and not exactly it: one modality at a time, one event at a
time. What it cannot know holds for every method on the same data: events without evidence,
evidence without events, and noise.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from avvp.data.label_model import draw_seconds, draw_weak
from avvp.data.simulate import (
    MODALITIES,
    STREAMS,
    SimulatorConfig,
    Split,
    draw_blocks,
    smear,
    world_of,
)
from avvp.events import CLASSES, SEGMENTS, Parsing

PRIOR_VIDEOS = 10_000
"""Label sets drawn to learn how often, and in which seconds, a class is on."""

PATTERNS = 128
"""The most frequent patterns of seconds, of 1,023; one run each but for a few."""

MOST_EVENTS = 6
"""Events of one modality and video that the decoder looks for."""

GAINS = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Amplitudes that the decoder considers, in standard deviations of the log-gain."""

VIDEOS_AT_ONCE = 64


class Prior(NamedTuple):
    """What the oracle expects of one modality before it looks."""

    rate: Tensor  #: (C,) P(the class leaves evidence)
    patterns: Tensor  #: (M, T) bool
    log_pattern: Tensor  #: (C, M) log P(pattern | class is on)


def oracle(config: SimulatorConfig, split: Split) -> Parsing:
    """Posterior probabilities of one split; decode them with ``gate=None``.

    The probability of the video takes the two modalities as independent.
    """
    priors = _priors(config, split)
    segment: dict[str, list[Tensor]] = {m: [] for m in MODALITIES}
    present: dict[str, list[Tensor]] = {m: [] for m in MODALITIES}
    for block in draw_blocks(config, split):
        for start in range(0, len(block.weak), VIDEOS_AT_ONCE):
            rows = slice(start, start + VIDEOS_AT_ONCE)
            latents = {name: latent[rows] for name, latent in block.latents.items()}
            for modality in MODALITIES:
                on, there = _pursue(config, modality, latents, priors[modality])
                segment[modality].append(on)
                present[modality].append(there)
    heard, seen = (torch.cat(present[m]) for m in MODALITIES)
    return Parsing(
        1 - (1 - heard) * (1 - seen),
        heard,
        seen,
        torch.cat(segment["audio"]),
        torch.cat(segment["visual"]),
        {},
    )


def _priors(config: SimulatorConfig, split: Split) -> dict[str, Prior]:
    generator = torch.Generator().manual_seed(0)
    weak = draw_weak(PRIOR_VIDEOS, split, generator)
    seconds = draw_seconds(weak, generator, one_modality=config.one_modality)
    priors = {}
    for modality, mask in zip(MODALITIES, seconds, strict=True):
        pairs = mask.any(2)  # (N, C)
        distinct, index, count = mask[pairs].unique(dim=0, return_inverse=True, return_counts=True)
        kept = count.argsort(descending=True, stable=True)[:PATTERNS]
        label = pairs.nonzero()[:, 1]
        by_class = torch.zeros(CLASSES, len(distinct)).index_put_(
            (label, index), torch.ones(()), accumulate=True
        )[:, kept]
        share = (by_class + count[kept] / count[kept].sum()) / (by_class.sum(1, keepdim=True) + 1)
        evident = 1 - getattr(config, f"missing_{modality}")
        rate = (pairs.sum(0) + 1) / (len(mask) + 2) * evident
        priors[modality] = Prior(rate, distinct[kept], share.log())
    return priors


def _pursue(
    config: SimulatorConfig, modality: str, latents: dict[str, Tensor], prior: Prior
) -> tuple[Tensor, Tensor]:
    """Event after event, likeliest first: P(on) (N, T, C) and P(on somewhere) (N, C)."""
    world, kinds = world_of(config), config.sub_classes
    gains = torch.tensor([config.gain_spread * g for g in GAINS]).exp()
    log_gain = torch.tensor([-0.5 * g * g for g in GAINS]).log_softmax(0)  # a normal log-gain
    amplitudes = getattr(config, f"strength_{modality}") * gains
    levels = smear(prior.patterns.float(), config.smear)  # (M, T)
    log_prior = log_gain[:, None] + prior.log_pattern[:, None, None]  # (C, 1, G, M)
    log_prior = log_prior - torch.tensor(float(kinds)).log()
    streams = [s.name for s in STREAMS if s.modality == modality]
    left = {name: latents[name].clone() for name in streams}
    rows = torch.arange(len(left[streams[0]]))
    on, there = torch.zeros(len(rows), SEGMENTS, CLASSES), torch.zeros(len(rows), CLASSES)
    found = torch.zeros(len(rows), CLASSES, dtype=torch.bool)
    for _ in range(MOST_EVENTS):
        ratio = sum(_ratio(config, s, left[s], levels, amplitudes) for s in streams) + log_prior
        evidence = ratio.flatten(2).logsumexp(2)  # (N, C)
        weight = (ratio - evidence[..., None, None, None]).exp()  # (N, C, K, G, M)
        odds = evidence + torch.logit(prior.rate)
        present = odds.sigmoid()
        by_pattern = weight.sum((2, 3)) @ prior.patterns.float()  # (N, C, T)
        segment = (by_pattern * present[..., None]).transpose(1, 2)
        on = torch.where(found[:, None], on, segment)
        there = torch.where(found, there, present)
        # By odds: two probabilities may both round to 1.
        odds = odds.masked_fill(found, -torch.inf)
        best = odds.argmax(1)  # (N,)
        sure = odds[rows, best] >= 0
        if not sure.any():
            break
        picked, label = rows[sure], best[sure]
        found[picked, label] = True
        kind = weight[picked, label].sum((2, 3)).argmax(1)  # (n,)
        for name in streams:
            # All that lies along the event's direction goes, in every second: an amplitude or a
            # pattern that is not among the hypotheses must not be taken for another event.
            direction = world.directions[name][label, kind][:, None]  # (n, 1, d)
            along = (left[name][picked] * direction).sum(-1, keepdim=True)
            left[name][picked] -= along * direction
    return on, there


def _ratio(
    config: SimulatorConfig, stream: str, latent: Tensor, levels: Tensor, amplitudes: Tensor
) -> Tensor:
    """Log-likelihood ratio of each event against none, (N, C, K, G, M).

    Noise and style are normal and independent from second to second, the background is normal and
    the same in all: so the mean over time has one covariance, the deviations from it another.
    """
    world = world_of(config)
    directions, style = world.directions[stream], config.shared_dynamics * world.style[stream]
    identity = torch.eye(latent.shape[-1])
    second = identity + style.T @ style
    total = levels.sum(1)  # (M,)
    mean = latent.mean(1, keepdim=True)
    ratio = 0
    for covariance, part, power in (
        (second, latent - mean, (levels**2).sum(1) - total**2 / SEGMENTS),
        (second + SEGMENTS * config.background**2 * identity, mean, total**2 / SEGMENTS),
    ):
        inverse = torch.linalg.inv(covariance)
        filtered = torch.einsum("ntd,de,cke->nckt", part, inverse, directions)
        matched = filtered.expand(*filtered.shape[:3], SEGMENTS) @ levels.T  # (N, C, K, M)
        norm = torch.einsum("ckd,de,cke->ck", directions, inverse, directions)
        gain = amplitudes[:, None]  # (G, 1)
        ratio = ratio + gain * matched[..., None, :] - 0.5 * gain**2 * power * norm[..., None, None]
    return ratio
