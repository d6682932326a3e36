"""MA's second stage: exchange tracks between videos to see which labels a modality carries.

A weak label says that an event is heard or seen, not which. If a video keeps its sound, gets the
image of a video that shares no label with it, and the network no longer finds the event anywhere,
then the sound alone does not carry it: the label is dropped from the audio target.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from avvp.data.videos import Videos
from avvp.devices import device_of, exact_float32
from avvp.errors import AvvpError
from avvp.losses import Targets, weak_targets
from avvp.training import Precision, autocast

Modality = Literal["both", "audio", "visual"]


@dataclass(frozen=True)
class Refinement:
    """How the second stage drops labels and how the third uses what is left.

    Attributes:
        modality: see :func:`refined_targets`.
        released: see :func:`refined_targets`.
        partners: see :func:`draw_partners`; the release has one.
        threshold: see :func:`unreliable_labels`.
    """

    modality: Modality = "both"
    released: bool = True
    partners: int = 1
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.modality not in get_args(Modality):
            raise AvvpError(
                f"modality is {self.modality!r}; it must be one of {', '.join(get_args(Modality))}."
            )
        if not isinstance(self.partners, int) or self.partners < 1:
            raise AvvpError(f"partners is {self.partners!r}; it must be at least 1.")
        if not self.threshold > 0:
            raise AvvpError(f"threshold is {self.threshold}; it must be above 0.")


class Exchanged(NamedTuple):
    """Video-level probabilities (N, C) of every video with its own tracks and with a partner's.

    The first letter is the modality that predicts, the second the track that was replaced by the
    partner's: ``a_v`` is what is heard when the image is another video's.
    """

    a: Tensor
    v: Tensor
    a_v: Tensor
    v_v: Tensor
    a_a: Tensor
    v_a: Tensor


def draw_partners(weak: Tensor, *, generator: torch.Generator, partners: int = 1) -> Tensor:
    """For every video, other videos that share no label with it (Eqs. 4-5, MA).

    Uniform over all such videos, and independent: one can come twice. The paper's condition is only
    that the labels differ; the release asks that none is shared. A video without a label, which LLP
    has none of, shares none with itself, and can be its own partner.

    Args:
        weak: (N, C) bool or 0/1.
        generator: a CPU generator.
        partners: K, how many a video.

    Returns:
        (N, K) int64, rows of the split.

    Raises:
        AvvpError: a video shares a label with every other one.
    """
    if partners < 1:
        raise AvvpError(f"partners is {partners}; it must be at least 1.")
    # Few sets of labels occur: compare those, not N x N videos.
    labels, kind, counts = weak.cpu().bool().unique(dim=0, return_inverse=True, return_counts=True)
    disjoint = labels.float() @ labels.T.float() == 0  # (P, P)
    available = torch.where(disjoint, counts, 0)
    choices = available.sum(dim=1)[kind]  # (N,)
    if (lonely := (choices == 0).nonzero()).numel():
        raise AvvpError(
            f"video {int(lonely[0])} shares a label with every other of the {len(weak)} videos "
            f"({len(lonely)} such videos): its tracks can be exchanged with nobody's."
        )
    # The disjoint videos of a kind, kind after kind, are numbered through; a partner is a number.
    ends = available.flatten().cumsum(dim=0)  # (P * P,)
    first = ends - available.flatten()
    drawn = torch.rand(len(weak), partners, generator=generator, dtype=torch.float64)
    number = (drawn * choices[:, None]).long().clamp(max=choices[:, None] - 1)
    place = first[kind * len(labels)][:, None] + number  # (N, K)
    cell = torch.searchsorted(ends, place, right=True)
    by_kind = kind.argsort(stable=True)
    start = counts.cumsum(dim=0) - counts
    return by_kind[start[cell % len(labels)] + place - first[cell]]


@exact_float32()
def exchanged(
    network: nn.Module,
    videos: Videos,
    partners: Tensor,
    *,
    batch_size: int = 64,
    precision: Precision = "float32",
) -> Exchanged:
    """Parse every video with its own tracks, with a partner's image, with a partner's sound.

    In evaluation mode, whole batches at a time, on the device of the network (Eqs. 6-7, MA, before
    the division).

    Args:
        network: the base model.
        videos: N videos.
        partners: (N, K) rows, as :func:`draw_partners` returns them. Over several partners the
            probabilities are averaged; the release has one.
        batch_size: videos a forward pass.
        precision: as in :class:`avvp.training.TrainingConfig`.

    Returns:
        float32 tensors on the CPU.

    Raises:
        AvvpError: ``partners`` has another shape, or the network parses one modality only.
    """
    if partners.ndim != 2 or len(partners) != len(videos):
        raise AvvpError(
            f"partners has shape {tuple(partners.shape)}; expected ({len(videos)}, K) for "
            f"{len(videos)} videos."
        )
    device = device_of(network)
    was_training = network.training
    network.eval()

    def probabilities(audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Tensor:
        parsing = network(audio.to(device), visual_2d.to(device), visual_3d.to(device))
        if parsing.audio is None or parsing.visual is None:
            raise AvvpError(
                f"{type(network).__name__} parses one modality; tracks can only be exchanged in a "
                "network that parses both."
            )
        return torch.stack([parsing.audio, parsing.visual]).float()  # (2, B, C)

    pieces = []
    with torch.no_grad(), autocast(device, precision):
        for batch in videos.batches(batch_size=batch_size):
            own = batch.audio, batch.visual_2d, batch.visual_3d
            swapped = []
            for column in partners[batch.index.cpu()].unbind(dim=1):
                other = videos.rows(column)
                image_replaced = probabilities(own[0], other.visual_2d, other.visual_3d)
                sound_replaced = probabilities(other.audio, *own[1:])
                swapped.append(torch.cat([image_replaced, sound_replaced]))  # (4, B, C)
            pieces.append(torch.cat([probabilities(*own), torch.stack(swapped).mean(dim=0)]).cpu())
    network.train(was_training)
    return Exchanged(*torch.cat(pieces, dim=1))


def class_accuracies(probability: Tensor, weak: Tensor, *, threshold: float = 0.5) -> Tensor:
    """How often a modality agrees with the weak label, per class: (C,) in [0, 1].

    True negatives count. A probability of exactly ``threshold`` is a no.

    Args:
        probability: (N, C), of the modality with its own tracks.
        weak: (N, C) bool or 0/1.
        threshold: in probability.
    """
    return ((probability > threshold) == weak.bool()).float().mean(dim=0)


def unreliable_labels(
    a_v: Tensor,
    v_v: Tensor,
    a_a: Tensor,
    v_a: Tensor,
    weak: Tensor,
    accuracy_audio: Tensor,
    accuracy_visual: Tensor,
    *,
    threshold: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """The labels that a modality does not carry by itself (Eqs. 6-7 and the rule after them, MA).

    A label leaves the audio target if neither modality finds it once the image is replaced: both
    probabilities, divided by the audio error of the class, fall below ``threshold``. The error of a
    class is relative to that of the modality's worst class, so labels of classes that are easy to
    fit stay more easily. A class without error loses nothing: the quotient is infinite or not a
    number.

    Args:
        a_v, v_v, a_a, v_a: (N, C) probabilities, see :class:`Exchanged`.
        weak: (N, C) bool or 0/1; only what is labelled can be dropped.
        accuracy_audio, accuracy_visual: (C,) in [0, 1], see :func:`class_accuracies`.
        threshold: strict; a quotient of exactly ``threshold`` keeps the label.

    Returns:
        ``(drop_audio, drop_visual)``, bool (N, C). Both can be set: nothing prevents it.

    Raises:
        AvvpError: the shapes do not fit each other, or an accuracy is not in [0, 1].
    """
    shape = tuple(weak.shape)
    for name, value in {"a_v": a_v, "v_v": v_v, "a_a": a_a, "v_a": v_a}.items():
        if tuple(value.shape) != shape:
            raise AvvpError(f"{name} has shape {tuple(value.shape)}; weak has {shape}.")
    for name, value in {"audio": accuracy_audio, "visual": accuracy_visual}.items():
        if tuple(value.shape) != shape[1:]:
            raise AvvpError(
                f"accuracy_{name} has shape {tuple(value.shape)}; expected {shape[1:]}."
            )
        if not ((value >= 0) & (value <= 1)).all():
            raise AvvpError(f"accuracy_{name} must lie in [0, 1]; it is not in per cent.")
    label = weak.bool()

    def lost(one: Tensor, other: Tensor, accuracy: Tensor) -> Tensor:
        error = 1 - accuracy
        relative = error / error.max()  # not a number where every class is right
        return (one / relative < threshold) & (other / relative < threshold) & label

    return lost(a_v, v_v, accuracy_audio), lost(v_a, a_a, accuracy_visual)


def refined_targets(
    weak: Tensor,
    drop_audio: Tensor,
    drop_visual: Tensor,
    *,
    modality: Modality = "both",
    released: bool = True,
    visual_smoothing: float = 0.1,
) -> Targets:
    """What the third stage trains on: weak labels without the unreliable ones.

    Args:
        weak: (N, C) bool or 0/1.
        drop_audio, drop_visual: bool (N, C), see :func:`unreliable_labels`.
        modality: refine the targets of both modalities, or of one.
        released: in the release the audio target and the video's label are one array, so a label
            dropped from audio is dropped from the video target too. False keeps the weak label
            there, which is the probable intention.
        visual_smoothing: see :func:`avvp.losses.weak_targets`. A dropped label becomes 0, below the
            smoothed 0.05 of a class that never was a label.

    Raises:
        AvvpError: there is no such modality.
    """
    if modality not in ("both", "audio", "visual"):
        raise AvvpError(f"modality is {modality!r}; it must be 'both', 'audio' or 'visual'.")
    video, audio, visual = weak_targets(weak, visual_smoothing=visual_smoothing)
    if modality != "visual":
        audio = audio.masked_fill(drop_audio, 0.0)
        video = audio if released else video
    if modality != "audio":
        visual = visual.masked_fill(drop_visual & weak.bool(), 0.0)
    return Targets(video, audio, visual)


class Refined(NamedTuple):
    """What the second stage leaves for the third."""

    targets: Targets  #: (N, C) each
    drop_audio: Tensor  #: (N, C) bool, on the CPU like the rest
    drop_visual: Tensor
    accuracy_audio: Tensor  #: (C,)
    accuracy_visual: Tensor
    exchanged: Exchanged

    def dropped_at(self, weak: Tensor, *, threshold: float) -> tuple[Tensor, Tensor]:
        """What another threshold would have dropped: audio and visual, bool (N, C)."""
        return unreliable_labels(
            *self.exchanged[2:],
            weak,
            self.accuracy_audio,
            self.accuracy_visual,
            threshold=threshold,
        )


def refine(
    network: nn.Module,
    videos: Videos,
    *,
    config: Refinement,
    seed: int,
    visual_smoothing: float = 0.1,
    precision: Precision = "float32",
) -> Refined:
    """MA's second stage, whole: exchange tracks, judge the labels, write the third stage's targets.

    Args:
        network: the trained base model.
        videos: the training split.
        config: which labels go.
        seed: of the partners.
        visual_smoothing: see :func:`avvp.losses.weak_targets`.
        precision: see :func:`exchanged`.

    Raises:
        AvvpError: a video has no partner.
    """
    weak = videos.weak.cpu()
    generator = torch.Generator().manual_seed(seed)
    partners = draw_partners(weak, generator=generator, partners=config.partners)
    found = exchanged(network, videos, partners, precision=precision)
    accuracy_audio = class_accuracies(found.a, weak)
    accuracy_visual = class_accuracies(found.v, weak)
    drop_audio, drop_visual = unreliable_labels(
        *found[2:], weak, accuracy_audio, accuracy_visual, threshold=config.threshold
    )
    targets = refined_targets(
        weak,
        drop_audio,
        drop_visual,
        modality=config.modality,
        released=config.released,
        visual_smoothing=visual_smoothing,
    )
    return Refined(targets, drop_audio, drop_visual, accuracy_audio, accuracy_visual, found)


CUTS: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Thresholds at which :func:`removals` counts."""
EXAMPLES = 8
"""Training videos that :func:`removals` keeps for figures."""


