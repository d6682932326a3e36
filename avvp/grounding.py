"""AVG: learning to ground sound in sight before learning to parse (Cross-Modal learning, Sec. 3.2).

No label is needed. Seconds of a video that resemble each other form the components of a graph; the
encoder has to give the seconds of one component similar tokens, and those of different components
dissimilar ones, within a modality, across the two, or both. Shapes: N or B videos, T = 10 segments.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch.nn import functional

from avvp.data.videos import Batch, Videos, shuffled
from avvp.devices import device_of, exact_float32
from avvp.errors import AvvpError
from avvp.events import SEGMENTS
from avvp.models.layers import pool_frames
from avvp.training import Course, Precision, autocast, epoch_generator

Pairs = Literal["uni", "cross", "multi"]

COSINE_EPS = 1e-6
VISUAL_THRESHOLD, AUDIO_THRESHOLD, SILENT_THRESHOLD = 0.96, 0.99, 0.99


def joined_seconds(
    visual: ArrayLike,
    audio: ArrayLike,
    silent: ArrayLike | None = None,
    *,
    visual_threshold: float = VISUAL_THRESHOLD,
    audio_threshold: float = AUDIO_THRESHOLD,
    silent_threshold: float = SILENT_THRESHOLD,
    either: bool = False,
) -> Tensor:
    """The edges of the graph whose components :func:`connectivity` returns; same arguments.

    Returns:
        bool, (T, T) or (N, T, T), True only above the diagonal.

    Raises:
        AvvpError: the shapes do not fit each other.
    """
    v, a = (torch.as_tensor(x).float() for x in (visual, audio))
    if v.ndim not in (2, 3) or v.shape[:-1] != a.shape[:-1]:
        raise AvvpError(
            f"visual has shape {tuple(v.shape)} and audio {tuple(a.shape)}; expected one row a "
            "second in each: (T, Dv) and (T, Da), or (N, T, Dv) and (N, T, Da)."
        )
    alike = pairwise_cosines(v) > visual_threshold, pairwise_cosines(a) > audio_threshold
    joined = alike[0] | alike[1] if either else alike[0] & alike[1]
    if silent is not None:
        reference = torch.as_tensor(silent, device=a.device).float()
        if reference.shape != a.shape[-1:]:
            raise AvvpError(
                f"the silent vector has shape {tuple(reference.shape)}; expected "
                f"({a.shape[-1]},), one number for each of the audio feature's: of a table of "
                "silent vectors give one row."
            )
        quiet = functional.cosine_similarity(a, reference, dim=-1, eps=COSINE_EPS)  # (..., T)
        joined &= ~(quiet > silent_threshold)[..., None]
    return joined.triu(diagonal=1)


def connectivity(
    visual: ArrayLike,
    audio: ArrayLike,
    silent: ArrayLike | None = None,
    *,
    visual_threshold: float = VISUAL_THRESHOLD,
    audio_threshold: float = AUDIO_THRESHOLD,
    silent_threshold: float = SILENT_THRESHOLD,
    either: bool = False,
) -> Tensor:
    """Which seconds of a video belong together (Algorithm 1, Cross-Modal learning), as released.

    Seconds i < j are joined if the cosine of their images and that of their sounds both lie above
    their thresholds and i is not silent; j is not tested. Seconds of one connected component belong
    together. The paper joins where either modality is similar, at or above a threshold that it does
    not print, and knows no silence.

    Args:
        visual: (T, Dv) features of one video, the frames of a second averaged; or (N, T, Dv).
        audio: (T, Da), or (N, T, Da).
        silent: (Da,) the feature of a silent second; None: no second is silent. The release ships
            one, VGGish's.
        visual_threshold, audio_threshold, silent_threshold: of cosines.
        either: join where either modality is similar, as the paper has it.

    Returns:
        bool, (T, T) or (N, T, T), True on the diagonal.

    Raises:
        AvvpError: shapes that do not fit.
    """
    joined = joined_seconds(
        visual,
        audio,
        silent,
        visual_threshold=visual_threshold,
        audio_threshold=audio_threshold,
        silent_threshold=silent_threshold,
        either=either,
    )
    together = components(joined.cpu().reshape(-1, *joined.shape[-2:]))
    return together.reshape(joined.shape).to(joined.device)


def pairwise_cosines(x: Tensor, z: Tensor | None = None) -> Tensor:
    """Of every second of ``x`` (..., T, D) with every one of ``z`` (x itself): (..., T, T)."""
    z = x if z is None else z
    return functional.cosine_similarity(
        x[..., :, None, :], z[..., None, :, :], dim=-1, eps=COSINE_EPS
    )


def components(joined: Tensor) -> Tensor:
    """Whether two nodes share a component, of N graphs at once: (N, T, T) -> (N, T, T)."""
    count, nodes, _ = joined.shape
    graph, start, end = joined.nonzero().numpy().T
    ends = graph * nodes + start, graph * nodes + end
    edges = coo_array((np.ones(len(graph)), ends), shape=(count * nodes,) * 2)
    _, names = connected_components(edges, directed=False)
    names = torch.from_numpy(names).view(count, nodes)
    return names[:, :, None] == names[:, None, :]


def hinge(
    cosine: Tensor, together: Tensor, *, positive_margin: float = 0.7, negative_margin: float = 0.7
) -> Tensor:
    """[p - cos]+ for pairs that belong together, [cos - n]+ for others; entry by entry.

    Args:
        cosine: any shape.
        together: bool, same shape.
        positive_margin, negative_margin: p and n; the release has 0.7 for both, the paper does not
            say.
    """
    near, far = (positive_margin - cosine).relu(), (cosine - negative_margin).relu()
    return torch.where(together, near, far)


def grounding_loss(
    audio: Tensor,
    visual: Tensor,
    together: Tensor,
    pairs: Pairs,
    *,
    query: int | None = None,
    positive_margin: float = 0.7,
    negative_margin: float = 0.7,
) -> Tensor:
    """The contrastive losses of grounding (Eqs. 4 to 6, Cross-Modal learning).

    ``"uni"`` compares sound with sound and sight with sight (Eq. 4), ``"cross"`` sound with sight
    and sight with sound (Eq. 5), ``"multi"`` is their sum (Eq. 6). The paper sums over the seconds
    of a video; the release takes the mean of each of the two terms, over videos and seconds. Only
    seconds of one video are compared, a second with itself included.

    Args:
        audio, visual: (B, T, D) tokens.
        together: (B, T, T) bool, see :func:`connectivity`.
        pairs: which.
        query: i, the second that is compared with all; None: every one.
        positive_margin, negative_margin: see :func:`hinge`.

    Returns:
        a scalar.

    Raises:
        AvvpError: there are no such pairs.
    """
    if pairs == "multi":
        options = {
            "query": query,
            "positive_margin": positive_margin,
            "negative_margin": negative_margin,
        }
        return sum(
            grounding_loss(audio, visual, together, one, **options) for one in ("uni", "cross")
        )
    if pairs not in get_args(Pairs):
        raise AvvpError(f"pairs is {pairs!r}; it must be one of {', '.join(get_args(Pairs))}.")
    rows = slice(None) if query is None else slice(query, query + 1)
    a, v = audio.float(), visual.float()
    compared = ((a, a), (v, v)) if pairs == "uni" else ((a, v), (v, a))
    return sum(
        hinge(
            pairwise_cosines(x[:, rows], z),
            together[:, rows],
            positive_margin=positive_margin,
            negative_margin=negative_margin,
        ).mean()
        for x, z in compared
    )


@dataclass(frozen=True)
class Pretraining:
    """How the encoder is pre-trained; the defaults are the release's.

    Attributes:
        pairs: see :func:`grounding_loss`.
        epochs: passes over the videos that are not held out.
        batch_size: videos a step.
        learning_rate: of Adam; it stays the same.
        dropout: while pre-training.
        alternate: with ``pairs="multi"``: cross-modal pairs in the first and every second epoch
            after it, unimodal ones in the others, as released; False: Eq. (6), the sum.
        every_query: each second of a video is the query of a step, as the equations have it; False:
            one second, drawn once for the whole batch, as released.
        visual_3d: show the 3D features. The release pre-trains without.
        validated_on: what is right on the videos held out: ``"identity"``, as released, where a
            second belongs together with itself alone, or ``"connectivity"``, as in training.
        selection: which epoch is kept: ``"best"``, with the smallest validation loss, ties to the
            earlier one; ``"last"``; or ``"first"``: what the release does with cross-modal pairs,
            where it never adds up that loss.
        keep_optimizer: fine-tuning goes on with the moments of Adam, as released.
        held_out: share of the videos that validate.
        positive_margin, negative_margin: see :func:`hinge`.
        visual_threshold, audio_threshold: see :func:`connectivity`.
        either: see :func:`connectivity`.
        simulated_thresholds: visual and audio, in their stead on simulated features: there no two
            seconds come near the released thresholds. These are the medians of the cosines between
            the seconds of one video, rounded.
    """

    pairs: Pairs = "multi"
    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 1e-6
    dropout: float = 0.1
    alternate: bool = True
    every_query: bool = False
    visual_3d: bool = False
    validated_on: Literal["identity", "connectivity"] = "identity"
    selection: Literal["best", "first", "last"] = "best"
    keep_optimizer: bool = True
    held_out: float = 0.2
    positive_margin: float = 0.7
    negative_margin: float = 0.7
    visual_threshold: float = VISUAL_THRESHOLD
    audio_threshold: float = AUDIO_THRESHOLD
    either: bool = False
    simulated_thresholds: tuple[float, float] = (0.69, 0.70)

    def __post_init__(self) -> None:
        for name, known in (
            ("pairs", get_args(Pairs)),
            ("validated_on", ("identity", "connectivity")),
            ("selection", ("best", "first", "last")),
        ):
            if getattr(self, name) not in known:
                raise AvvpError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}."
                )
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise AvvpError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if not 0 < self.held_out < 1:
            raise AvvpError(f"held_out is {self.held_out}; it is a share between 0 and 1.")

    def pairs_in(self, epoch: int) -> Pairs:
        """What is compared in ``epoch``, counted from 1 (the release counts from 0)."""
        if self.pairs != "multi" or not self.alternate:
            return self.pairs
        return "cross" if epoch % 2 else "uni"

    def thresholds(self, *, simulated: bool) -> dict[str, float]:
        """For :func:`connectivity`."""
        here = self.visual_threshold, self.audio_threshold
        visual, audio = self.simulated_thresholds if simulated else here
        return {"visual_threshold": visual, "audio_threshold": audio}

    def loss(
        self, audio: Tensor, visual: Tensor, together: Tensor, pairs: Pairs, query: int | None
    ) -> Tensor:
        """:func:`grounding_loss` with these margins."""
        return grounding_loss(
            audio,
            visual,
            together,
            pairs,
            query=query,
            positive_margin=self.positive_margin,
            negative_margin=self.negative_margin,
        )


@dataclass(frozen=True)
class PretrainingResult:
    """What pre-training leaves behind, besides the weights in the network.

    Attributes:
        history: one entry an epoch: ``epoch``, ``loss`` and ``val_loss``, means over videos.
        selected_epoch: counted from 1.
        seconds: wall-clock time, over every session that took part.
        connected: share of the pairs of different seconds of a video that belong together.
        optimizer: the state of Adam after the last epoch.
    """

    history: list[dict[str, float]]
    selected_epoch: int
    seconds: float
    connected: float
    optimizer: dict[str, Any]


def connectivity_of(
    videos: Videos, *, silent: ArrayLike | None = None, batch_size: int = 64, **options: Any
) -> Tensor:
    """The labels of a whole split, (N, T, T) bool on the CPU; options: :func:`connectivity`'s.

    Raises:
        AvvpError: there is no video, or in all of them one modality is zero.
    """
    if not len(videos):
        raise AvvpError("the data to pre-train on has no video; grounding needs both modalities.")
    found, there = [], {"sound": False, "sight": False}
    for batch in videos.batches(batch_size=batch_size):
        visual = pool_frames(batch.visual_2d)
        found.append(connectivity(visual, batch.audio, silent, **options).cpu())
        there["sound"] |= bool(batch.audio.any())
        there["sight"] |= bool(visual.any())
    for modality, features in (("sound", "audio"), ("sight", "visual_2d")):
        if not there[modality]:
            raise AvvpError(
                f"the data to pre-train on has no {modality}: {features} is zero in all "
                f"{len(videos)} videos; grounding needs both modalities, so import both."
            )
    return torch.cat(found)


def pretrain(
    network: nn.Module,
    videos: Videos,
    *,
    config: Pretraining,
    seed: int,
    folder: str | Path,
    simulated: bool,
    silent: ArrayLike | None = None,
    precision: Precision = "float32",
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
) -> PretrainingResult:
    """Pre-train ``network`` in place and leave the selected weights in it.

    Like :func:`avvp.training.fit` it goes on from its last checkpoint and ends with the same
    numbers.

    Args:
        network: an :class:`avvp.models.avg.AVG`, on the device to train on.
        videos: their labels are not looked at.
        config: the protocol.
        seed: of the split into training and validation, of shuffling and queries.
        folder: where checkpoints live.
        simulated: whether the features are; see :meth:`Pretraining.thresholds`.
        silent: see :func:`connectivity`.
        precision: as in :class:`avvp.training.TrainingConfig`.
        progress: show a bar.
        checkpoint_seconds: write a checkpoint at the first step after so many seconds, besides one
            at the end of every epoch.

    Raises:
        AvvpError: one modality is missing, or there are too few videos to hold some out.
    """
    thresholds = config.thresholds(simulated=simulated)
    together = connectivity_of(videos, silent=silent, either=config.either, **thresholds)
    labels = hashlib.sha256(together.numpy().tobytes()).hexdigest()
    together = together.to(device_of(network))
    held_out = int(len(videos) * config.held_out)
    if not held_out:
        raise AvvpError(
            f"{len(videos)} videos are too few to hold {config.held_out:.0%} of them out while "
            "pre-training."
        )
    # Epoch 0 of the seed: an order of its own, that does not move from epoch to epoch.
    train = torch.ones(len(videos), dtype=torch.bool)
    train[torch.randperm(len(videos), generator=epoch_generator(seed, 0))[:held_out]] = False
    course = Course(
        network,
        folder=folder,
        identity={
            "pretraining": asdict(config),
            "seed": seed,
            "data": videos.fingerprint,
            "labels": labels,
        },
        videos=len(videos) - held_out,
        batch_size=config.batch_size,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        told=f"seed {seed}, grounding",
        progress=progress,
        checkpoint_seconds=checkpoint_seconds,
    )
    state = course.state
    fine_tuned_with = _set_dropout(network, config.dropout)
    for epoch in course.remaining_epochs():
        network.train()
        for batch, query in _steps(videos, train, config, seed, epoch, state["step"]):
            loss = _step(network, batch, together[batch.index], query, course.optimizer, config,
                         epoch, precision)  # fmt: skip
            course.stepped({"loss": loss}, len(batch.index))
        val_loss = _validate(network, videos, ~train, together, config, precision)
        better = config.selection == "best" and val_loss < state["best_score"]
        course.end_epoch(
            {"epoch": epoch, **course.means(), "val_loss": val_loss},
            val_loss,
            keep=epoch == 1 or better or config.selection == "last",
            told=f"val loss {val_loss:.3f}",
        )
    course.finish(keep_optimizer=True)
    _set_dropout(network, fine_tuned_with)
    pairs = together.shape[0] * SEGMENTS * (SEGMENTS - 1)
    connected = (int(together.sum()) - together.shape[0] * SEGMENTS) / pairs
    return PretrainingResult(
        state["history"],
        state["best_epoch"],
        state["seconds"],
        connected,
        course.optimizer.state_dict(),
    )


def _set_dropout(network: nn.Module, rate: float) -> float:
    """Change every rate of dropout in ``network``; returns the rate before."""
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    before = layers[0].p
    for layer in layers:
        layer.p = rate
    return before


def _steps(
    videos: Videos,
    train: Tensor,
    config: Pretraining,
    seed: int,
    epoch: int,
    skip: int,
) -> Iterator[tuple[Batch, int | None]]:
    """The batches of one epoch from step ``skip`` on, each with its query; ``train`` (N,) bool."""
    generator = epoch_generator(seed, epoch)
    steps = math.ceil(int(train.sum()) / config.batch_size)
    queries = torch.randint(SEGMENTS, (steps,), generator=generator).tolist()
    order = shuffled(len(videos), chunk=videos.chunk, generator=generator)
    batches = order[train[order]].split(config.batch_size)
    for index, query in list(zip(batches, queries, strict=True))[skip:]:
        yield videos.rows(index), None if config.every_query else query


def _tokens(network: nn.Module, batch: Batch, config: Pretraining, precision: Precision) -> Any:
    device = device_of(network)
    with autocast(device, precision):
        return network.tokens(
            batch.audio.to(device),
            batch.visual_2d.to(device),
            batch.visual_3d.to(device) if config.visual_3d else None,
        )


@exact_float32()
def _step(
    network: nn.Module,
    batch: Batch,
    together: Tensor,
    query: int | None,
    optimizer: torch.optim.Optimizer,
    config: Pretraining,
    epoch: int,
    precision: Precision,
) -> Tensor:
    """One step of gradient descent; returns the loss, detached."""
    tokens = _tokens(network, batch, config, precision)
    pairs = config.pairs_in(epoch)
    loss = config.loss(tokens.audio, tokens.visual_2d, together, pairs, query)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if not config.visual_3d:
        # Hidden, the 3D stream has a gradient of zero, which Adam counts as a step.
        for parameter in network.visual_3d.parameters():
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return loss.detach()


@torch.no_grad()
@exact_float32()
def _validate(
    network: nn.Module,
    videos: Videos,
    held_out: Tensor,
    together: Tensor,
    config: Pretraining,
    precision: Precision,
) -> float:
    """The mean loss over the videos of ``held_out`` (N,) bool and over all queries."""
    network.eval()
    total = 0.0
    for index in held_out.nonzero().flatten().split(64):
        batch = videos.rows(index)
        tokens = _tokens(network, batch, config, precision)
        right = together[batch.index]
        if config.validated_on == "identity":
            right = torch.eye(SEGMENTS, dtype=torch.bool, device=right.device).expand_as(right)
        loss = config.loss(tokens.audio, tokens.visual_2d, right, config.pairs, None)
        total += float(loss) * len(index)
    return total / int(held_out.sum())
