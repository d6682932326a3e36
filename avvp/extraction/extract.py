"""Make the three feature folders of LLP from the videos in a folder.

A clip gives ``vggish/NAME.npy`` (10, 128), ``res152/NAME.npy`` (80, 2048) and
``r2plus1d_18/NAME.npy`` (10, 512), float32, each written whole or not at all. A clip that has its
three files is not done again, so a command that was interrupted goes on when it is repeated, and
ends with the same bytes. ``extraction.json`` beside the folders says with which weights they were
made; other weights, or features from elsewhere, are not mixed in.
"""

import json
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from avvp.atomic import atomic_path, write_text
from avvp.data.features import FOLDERS, read_array
from avvp.devices import choose_device
from avvp.errors import AvvpError
from avvp.extraction import visual
from avvp.extraction.audio import examples
from avvp.extraction.clips import Clip, read_clip
from avvp.extraction.weights import find_weights, load_network

ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".ts")
"""What a video's name may end with, in small or capital letters."""

RECIPE = 1
"""Grows whenever the same clip and weights give other features."""

RECORD = "extraction.json"
_LLP_NAME = re.compile(r"(.{11})_\d+(?:\.\d+)?_\d+(?:\.\d+)?")  # five windows have fractions
_AT_ONCE = 20  # frames in a network at a time


@dataclass(frozen=True)
class Networks:
    """The networks, on their device.

    Attributes:
        modules: stream -> network.
        device: where they are.
        sha256: stream -> checksum of the weights.
    """

    modules: Mapping[str, nn.Module]
    device: torch.device
    sha256: Mapping[str, str]


class Inputs(NamedTuple):
    """What the networks are given of a clip, and what was done to the clip."""

    streams: dict[str, Tensor]
    notes: tuple[str, ...]


@dataclass
class ExtractReport:
    """What :func:`extract_folder` did.

    Attributes:
        made: videos whose features were made.
        resumed: videos whose features were there.
        notes: "NAME what was done", for each clip that is not ten seconds of sound and images.
        problems: a sentence for each video that gave no features.
    """

    made: int = 0
    resumed: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def load_networks(weights: str | Path, *, device: str = "auto", progress: bool = True) -> Networks:
    """The three networks with the weights of a folder; those that are missing are fetched into it.

    Raises:
        AvvpError: weights can't be had, are damaged or another network's; or there is no such
            device.
    """
    place = choose_device(device)
    loaded = {
        stream: load_network(stream, path)
        for stream, path in find_weights(weights, progress=progress).items()
    }
    return Networks(
        modules={stream: network.to(place) for stream, (network, _) in loaded.items()},
        device=place,
        sha256={stream: digits for stream, (_, digits) in loaded.items()},
    )


