"""Write the file that :mod:`avvp.data.store` reads, so that no interruption can spoil it.

HDF5 lays the file out and is closed before the first video. The rest is written by plain file
operations into space that is reserved beforehand: HDF5 itself does not survive a full disk, and a
kill in the middle of its bookkeeping leaves a file that nobody can open. The fingerprint comes
last, and without it a file is refused.
"""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from avvp.atomic import atomic_path
from avvp.data.annotations import AnnotatedSplit, Split
from avvp.data.store import (
    BLOCK,
    DAMAGED,
    DIGEST_BYTES,
    FEATURES,
    SCHEMA,
    SCHEMA_VERSION,
    SPLITS,
    VIDEO_BYTES,
    check_name,
    digest_of,
    fingerprint_of,
    read_rows,
    shapes_of,
)
from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS

_BOOKKEEPING = 1 << 20  # bytes, more than HDF5's own takes


def write_videos(
    path: str | Path, splits: Mapping[Split, Videos], provenance: Mapping[str, Any]
) -> str:
    """Write resident splits to one file, completely or not at all.

    Args:
        path: the ``.h5`` file; one that is there is replaced.
        splits: split -> videos, with pooled ``visual_2d``; not every split need be there.
        provenance: where the data comes from: names and anything that JSON can hold, such as
            ``{"source": "my videos"}``.

    Returns:
        the fingerprint of the file.

    Raises:
        AvvpError: ``path`` does not end as a data file does, ``provenance`` is no such mapping,
            there is no split or one of another name, a video has no name or stands there twice, an
            array has another shape or type or is not finite, one of the two masks is missing, or
            the disk has not the space.
    """
    check_name(Path(path))
    _check_provenance(provenance)
    _check_names(splits)
    labels = {}
    for name, videos in splits.items():
        _check_arrays(name, videos)
        masks = (videos.weak, videos.true_audio, videos.true_visual)
        labels[name] = AnnotatedSplit(
            videos.ids, *(None if mask is None else mask.cpu().contiguous() for mask in masks)
        )
    with atomic_path(path) as temporary, StoreWriter.create(temporary, labels, provenance) as file:
        for name, videos in splits.items():
            for start in range(0, len(videos), BLOCK):
                rows = slice(start, start + BLOCK)
                file.write(
                    name, start, {s: getattr(videos, s)[rows].cpu().numpy() for s in FEATURES}
                )
        return file.finish()


