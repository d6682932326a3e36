"""Import the released features: three folders of ``.npy`` files and the annotations, one file out.

A folder each for ``vggish`` (10, 128), ``res152`` (80, 2048) and ``r2plus1d_18`` (10, 512), all
float32; the array of a video is named by the first 11 characters of its ``filename``. A few videos
are in memory at a time. What is done is kept in ``FILE.h5.ORIGIN.partial`` beside the target, so
that an import that was killed goes on where it stood and ends with the same bytes. ORIGIN stands
for the folder and the size and time of its files: where these have changed, it starts again.
"""

import glob
import hashlib
import os
import tokenize
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from avvp.atomic import atomic_path, check_file
from avvp.data.annotations import AnnotatedSplit, Annotations, Finding, Split, read_annotations
from avvp.data.store import FEATURES, check_name
from avvp.data.store_writer import StoreWriter
from avvp.errors import AvvpError
from avvp.events import SEGMENTS

FRAMES_PER_SECOND = 8
NAME_LENGTH = 11
"""Characters of ``filename`` that name its feature files: the YouTube id."""

FOLDERS: dict[str, tuple[str, tuple[int, int]]] = {
    "audio": ("vggish", (SEGMENTS, 128)),
    "visual_2d": ("res152", (SEGMENTS * FRAMES_PER_SECOND, 2048)),
    "visual_3d": ("r2plus1d_18", (SEGMENTS, 512)),
}
"""Stream -> released folder and shape of an array."""

_AT_ONCE = 16  # videos between two writes to the partial file


def pool_frames(frames: np.ndarray) -> np.ndarray:
    """Average the 8 frames of each second: (80, D) -> (10, D).

    A linear projection and an average commute, so a network that projects every frame and averages
    afterwards gives the same output from an eighth of the numbers.
    """
    return frames.reshape(-1, FRAMES_PER_SECOND, frames.shape[-1]).mean(axis=1, dtype=np.float32)


class Problem(NamedTuple):
    """A feature file that is missing or damaged."""

    video: str
    file: str  #: relative to the feature folder
    problem: str


