"""Draw labels like LLP's: which classes a video has, and in which seconds each is heard and seen.

Drawn from the counts of :mod:`avvp.data.statistics`, in three steps. Weak labels: their number,
then the first class, then further ones by how often they occur together. For each (video, class)
pair: heard only, seen only or both, and whether it lasts all ten seconds, by class. The seconds of
pairs that do not: a Markov chain over the ten seconds, whose transitions change from second to
second. What this leaves out: dependence between the classes of one video beyond their presence,
runs whose lengths are not those of a Markov chain, and any difference between classes in these.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from avvp.data.statistics import read_statistics
from avvp.events import CLASSES, SEGMENTS

HEARD_ONLY, SEEN_ONLY, BOTH = range(3)
AUDIO_ON = torch.tensor([False, True, False, True])  # states: off, audio only, visual only, both
VISUAL_ON = torch.tensor([False, False, True, True])

_PRIOR = 4.0
"""Pairs of the average class that are added to a class's own counts: 19 pairs are few."""

_statistics = lru_cache(maxsize=1)(read_statistics)


def _pick(weights: Tensor, generator: torch.Generator) -> Tensor:
    """One column of each row of non-negative ``weights`` (N, K), drawn in proportion; (N,)."""
    return torch.multinomial(weights.float(), 1, replacement=True, generator=generator).squeeze(1)


def draw_weak(count: int, split: str, generator: torch.Generator) -> Tensor:
    """Weak labels of ``count`` videos, (count, C) bool, with the statistics of a split."""
    of_split = _statistics()["splits"][split]
    together = torch.tensor(
        _statistics()["together"]["train" if split == "train" else "val+test"], dtype=torch.float32
    )
    own = together.diagonal().clamp(min=1)
    together = together.clone().fill_diagonal_(0)
    number = _pick(
        torch.tensor(of_split["labels_per_video"]).expand(count, -1), generator
    )  # (count,)
    by_number = torch.tensor(of_split["labels_per_video_by_class"], dtype=torch.float32)
    weak = torch.zeros(count, CLASSES, dtype=torch.bool)
    rows = torch.arange(count)
    weak[rows, _pick(by_number[number], generator)] = True
    for size in range(2, len(by_number)):
        growing = number >= size
        if not growing.any():
            continue
        # P(next class | those drawn) as if they spoke for it independently.
        chosen = weak[growing].float()
        support = chosen @ (together + 1e-3).log() - (chosen.sum(1, keepdim=True) - 1) * own.log()
        support[weak[growing]] = -torch.inf
        weak[rows[growing], _pick(support.softmax(1), generator)] = True
    return weak


def _case_weights(one_modality: float) -> Tensor:
    """(C, 3): how often a pair is heard only, seen only, both; odds scaled by ``one_modality``."""
    counts = _statistics()["dense"]["val+test"]["weak_pairs"]
    table = torch.tensor([counts[name] for name in ("heard_only", "seen_only", "both")]).T.float()
    table = table + _PRIOR * 0.1 * table.sum(0) / table.sum()
    return table * torch.tensor([one_modality, one_modality, 1.0])


def _chain(name: str) -> tuple[Tensor, Tensor]:
    """Initial weights (S,) and transition weights (T-1, S, S) of a chain."""
    chain = _statistics()["dense"]["val+test"]["chains"][name]
    transitions = torch.tensor(chain["transitions"], dtype=torch.float32)
    # A state never met at second t moves as it does in all seconds together.
    return torch.tensor(chain["initial"]).float(), transitions + 1e-2 * transitions.mean(0)


def _walk(
    initial: Tensor, transitions: Tensor, allowed: Tensor, generator: torch.Generator
) -> Tensor:
    """State paths (N, T) of a chain restricted to ``allowed`` (N, S) states."""
    permitted = allowed.float()
    state = _pick(initial * permitted, generator)
    path = [state]
    for step in transitions:
        state = _pick(step[state] * permitted, generator)
        path.append(state)
    return torch.stack(path, dim=1)