class StoreWriter:
    """Fills a file block by block; :meth:`reopen` goes on with one that was cut off.

    Attributes:
        digests: split -> (N, 32); a row of zeros is a video that has not been written.
    """

    def __init__(self, path: Path, splits: Mapping[Split, AnnotatedSplit]) -> None:
        self._path = path
        self._splits = splits
        with h5py.File(path, "r") as file:
            self._provenance = file.attrs["provenance"]
            self._fingerprint_place = file["fingerprint"].id.get_offset()
            self._places = {
                f"{split}/{name}": (file[split][name].id.get_offset(), stride)
                for split in splits
                for name, stride in (
                    *((s, 4 * SEGMENTS * width) for s, width in FEATURES.items()),
                    ("digest", DIGEST_BYTES),
                )
            }
            self.digests = {split: file[split]["digest"][...] for split in splits}
        self._file = path.open("r+b", buffering=0)

    @classmethod
    def create(
        cls, path: Path, splits: Mapping[Split, AnnotatedSplit], provenance: Mapping[str, Any]
    ) -> "StoreWriter":
        """Lay out a new file at ``path`` and reserve its space.

        Raises:
            AvvpError: a split is empty, or the disk has not the space.
        """
        for name, split in splits.items():
            if not len(split):
                raise AvvpError(f"no video is left in {name}; a data file needs one in each split.")
        path.write_bytes(b"")
        _reserve(path, _BOOKKEEPING + sum(_bytes_of(split) for split in splits.values()))
        # The upper bound on the format keeps checksums in HDF5's bookkeeping, without the mark of
        # newer formats that locks a file whose writer was killed.
        with h5py.File(path, "w", libver=("v108", "v108")) as file:
            file.attrs["schema"] = SCHEMA
            file.attrs["schema_version"] = SCHEMA_VERSION
            file.attrs["provenance"] = _json(provenance)
            file.create_dataset("fingerprint", data=np.zeros((), "S64"))
            for name, split in splits.items():
                _lay_out(file.create_group(name), split)
        _reserve(path, path.stat().st_size)
        return cls(path, splits)

    @classmethod
    def reopen(
        cls, path: Path, splits: Mapping[Split, AnnotatedSplit], provenance: Mapping[str, Any]
    ) -> "StoreWriter | None":
        """Go on with an unfinished file; None where there is none for the same videos."""
        if not path.is_file():
            return None
        try:
            with h5py.File(path, "r") as file:
                if (
                    file.attrs["schema_version"] != SCHEMA_VERSION
                    or file.attrs["provenance"] != _json(provenance)
                    or any(
                        file[name]["ids"][...].tolist() != [video.encode() for video in split.ids]
                        for name, split in splits.items()
                    )
                ):
                    return None
            writer = cls(path, splits)
            writer._forget_torn_rows()
        except DAMAGED:
            return None
        return writer

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(
        self,
        split: Split,
        start: int,
        features: Mapping[str, np.ndarray],
        kept: np.ndarray | None = None,
    ) -> None:
        """Write n videos from row ``start`` of a split on.

        Args:
            split: the split.
            start: row of the first one.
            features: stream -> (n, 10, width) float32.
            kept: (n,) bool, the videos that count as written; None: all.
        """
        count = len(next(iter(features.values())))
        digests = np.zeros((count, DIGEST_BYTES), np.uint8)
        for n in range(count) if kept is None else np.flatnonzero(kept):
            row = {name: values[n] for name, values in features.items()}
            digest = digest_of(self._splits[split], start + n, row)
            digests[n] = np.frombuffer(digest, np.uint8)
        for name, values in features.items():
            self._put(f"{split}/{name}", start, np.ascontiguousarray(values, "<f4"))
        # A digest says that the video is there, so it comes after the video.
        self._put(f"{split}/digest", start, digests)
        self.digests[split][start : start + count] = digests

    def unwritten(self, split: Split) -> np.ndarray:
        """(N,) bool: the videos that have not been written."""
        return ~self.digests[split].any(1)

    def finish(self) -> str:
        """Write the fingerprint, which makes the file valid, and return it.

        Raises:
            AvvpError: videos are missing.
        """
        for split in self._splits:
            if self.unwritten(split).any():
                number = int(self.unwritten(split).sum())
                raise AvvpError(f"{self._path} lacks {number} videos of {split}; write them first.")
        os.fsync(self._file.fileno())
        fingerprint = fingerprint_of(self._provenance, self.digests)
        self._file.seek(self._fingerprint_place)
        self._file.write(fingerprint.encode())
        os.fsync(self._file.fileno())
        return fingerprint

    def copy_written(
        self, target: Path, splits: Mapping[Split, AnnotatedSplit], provenance: Mapping[str, Any]
    ) -> str:
        """Finish a new file at ``target`` with the videos that were written, and no others.

        ``splits`` are the labels of these videos.
        """
        with (
            h5py.File(self._path, "r") as file,
            StoreWriter.create(target, splits, provenance) as copy,
        ):
            for name in splits:
                rows = np.flatnonzero(~self.unwritten(name))
                for start in range(0, len(rows), BLOCK):
                    block = rows[start : start + BLOCK]
                    copy.write(name, start, {s: read_rows(file[name][s], block) for s in FEATURES})
            return copy.finish()

    def _put(self, name: str, start: int, values: np.ndarray) -> None:
        place, stride = self._places[name]
        self._file.seek(place + start * stride)
        rest = memoryview(values).cast("B")
        while rest:
            rest = rest[self._file.write(rest) :]

    def _forget_torn_rows(self) -> None:
        """Count a video whose bytes do not match its digest as unwritten."""
        with h5py.File(self._path, "r") as file:
            for name, split in self._splits.items():
                rows = np.flatnonzero(~self.unwritten(name))
                for start in range(0, len(rows), BLOCK):
                    block = rows[start : start + BLOCK]
                    features = {s: read_rows(file[name][s], block) for s in FEATURES}
                    for place, n in enumerate(block.tolist()):
                        row = {s: values[place] for s, values in features.items()}
                        if digest_of(split, n, row) != self.digests[name][n].tobytes():
                            self.digests[name][n] = 0


