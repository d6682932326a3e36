"""What is heard and seen in single clips, from their features, and how a person reads it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from avvp.data.features import FOLDERS, read_array
from avvp.devices import device_of, exact_float32
from avvp.errors import AvvpError
from avvp.events import LABELS, Modality, Parsing, decode, segments_to_runs
from avvp.exchange import Predictions
from avvp.models.layers import pool_frames
from avvp.models.pretrained import Pretrained


class Found(NamedTuple):
    """An event of a clip."""

    modality: Modality
    label: str
    onset: int  #: second
    offset: int  #: one past its last second
    probability: float
    """Mean of its seconds' probabilities; MGN's may exceed 1."""


class ParsedClip(NamedTuple):
    """A clip and what a network finds in it."""

    name: str
    events: tuple[Found, ...]
    audio: Tensor | None  #: (C, T) bool; None: the network does not listen
    visual: Tensor | None  #: (C, T) bool; None: it does not look


def parse_clip(trained: Pretrained, name: str, features: Mapping[str, np.ndarray]) -> ParsedClip:
    """Parse one clip.

    Args:
        trained: the network, and how it decides.
        name: of the clip.
        features: stream -> array, shaped as in :data:`avvp.data.features.FOLDERS`.

    Raises:
        AvvpError: an array is missing, has another shape or type, or is not finite.
    """
    for stream, (_, shape) in FOLDERS.items():
        if stream not in features:
            raise AvvpError(f"{name}: {stream} is missing; expected {', '.join(FOLDERS)}.")
        values = features[stream]
        if values.shape != shape or values.dtype != np.float32:
            raise AvvpError(
                f"{name}: {stream} is {values.dtype} of shape {values.shape}; expected float32 of "
                f"shape {shape}."
            )
        if not np.isfinite(values).all():
            raise AvvpError(f"{name}: {stream} holds values that are not finite.")
    device = device_of(trained.network)
    streams = {stream: torch.from_numpy(features[stream])[None].to(device) for stream in FOLDERS}
    # As in training and scoring: AVE would choose among frames, which it has never learnt.
    streams["visual_2d"] = pool_frames(streams["visual_2d"])
    with torch.no_grad(), exact_float32():
        parsing = trained.network(*streams.values())
    # Thresholds lie on the CPU.
    parsing = Parsing(*(None if x is None else x.float().cpu() for x in parsing[:5]), {})
    decided = decode(parsing, threshold=trained.thresholds, gate=trained.gate)
    scores = parsing.segment_audio, parsing.segment_visual
    found = []
    for modality, mask, score in zip(get_args(Modality), decided, scores, strict=True):
        for run in [] if mask is None else segments_to_runs(mask):
            course = score[0, run.onset : run.offset, run.label]
            label = LABELS[run.label]
            found.append(Found(modality, label, run.onset, run.offset, course.mean().item()))
    masks = (None if mask is None else mask[0] for mask in decided)
    return ParsedClip(name, tuple(found), *masks)


def read_features(folder: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """The features of every clip in a folder that ``avvp data extract`` made, by name.

    Raises:
        AvvpError: it is no such folder, or an array is missing or damaged.
    """
    folder = Path(folder)
    kinds = [kind for kind, _ in FOLDERS.values()]
    # Of any kind: a clip that lacks one is missing something, and is not passed over.
    # Nor are hidden files clips: some systems leave one beside each file that they copy.
    files = (path for kind in kinds for path in (folder / kind).glob("*.npy"))
    names = sorted({path.stem for path in files if not path.name.startswith(".")})
    if not names:
        raise AvvpError(
            f"{folder} holds no features: there is no {kinds[0]}/NAME.npy in it; make them with "
            "`avvp data extract`."
        )
    clips = {}
    for name in names:
        clips[name] = {}
        for stream, (kind, shape) in FOLDERS.items():
            path = folder / kind / f"{name}.npy"
            try:
                clips[name][stream] = read_array(path, shape)
            except FileNotFoundError:
                raise AvvpError(f"{path} is missing; extract {name} again.") from None
            except ValueError as error:
                raise AvvpError(f"{path} {error}; delete it and extract {name} again.") from None
    return clips


def together(clips: Sequence[ParsedClip]) -> Predictions:
    """Clips of one network as :func:`avvp.exchange.write_predictions` takes them."""
    columns = ([clip.audio for clip in clips], [clip.visual for clip in clips])
    masks = (None if masks[0] is None else torch.stack(masks) for masks in columns)
    return Predictions(tuple(clip.name for clip in clips), *masks, {})


def table(clip: ParsedClip) -> str:
    """The events of a clip as lines of text, in the order of time."""
    rows = [("heard or seen", "from (s)", "to (s)", "probability", "event")]
    words = {"audio": "heard", "visual": "seen"}
    for event in sorted(clip.events, key=lambda e: (e.onset, e.modality, e.label)):
        times = (str(event.onset), str(event.offset), f"{event.probability:.2f}")
        rows.append((words[event.modality], *times, event.label.replace("_", " ")))
    if len(rows) == 1:
        return f"{clip.name}: no event"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join([clip.name, *lines])


def as_json(clip: ParsedClip) -> dict[str, Any]:
    """A clip in the types of JSON."""
    return {"clip": clip.name, "events": [event._asdict() for event in clip.events]}