class FeatureProblems(AvvpError):
    """Feature files are missing or damaged; ``problems`` names every one."""

    def __init__(self, sentence: str, problems: list[Problem]) -> None:
        super().__init__(sentence)
        self.problems = problems


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        path: the file.
        fingerprint: of the file.
        videos: split -> videos in the file.
        problems: files that were missing or damaged; their videos are left out.
        resumed: videos that an earlier, interrupted import had done.
        idle: rows of the annotations that mark no second.
    """

    path: Path
    fingerprint: str
    videos: dict[Split, int]
    problems: list[Problem] = field(default_factory=list)
    resumed: int = 0
    idle: tuple[Finding, ...] = ()


def read_array(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read a released feature array; C and Fortran order are both fine.

    Raises:
        ValueError: in a few words, what is wrong with the file.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        order = _check_header(file, shape)
        values = np.fromfile(file, "<f4", count=shape[0] * shape[1])
        if len(values) < shape[0] * shape[1]:
            raise ValueError("is truncated")
        if file.read(1):
            raise ValueError("goes on after the end of the array")
    values = values.reshape(shape, order=order)
    if not np.isfinite(values).all():
        raise ValueError("holds values that are not finite")
    return values


def _check_header(file: BinaryIO, shape: tuple[int, int]) -> str:
    # np.load would do, were it not that it reads zip archives and gives five kinds of error.
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        found, fortran, dtype = read(file)
    except (ValueError, KeyError, EOFError, SyntaxError, tokenize.TokenError) as error:
        raise ValueError("is no .npy file, or its header is damaged") from error
    if dtype.hasobject:
        raise ValueError("holds pickled Python objects, which are never loaded")
    if dtype != np.dtype("<f4"):
        raise ValueError(f"is {dtype}, expected float32")
    if found != shape:
        raise ValueError(f"has shape {found}, expected {shape}")
    return "F" if fortran else "C"


def import_features(
    annotations: str | Path,
    features: str | Path,
    out: str | Path,
    *,
    allow_missing: bool = False,
    progress: bool = True,
) -> ImportReport:
    """Make one HDF5 file of annotations and released features.

    Args:
        annotations: folder of the CSV files.
        features: folder that holds ``vggish``, ``res152`` and ``r2plus1d_18``.
        out: the ``.h5`` file to write.
        allow_missing: leave out the videos whose files are missing or damaged, instead of refusing.
        progress: show a bar.

    Raises:
        FeatureProblems: files are missing or damaged and ``allow_missing`` is not set; no file is
            left.
        AvvpError: ``out`` does not end as a data file does or can't be written, a folder is not
            there, two videos would share feature files, or the disk is full.
    """
    features, out = Path(features), Path(out)
    check_name(out)
    check_file(out)
    labelled = read_annotations(annotations)
    _refuse_missing_folders(features)
    _refuse_shared_names(labelled)
    problems = _missing_files(features, labelled)
    splits = {name: _without(split, problems) for name, split in labelled.items()}
    provenance = _provenance(labelled, problems)
    if not allow_missing and not all(len(split) for split in splits.values()):
        raise FeatureProblems(_sentence(problems, features), problems)
    partial = _partial_path(out, features, labelled)
    try:
        writer = StoreWriter.reopen(partial, splits, provenance)
        resumed = 0 if writer is None else sum(int((~writer.unwritten(s)).sum()) for s in splits)
        with writer or StoreWriter.create(partial, splits, provenance) as file:
            damaged = _fill(file, features, splits, resumed=resumed, progress=progress)
            problems = problems + damaged
            if problems and not allow_missing:
                raise FeatureProblems(_sentence(problems, features), problems)
            if damaged:
                splits = {name: _without(split, damaged) for name, split in splits.items()}
                provenance = _provenance(labelled, problems)
                with atomic_path(out) as temporary:
                    fingerprint = file.copy_written(temporary, splits, provenance)
            else:
                fingerprint = file.finish()
        if not damaged:
            partial.replace(out)
    except (OSError, AvvpError):  # a kill or Ctrl-C leaves the partial file to go on with
        partial.unlink(missing_ok=True)
        raise
    partial.unlink(missing_ok=True)
    videos = {name: len(split) for name, split in splits.items()}
    return ImportReport(out, fingerprint, videos, problems, resumed, labelled.report.idle())


def _fill(
    file: StoreWriter,
    features: Path,
    splits: Mapping[Split, AnnotatedSplit],
    *,
    resumed: int,
    progress: bool,
) -> list[Problem]:
    """Write every video that is not there yet; returns the damaged files."""
    problems: list[Problem] = []
    total = sum(len(split) for split in splits.values())
    with tqdm(
        total=total, initial=resumed, desc="import", unit="video", disable=not progress
    ) as bar:
        for name, split in splits.items():
            todo = np.flatnonzero(file.unwritten(name))
            for stretch in np.split(todo, np.flatnonzero(np.diff(todo) != 1) + 1):
                for start in range(0, len(stretch), _AT_ONCE):
                    rows = stretch[start : start + _AT_ONCE].tolist()
                    arrays = {
                        s: np.zeros((len(rows), SEGMENTS, width), np.float32)
                        for s, width in FEATURES.items()
                    }
                    kept = np.zeros(len(rows), bool)
                    for place, n in enumerate(rows):
                        found = _read_video(features, split.ids[n])
                        problems += found if isinstance(found, list) else []
                        kept[place] = isinstance(found, dict)
                        if kept[place]:
                            for stream, values in found.items():
                                arrays[stream][place] = values
                    file.write(name, rows[0], arrays, kept)
                    bar.update(len(rows))
    return problems


def _read_video(features: Path, video: str) -> dict[str, np.ndarray] | list[Problem]:
    """The three arrays of a video, pooled, or what is wrong with its files."""
    arrays: dict[str, np.ndarray] = {}
    problems: list[Problem] = []
    for stream, (folder, shape) in FOLDERS.items():
        name = f"{folder}/{video[:NAME_LENGTH]}.npy"
        try:
            values = read_array(features / name, shape)
        except ValueError as error:
            problems.append(Problem(video, name, str(error)))
        except OSError as error:
            problems.append(Problem(video, name, f"can't be read ({error.strerror})"))
        else:
            arrays[stream] = pool_frames(values) if stream == "visual_2d" else values
    return problems or arrays


def _refuse_missing_folders(features: Path) -> None:
    names = [folder for folder, _ in FOLDERS.values()]
    missing = [name for name in names if not (features / name).is_dir()]
    if missing:
        raise AvvpError(
            f"{features} has no folder {' and no folder '.join(missing)}; name the folder that "
            f"holds {', '.join(names)}, as the HAN repository releases them."
        )


def _refuse_shared_names(labelled: Annotations) -> None:
    users: dict[str, str] = {}
    for split in labelled.values():
        for video in split.ids:
            other = users.setdefault(video[:NAME_LENGTH], video)
            if other != video:
                raise AvvpError(
                    f"{labelled.folder}: the videos {other} and {video} would share the feature "
                    f"files {video[:NAME_LENGTH]}.npy, and the arrays fit one of them at most; "
                    "remove one from the annotations."
                )


def _missing_files(features: Path, labelled: Annotations) -> list[Problem]:
    problems = []
    there = {
        folder: {entry.name for entry in os.scandir(features / folder)}
        for folder, _ in FOLDERS.values()
    }
    for split in labelled.values():
        for video in split.ids:
            name = f"{video[:NAME_LENGTH]}.npy"
            problems += [
                Problem(video, f"{folder}/{name}", "is missing")
                for folder, names in there.items()
                if name not in names
            ]
    return problems


def _without(split: AnnotatedSplit, problems: list[Problem]) -> AnnotatedSplit:
    absent = {problem.video for problem in problems}
    kept = [n for n, video in enumerate(split.ids) if video not in absent]
    return split.rows(torch.tensor(kept, dtype=torch.int64))


def _provenance(labelled: Annotations, problems: list[Problem]) -> dict[str, Any]:
    left_out: dict[str, str] = {}
    for video, file, problem in problems:
        left_out[video] = "; ".join(filter(None, (left_out.get(video), f"{file} {problem}")))
    return {
        "source": "LLP",
        "annotations": labelled.provenance,
        "features": [folder for folder, _ in FOLDERS.values()],
        "frames": f"{FRAMES_PER_SECOND} a second, averaged",
        "left_out": left_out,
    }


def _partial_path(out: Path, features: Path, labelled: Annotations) -> Path:
    """Where an import of these files keeps what it has done; removes those of others."""
    out.parent.mkdir(parents=True, exist_ok=True)
    origin = _origin(features, labelled)
    path = out.with_name(f"{out.name}.{origin}.partial")
    for other in out.parent.glob(f"{glob.escape(out.name)}.{'[0-9a-f]' * 8}.partial"):
        if other != path:
            other.unlink()
    return path


def _origin(features: Path, labelled: Annotations) -> str:
    """Eight digits that change with the folder and with the size or time of a file in use."""
    used = {f"{video[:NAME_LENGTH]}.npy" for split in labelled.values() for video in split.ids}
    digest = hashlib.sha256(str(features.resolve()).encode())
    for folder, _ in FOLDERS.values():
        for entry in sorted(os.scandir(features / folder), key=lambda entry: entry.name):
            if entry.name in used:
                with suppress(OSError):  # a link to nothing; reading it names the file
                    there = entry.stat()
                    line = f"{folder}/{entry.name} {there.st_size} {there.st_mtime_ns}\n"
                    digest.update(line.encode())
    return digest.hexdigest()[:8]


def _sentence(problems: list[Problem], features: Path) -> str:
    videos = len({problem.video for problem in problems})
    first = problems[0]
    return (
        f"{features}: {len(problems)} feature files of {videos} videos are missing or damaged, the "
        f"first being {first.file}, which {first.problem}; restore them, or leave these videos out "
        "with --allow-missing."
    )