def _check_provenance(provenance: object) -> None:
    """Refuse what could not be read back as a mapping."""
    if not isinstance(provenance, dict):
        raise AvvpError(
            f"provenance is a {type(provenance).__name__}; expected a mapping, such as "
            "{'source': 'my videos'}."
        )
    try:
        json.dumps(provenance)
    except (TypeError, ValueError) as error:
        raise AvvpError(
            f"provenance can't be written as JSON ({error}); use text, numbers, lists and mappings."
        ) from None


def _check_names(splits: Mapping[Split, Videos]) -> None:
    """Refuse splits that are never looked for, and videos that can't be told apart by name."""
    odd = [name for name in splits if name not in SPLITS]
    if odd or not splits:
        told = f"no split is called {odd[0]!r}" if odd else "there is no split to write"
        raise AvvpError(f"{told}; a data file holds {', '.join(SPLITS)}, or some of them.")
    seen: dict[str, str] = {}
    for name, videos in splits.items():
        for row, video in enumerate(videos.ids):
            if not isinstance(video, str) or not video.strip() or not video.isprintable():
                raise AvvpError(
                    f"ids of {name}: row {row} is {video!r}; every video needs a name to write it."
                )
            if video in seen:
                raise AvvpError(
                    f"ids of {name}: row {row} is {video}, which stands in {seen[video]} already; "
                    "remove one of the two."
                )
            seen[video] = name


def _check_arrays(name: Split, videos: Videos) -> None:
    """Refuse arrays that the reader would refuse, or nobody could train on."""
    lacking = [mask for mask in ("true_audio", "true_visual") if getattr(videos, mask) is None]
    if len(lacking) == 1:
        raise AvvpError(f"{name} has no {lacking[0]}; give both masks of seconds, or neither.")
    for array, shape in shapes_of(annotated=not lacking).items():
        values, expected = getattr(videos, array), (len(videos), *shape)
        if tuple(values.shape) != expected:
            raise AvvpError(
                f"{array} of {name} is {tuple(values.shape)}; expected {expected} to write it."
            )
        kind = torch.float32 if array in FEATURES else torch.bool
        if values.dtype != kind:
            raise AvvpError(f"{array} of {name} is {values.dtype}; expected {kind} to write it.")
    for stream in FEATURES:
        # Block by block: at once it would take as much memory again.
        for start in range(0, len(videos), BLOCK):
            block = getattr(videos, stream)[start : start + BLOCK]
            finite = block.isfinite().flatten(1).all(1).tolist()
            if not all(finite):
                video = videos.ids[start + finite.index(False)]
                raise AvvpError(
                    f"{stream} of {name} holds values that are not finite, the first of them in "
                    f"video {video}; leave it out, or repair it."
                )


def _json(provenance: Mapping[str, Any]) -> str:
    return json.dumps(provenance, sort_keys=True, ensure_ascii=False)


def _bytes_of(split: AnnotatedSplit) -> int:
    masks = 0 if split.audio is None else 2 * CLASSES * SEGMENTS
    name = max(len(video.encode()) for video in split.ids)
    return len(split) * (VIDEO_BYTES + CLASSES + masks + name + DIGEST_BYTES)


def _reserve(path: Path, size: int) -> None:
    """Have the disk keep ``size`` bytes for the file at ``path``."""
    free = shutil.disk_usage(path.parent).free + path.stat().st_blocks * 512
    if free < size:
        raise AvvpError(
            f"{path.parent} has {free / 1e9:.2f} GB free and the file needs {size / 1e9:.2f} GB; "
            "free some space or write elsewhere."
        )
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise AvvpError(
                    f"{path.parent} does not take a file of {size / 1e9:.2f} GB "
                    f"({error.strerror}); free some space or write elsewhere."
                ) from error


def _lay_out(group: h5py.Group, split: AnnotatedSplit) -> None:
    at_once = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    at_once.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    at_once.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    for name, width in FEATURES.items():
        group.create_dataset(name, (len(split), SEGMENTS, width), "<f4", dcpl=at_once)
    group.create_dataset("ids", data=np.array([video.encode() for video in split.ids]))
    group.create_dataset("weak", data=split.weak.numpy())
    if split.audio is not None:
        group.create_dataset("true_audio", data=split.audio.numpy())
        group.create_dataset("true_visual", data=split.visual.numpy())
    group.create_dataset("digest", data=np.zeros((len(split), DIGEST_BYTES), np.uint8))