def find_videos(folder: str | Path) -> dict[str, Path]:
    """Name of the features -> file, of every video that lies directly in a folder.

    The name is the file's without its ending; of a name as in LLP's tables, ``ID_START_END``, only
    the ``ID``, because the released features are named so.

    Raises:
        AvvpError: it is no folder, holds no video, or two videos would share a name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AvvpError(f"{folder} is not a folder; name the folder in which the videos lie.")
    videos: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in ENDINGS or path.name.startswith(".") or path.is_dir():
            continue
        match = _LLP_NAME.fullmatch(path.stem)
        name = match[1] if match else path.stem
        if name in videos:
            raise AvvpError(
                f"{path} and {videos[name].name} would share the features {name}.npy; rename one."
            )
        videos[name] = path
    if not videos:
        raise AvvpError(
            f"{folder} holds no video: no file directly in it ends with {', '.join(ENDINGS)}."
        )
    return videos


def extract_clip(path: str | Path, networks: Networks) -> tuple[dict[str, np.ndarray], tuple]:
    """The three arrays of a video, as released, and the notes on it.

    Raises:
        AvvpError: see :func:`avvp.extraction.clips.read_clip`.
    """
    inputs = prepare(path)
    return compute(inputs, networks), inputs.notes


def prepare(path: str | Path) -> Inputs:
    """Decode a video into what the networks are given."""
    return inputs_of(read_clip(path))


def inputs_of(clip: Clip) -> Inputs:
    """What the networks are given of a clip."""
    images = visual.decode([clip.frames[n] for n in clip.sampled])
    streams = {
        "audio": examples(clip.sound),
        "visual_2d": visual.frames(images),
        "visual_3d": visual.stretches(images),
    }
    return Inputs(streams, clip.notes)


@torch.inference_mode()
def compute(inputs: Inputs, networks: Networks) -> dict[str, np.ndarray]:
    """Run the networks: stream -> array as in :data:`avvp.data.features.FOLDERS`, float32."""
    arrays = {}
    # A GPU rounds convolutions to ten bits, and not each time alike, unless told otherwise.
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for stream, values in inputs.streams.items():
            module = networks.modules[stream]
            parts = [module(part.to(networks.device)).cpu() for part in values.split(_AT_ONCE)]
            arrays[stream] = torch.cat(parts).float().numpy()
    return arrays


def extract_folder(
    videos: str | Path, out: str | Path, networks: Networks, *, progress: bool = True
) -> ExtractReport:
    """Make the features of every video in a folder; one that can't be read does not stop the rest.

    One call at a time may write to ``out``.

    Args:
        videos: the folder of the videos.
        out: the folder in which ``vggish``, ``res152`` and ``r2plus1d_18`` are made.
        networks: from :func:`load_networks`.
        progress: show a bar.

    Raises:
        AvvpError: there is no video, or ``out`` holds features made otherwise.
    """
    found, out = find_videos(videos), Path(out)
    _keep_record(out, networks)
    _remove_half_written(out)
    todo = {name: path for name, path in found.items() if not _is_done(out, name)}
    report = ExtractReport(resumed=len(found) - len(todo))
    with tqdm(
        total=len(found),
        initial=report.resumed,
        desc="extract",
        unit="video",
        disable=not progress,
    ) as bar:
        for (name, path), prepared in zip(
            todo.items(), _prepared(list(todo.values())), strict=True
        ):
            try:
                inputs = prepared.result()
            except AvvpError as error:
                report.problems.append(str(error))
            else:
                _write(out, name, compute(inputs, networks))
                report.made += 1
                report.notes += [f"{path.name} {note}" for note in inputs.notes]
            bar.update()
    return report


def _prepared(paths: Sequence[Path]) -> Iterator[Future[Inputs]]:
    """The inputs of each video, the next ones being decoded meanwhile."""
    workers = min(os.cpu_count() or 1, 8)
    pool, waiting = ThreadPoolExecutor(workers), deque()
    try:
        for path in paths:
            waiting.append(pool.submit(prepare, path))
            if len(waiting) > workers:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(cancel_futures=True)


def _keep_record(out: Path, networks: Networks) -> None:
    """Note how the features of a folder are made; refuse a folder whose features were made else."""
    record = {"recipe": RECIPE, "weights": dict(networks.sha256)}
    path = out / RECORD
    if path.exists():
        try:
            same = json.loads(path.read_text("utf-8")) == record
        except ValueError:  # no JSON, or no UTF-8
            same = False
        if not same:
            raise AvvpError(
                f"{path} says that the features there were made with other weights or by another "
                "version of the recipe; name another folder with --out, or remove this one."
            )
        return
    for folder, _ in FOLDERS.values():
        if any((out / folder).glob("*.npy")):
            raise AvvpError(
                f"{out / folder} holds features that were made elsewhere; name another folder with "
                "--out, so that they are not mixed."
            )
    write_text(path, json.dumps(record, indent=2) + "\n")


def _remove_half_written(out: Path) -> None:
    """Remove what a killed command was writing at that moment."""
    for folder, _ in FOLDERS.values():
        for path in (out / folder).glob(".*.npy.*.part"):
            path.unlink()


def _files(out: Path, name: str) -> dict[str, Path]:
    return {stream: out / folder / f"{name}.npy" for stream, (folder, _) in FOLDERS.items()}


def _is_done(out: Path, name: str) -> bool:
    try:
        for stream, path in _files(out, name).items():
            read_array(path, FOLDERS[stream][1])
    except (OSError, ValueError):
        return False
    return True


def _write(out: Path, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    for stream, path in _files(out, name).items():
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, arrays[stream])
