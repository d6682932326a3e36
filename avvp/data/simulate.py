"""A simulated LLP: labels drawn from LLP's statistics, features drawn given the labels.

Every assumption that a paper makes about the data is a named number of :class:`SimulatorConfig`, so
that a chapter can turn it. Nothing here is a recording: a score on simulated data says how a method
behaves in this world, not how it does on LLP.

A video is drawn in this order:

1. its labels: which events, heard and seen when (:mod:`avvp.data.label_model`);
2. a latent vector per second and stream: the sum of the directions of what is heard (or seen), a
   background that lasts the whole video, a style that both modalities share second by second, and
   unit noise. Amplitudes below are in units of that noise;
3. the features: a fixed random projection to the released width and a rectifier, because the
   released features are outputs of a ReLU.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from avvp.data.annotations import AnnotatedSplit, read_annotations, take_first_by_hash
from avvp.data.label_model import draw_seconds, draw_weak
from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.events import CLASSES, LABELS, SEGMENTS

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
VERSION = 1
"""Raised whenever the same configuration would give other numbers."""

PROFILE_SIZES: dict[str, dict[str, int]] = {
    "smoke": {"train": 64, "val": 32, "test": 32},
    "quick": {"train": 1_000, "val": 200, "test": 400},
    "medium": {"train": 2_500, "val": 649, "test": 1_200},
    "full": {"train": 10_000, "val": 649, "test": 1_200},
}
"""Videos a split, by profile."""

BLOCK = 500
"""Videos drawn from one generator: the first n videos do not depend on how many follow."""

FAMILIES: tuple[tuple[str, ...], ...] = (
    ("Speech", "Singing", "Baby_laughter", "Baby_cry_infant_cry"),
    ("Cheering", "Clapping"),
    ("Dog", "Cat", "Chicken_rooster"),
    ("Cello", "Violin_fiddle", "Banjo", "Acoustic_guitar", "Accordion"),
    ("Car", "Motorcycle", "Helicopter", "Lawn_mower", "Chainsaw"),
    ("Vacuum_cleaner", "Blender", "Frying_(food)"),
    ("Fire_alarm", "Telephone_bell_ringing"),
    ("Basketball_bounce",),
)
"""Classes that look or sound alike: an assumption of the simulator, not a measurement."""


@dataclass(frozen=True)
class Stream:
    """One feature stream: its latent and released widths, and the modality it belongs to."""

    name: str
    latent: int
    width: int
    modality: Literal["audio", "visual"]


STREAMS = (
    Stream("audio", 64, 128, "audio"),
    Stream("visual_2d", 128, 2048, "visual"),
    Stream("visual_3d", 64, 512, "visual"),
)


@dataclass(frozen=True)
class SimulatorConfig:
    """A simulated data set. Amplitudes are in units of the noise of one latent dimension.

    Attributes:
        train, val, test: videos a split.
        seed: of the videos.
        world: seed of what all videos share: the directions of the classes, the projections.
        labels: ``"sampled"`` from LLP's statistics, or the folder of LLP's annotations: then weak
            labels and the annotated splits are the real ones, and only features are simulated.
        strength_audio, strength_visual: amplitude of an event's evidence in one second.
        gain_spread: log-standard deviation of that amplitude from event to event.
        missing_audio, missing_visual: share of events that leave no evidence in the modality
            although the annotator marked them.
        distractors_audio, distractors_visual: mean number a video of events of absent classes that
            leave evidence all the same.
        distractor_strength: their amplitude, as a share of an event's.
        family_share: share of a class's direction (in squared length) that its family shares.
        sub_classes: kinds of a class; each event is of one kind.
        sub_class_share: share of a class's direction that belongs to the kind alone.
        background: amplitude of what stays the same all through a video.
        smear: share of a second's evidence that leaks into the second after and before it.
        shared_dynamics: amplitude of the style that sound and image share second by second; what
            contrastive learning across modalities presupposes.
        asynchrony: standard deviation, in seconds, of the shift between an event's visual evidence
            and its annotation; audio stays in place.
        one_modality: factor on the odds that an event is heard only or seen only; 1 is LLP's share.
    """

    train: int = 10_000
    val: int = 649
    test: int = 1_200
    seed: int = 0
    world: int = 0
    labels: str = "sampled"
    strength_audio: float = 7.4
    strength_visual: float = 8.5
    gain_spread: float = 0.4
    missing_audio: float = 0.1
    missing_visual: float = 0.15
    distractors_audio: float = 0.3
    distractors_visual: float = 0.36
    distractor_strength: float = 0.7
    family_share: float = 0.3
    sub_classes: int = 4
    sub_class_share: float = 0.4
    background: float = 1.0
    smear: float = 0.1
    shared_dynamics: float = 1.0
    asynchrony: float = 0.0
    one_modality: float = 1.0

    def __post_init__(self) -> None:
        for name in ("train", "val", "test", "sub_classes"):
            if getattr(self, name) < 1:
                raise AvvpError(f"the simulator's {name} is {getattr(self, name)}; at least 1.")
        for name in ("missing_audio", "missing_visual", "family_share", "sub_class_share", "smear"):
            if not 0 <= getattr(self, name) <= 1:
                raise AvvpError(
                    f"the simulator's {name} is {getattr(self, name)}; it is a share, 0 to 1."
                )
        if self.family_share + self.sub_class_share > 1:
            raise AvvpError("family_share and sub_class_share of the simulator add up to over 1.")
        for name, value in asdict(self).items():
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise AvvpError(
                    f"the simulator's {name} is {value}; it must be finite and not negative."
                )

    def fingerprint(self, split: str) -> str:
        """Hash of everything that determines a split: not of the sizes of the other two."""
        content = {name: value for name, value in asdict(self).items() if name not in SPLITS}
        if self.labels != "sampled":
            content["labels"] = read_annotations(self.labels).sha256
        content |= {"split": split, "videos": getattr(self, split), "version": VERSION}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class Block(NamedTuple):
    """Up to ``BLOCK`` consecutive videos of a split, before their features are rendered."""

    rows: slice  #: of the split
    weak: Tensor  #: (n, C) bool
    audio: Tensor  #: (n, C, T) bool
    visual: Tensor  #: (n, C, T) bool
    latents: dict[str, Tensor]  #: stream -> (n, T, latent)


def draw_blocks(config: SimulatorConfig, split: Split) -> Iterator[Block]:
    """Draw a split block by block: labels and latent vectors.

    Raises:
        AvvpError: there is no such split.
    """
    if split not in SPLITS:
        raise AvvpError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}.")
    annotated = _annotated(config, split)
    count = getattr(config, split) if annotated is None else len(annotated.ids)
    for start in range(0, count, BLOCK):
        rows = slice(start, min(start + BLOCK, count))
        # Every block has a generator of its own, and a sampled block is drawn whole even where
        # fewer videos are kept: the first n videos are the same whatever the size of the split.
        generator = _generator("videos", config.seed, split, start // BLOCK)
        weak = annotated.weak[rows] if annotated else draw_weak(BLOCK, split, generator)
        if annotated and annotated.audio is not None:
            audio, visual = annotated.audio[rows], annotated.visual[rows]
        else:
            audio, visual = draw_seconds(weak, generator, one_modality=config.one_modality)
        latents = _latents(config, (audio, visual), generator)
        size = rows.stop - rows.start
        yield Block(
            rows,
            weak[:size],
            audio[:size],
            visual[:size],
            {name: latent[:size] for name, latent in latents.items()},
        )


def simulate(config: SimulatorConfig, split: Split) -> Videos:
    """Draw one split.

    Args:
        config: the data set.
        split: ``"train"``, ``"val"`` or ``"test"``. All three carry the truth per second: training
            has no use for that of ``"train"``, but the refinement of labels is judged by it.
    """
    annotated = _annotated(config, split)
    count = getattr(config, split) if annotated is None else len(annotated.ids)
    world = world_of(config)
    features = {s.name: torch.empty(count, SEGMENTS, s.width) for s in STREAMS}
    weak = torch.empty(count, CLASSES, dtype=torch.bool)
    audio = torch.empty(count, CLASSES, SEGMENTS, dtype=torch.bool)
    visual = torch.empty_like(audio)
    for block in draw_blocks(config, split):
        weak[block.rows], audio[block.rows], visual[block.rows] = block[1:4]
        for name, latent in block.latents.items():
            projected = latent @ world.projections[name] + world.offsets[name]
            features[name][block.rows] = projected.relu_()
    return Videos(
        annotated.ids
        if annotated
        else tuple(f"sim{config.seed}-{split}-{i:05d}" for i in range(count)),
        **features,
        weak=weak,
        true_audio=audio,
        true_visual=visual,
        fingerprint=config.fingerprint(split),
    )


MODALITIES = ("audio", "visual")


def _annotated(config: SimulatorConfig, split: Split) -> AnnotatedSplit | None:
    """The first n videos, by hash, of a real split; None where labels are sampled."""
    if config.labels == "sampled":
        return None
    real = read_annotations(config.labels)[split]
    return real.rows(take_first_by_hash(real.ids, getattr(config, split)))


def _generator(purpose: str, seed: int, *place: object) -> torch.Generator:
    """A generator of its own for each purpose and place; neighbours share nothing."""
    digest = hashlib.sha256(repr((purpose, seed, *place)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@dataclass(frozen=True)
class World:
    """What stays the same for all videos of a data seed: directions and projections.

    Attributes:
        directions: stream -> (C, K, latent), unit vectors of each kind of each class.
        style: stream -> (STYLE, latent), where the shared style shows.
        projections: stream -> (latent, width), from latent vectors to features.
        offsets: stream -> (width,), so that the rectifier cuts features at different heights.
    """

    directions: dict[str, Tensor]
    style: dict[str, Tensor]
    projections: dict[str, Tensor]
    offsets: dict[str, Tensor]


STYLE = 8
"""Dimensions of the style that sound and image share."""


@lru_cache(maxsize=4)
def world_of(config: SimulatorConfig) -> World:
    """The directions and projections of a data set."""
    generator = _generator("world", config.world)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def unit(x: Tensor) -> Tensor:
        return x / x.norm(dim=-1, keepdim=True)

    family_of = torch.empty(CLASSES, dtype=torch.int64)
    for number, members in enumerate(FAMILIES):
        family_of[[LABELS.index(name) for name in members]] = number
    family, kind = config.family_share, config.sub_class_share
    tables: dict[str, dict[str, Tensor]] = {k: {} for k in World.__dataclass_fields__}
    for stream in STREAMS:
        n, d = config.sub_classes, stream.latent
        direction = (
            family**0.5 * unit(normal(len(FAMILIES), 1, d))[family_of]
            + (1 - family - kind) ** 0.5 * unit(normal(CLASSES, 1, d))
            + kind**0.5 * unit(normal(CLASSES, n, d))
        )
        tables["directions"][stream.name] = unit(direction)
        tables["style"][stream.name] = unit(normal(STYLE, d))
        tables["projections"][stream.name] = normal(d, stream.width) / d**0.5
        tables["offsets"][stream.name] = 0.5 * normal(stream.width)
    return World(**tables)


def _latents(
    config: SimulatorConfig, seconds: tuple[Tensor, Tensor], generator: torch.Generator
) -> dict[str, Tensor]:
    """Latent vectors of N videos whose events are ``seconds``: audio and visual, (N, C, T) bool."""
    count, world = len(seconds[0]), world_of(config)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def chance(probability: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator) < probability

    kinds = torch.randint(config.sub_classes, (count, CLASSES), generator=generator)
    of_kind = torch.nn.functional.one_hot(kinds, config.sub_classes).float()  # (N, C, K)
    style = normal(count, SEGMENTS, STYLE)
    present = seconds[0].any(2) | seconds[1].any(2)  # (N, C)
    amplitudes: dict[str, Tensor] = {}
    for modality, mask in zip(MODALITIES, seconds, strict=True):
        # Drawn even where nothing moves, so that a sweep changes one thing alone.
        late = (config.asynchrony * normal(count, CLASSES)).round().long()
        mask = _shift(mask, late) if modality == "visual" else mask
        gain = (config.gain_spread * normal(count, CLASSES)).exp()
        gain *= ~chance(getattr(config, f"missing_{modality}"), count, CLASSES)
        # An absent class leaves evidence in a run of random place, where it is not on anyway.
        rate = getattr(config, f"distractors_{modality}") / CLASSES
        stray = chance(rate, count, CLASSES) & ~present
        ends = torch.rand(count, CLASSES, 2, generator=generator).mul(SEGMENTS + 1).long()
        ends = ends.clamp(max=SEGMENTS).sort(dim=-1).values
        clock = torch.arange(SEGMENTS)
        run = (clock >= ends[..., :1]) & (clock <= ends[..., 1:])  # (N, C, T)
        level = mask * gain[..., None]
        level = level + config.distractor_strength * (run & stray[..., None]) * gain[..., None]
        amplitudes[modality] = getattr(config, f"strength_{modality}") * smear(level, config.smear)

    latents = {}
    for stream in STREAMS:
        amount = amplitudes[stream.modality].transpose(1, 2)  # (N, T, C)
        weights = amount[..., None] * of_kind[:, None]  # (N, T, C, K)
        latent = weights.flatten(2) @ world.directions[stream.name].flatten(0, 1)  # (N, T, latent)
        latent += config.background * normal(count, 1, stream.latent)
        latent += config.shared_dynamics * style @ world.style[stream.name]
        latent += normal(count, SEGMENTS, stream.latent)
        latents[stream.name] = latent
    return latents


def _shift(mask: Tensor, seconds: Tensor) -> Tensor:
    """Move each (N, C) row of ``mask`` (N, C, T) later by ``seconds``; what leaves is lost."""
    source = torch.arange(SEGMENTS) - seconds[..., None]
    inside = (source >= 0) & (source < SEGMENTS)
    return mask.gather(2, source.clamp(0, SEGMENTS - 1)) & inside


def smear(level: Tensor, share: float) -> Tensor:
    """Leak a share of each second into its two neighbours, half each way; (..., T)."""
    leaked = torch.nn.functional.pad(level, (1, 1))
    return (1 - share) * level + share / 2 * (leaked[..., :-2] + leaked[..., 2:])