def _walk_until(accept, initial, transitions, allowed, generator) -> Tensor:
    """Walk, and walk again those whose path ``accept`` refuses; it judges all paths at once."""
    path = _walk(initial, transitions, allowed, generator)
    while (refused := ~accept(path)).any():
        path[refused] = _walk(initial, transitions, allowed[refused], generator)
    return path


def draw_seconds(
    weak: Tensor, generator: torch.Generator, *, one_modality: float = 1.0
) -> tuple[Tensor, Tensor]:
    """What is heard and what is seen in each second, given weak labels.

    Args:
        weak: (N, C) bool.
        generator: what is drawn from.
        one_modality: factor on the odds that a pair is heard only or seen only.

    Returns:
        ``(audio, visual)``, (N, C, T) bool; each weak label is heard or seen somewhere, and nothing
        else is.
    """
    dense: dict[str, Any] = _statistics()["dense"]["val+test"]
    video, label = weak.nonzero(as_tuple=True)
    case = _pick(_case_weights(one_modality)[label], generator)
    audio = torch.zeros(len(label), SEGMENTS, dtype=torch.bool)
    visual = torch.zeros(len(label), SEGMENTS, dtype=torch.bool)

    # Heard and seen: first which modality lasts all ten seconds, then the joint chain.
    joint = torch.tensor(dense["both_full"], dtype=torch.float32).flatten(1)  # (C, 4): NN NV AN AV
    joint = joint + _PRIOR * joint.sum(0) / joint.sum()
    full = _pick(joint[label], generator)
    both = case == BOTH
    audio_full, visual_full = both & (full >= 2), both & (full % 2 == 1)
    audio[audio_full], visual[visual_full] = True, True
    changing = both & ~(audio_full & visual_full)
    allowed = torch.ones(int(changing.sum()), 4, dtype=torch.bool)
    allowed &= AUDIO_ON | ~audio_full[changing, None]
    allowed &= VISUAL_ON | ~visual_full[changing, None]

    def agrees(path: Tensor) -> Tensor:
        """Each modality is there, and lasts all the time where it should and only there."""
        heard, seen = AUDIO_ON[path], VISUAL_ON[path]
        return (
            (heard.all(1) == audio_full[changing])
            & (seen.all(1) == visual_full[changing])
            & heard.any(1)
            & seen.any(1)
        )

    path = _walk_until(agrees, *_chain("both"), allowed, generator)
    audio[changing], visual[changing] = AUDIO_ON[path], VISUAL_ON[path]

    for name, number, modality, mask in (
        ("heard_only", HEARD_ONLY, "audio", audio),
        ("seen_only", SEEN_ONLY, "visual", visual),
    ):
        # Pairs of one modality: full ones are those of the modality that are not of both.
        of_both = torch.tensor(dense["both_full"])  # (C, 2, 2)
        full_both = of_both[:, 1].sum(1) if modality == "audio" else of_both[:, :, 1].sum(1)
        pairs = _one_modality_pairs(dense, name).float()
        full_alone = (torch.tensor(dense["full_pairs"][modality]) - full_both).float()
        share = (full_alone + _PRIOR * full_alone.sum() / pairs.sum()) / (pairs + _PRIOR)
        mine = case == number
        lasting = mine & (torch.rand(len(label), generator=generator) < share[label])
        mask[lasting] = True
        rest = mine & ~lasting
        free = torch.ones(int(rest.sum()), 2, dtype=torch.bool)
        path = _walk_until(lambda p: p.any(1) & ~p.all(1), *_chain(name), free, generator)
        mask[rest] = path.bool()

    heard = torch.zeros(*weak.shape, SEGMENTS, dtype=torch.bool)
    seen = torch.zeros_like(heard)
    heard[video, label], seen[video, label] = audio, visual
    return heard, seen


def _one_modality_pairs(dense: dict[str, Any], name: str) -> Tensor:
    """(C,) pairs heard only or seen only, inside the weak labels or not."""
    inside, outside = dense["weak_pairs"][name], dense["pairs_outside_weak"][name]
    return torch.tensor(inside) + torch.tensor(outside)