def removals(refined: Refined, videos: Videos) -> dict[str, Tensor]:
    """What the second stage removed, and, where the truth is known, whether rightly.

    A label is rightly removed from a modality if its class is not in that modality in any second of
    the video: what simulated training data knows and LLP's does not.

    Args:
        refined: as :func:`refine` returns it, for ``videos``.
        videos: the training split.

    Returns:
        ``labels`` (C,): weak labels. ``removed`` (2, C): audio, visual. ``removed_both`` (C,).
        ``accuracy`` (2, C). ``removed_at`` (9, 2): removals at the thresholds :data:`CUTS`. The
        first :data:`EXAMPLES` videos with several labels that lost a visual one: ``example_rows``
        (K,), ``example_weak``, ``example_drop_audio``, ``example_drop_visual`` (K, C). With truth:
        ``absent`` and ``right`` (2, C), labels that a modality does not have and those among them
        that were removed; ``right_at`` (9, 2); ``example_true_audio``, ``example_true_visual``
        (K, C, T).
    """
    weak = videos.weak.cpu()
    dropped = torch.stack([refined.drop_audio, refined.drop_visual])  # (2, N, C)
    at = torch.stack(
        [torch.stack(refined.dropped_at(weak, threshold=cut)) for cut in CUTS]
    )  # (9, 2, N, C)
    several = (weak.sum(dim=1) > 1) & refined.drop_visual.any(dim=1)
    rows = several.nonzero()[:EXAMPLES, 0]
    found = {
        "labels": weak.sum(dim=0),
        "removed": dropped.sum(dim=1),
        "removed_both": dropped.all(dim=0).sum(dim=0),
        "accuracy": torch.stack([refined.accuracy_audio, refined.accuracy_visual]),
        "removed_at": at.sum(dim=(2, 3)),
        "example_rows": rows,
        "example_weak": weak[rows],
        "example_drop_audio": refined.drop_audio[rows],
        "example_drop_visual": refined.drop_visual[rows],
    }
    if videos.true_audio is not None and videos.true_visual is not None:
        true_audio, true_visual = videos.true_audio.cpu(), videos.true_visual.cpu()
        present = torch.stack([true_audio.any(dim=-1), true_visual.any(dim=-1)])
        absent = weak & ~present  # (2, N, C)
        found |= {
            "absent": absent.sum(dim=1),
            "right": (dropped & absent).sum(dim=1),
            "right_at": (at & absent).sum(dim=(2, 3)),
            "example_true_audio": true_audio[rows],
            "example_true_visual": true_visual[rows],
        }
    return found
