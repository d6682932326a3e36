"""One HDF5 file a data set: complete or not there, and checked whenever it is read.

Layout, schema version 1: attributes ``schema``, ``schema_version``, ``provenance`` (JSON); a
dataset ``fingerprint``; a group each of ``train``, ``val`` and ``test`` with N videos::

    ids         (N,)           UTF-8, the full filename
    audio       (N, 10, 128)   float32
    visual_2d   (N, 10, 2048)  float32, the 8 frames of a second averaged
    visual_3d   (N, 10, 512)   float32
    weak        (N, 25)        bool
    true_audio  (N, 25, 10)    bool, where seconds were annotated
    true_visual (N, 25, 10)    bool, likewise
    digest      (N, 32)        SHA-256 of all that the file says about a video

The fingerprint is the SHA-256 of schema version, provenance and digests. Opening a file checks it;
reading a video checks its digest; HDF5 checks its own bookkeeping: no changed byte goes unnoticed.
Every dataset is contiguous, so that a stretch of videos is one stretch of bytes.

:func:`read_split` gives a split, resident or streamed, and samples one with
:func:`avvp.data.annotations.take_first_by_hash`; :func:`describe` says what is in a file;
:func:`avvp.data.store_writer.write_videos` writes one.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import torch
from torch import Tensor
from tqdm import tqdm

from avvp.data.annotations import AnnotatedSplit, Split, take_first_by_hash
from avvp.data.videos import Batch, Videos, shuffled
from avvp.devices import choose_device
from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS

SCHEMA = "avvp"
SCHEMA_VERSION = 1
SUFFIXES = (".h5", ".hdf5")
"""How the name of a data file ends."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")
FEATURES: dict[str, int] = {"audio": 128, "visual_2d": 2048, "visual_3d": 512}
"""The three streams and their widths."""

VIDEO_BYTES = 4 * SEGMENTS * sum(FEATURES.values())
"""Bytes of the features of one video."""

CHUNK = 2048
"""Videos that are shuffled together, resident or streamed: 220 MB."""

BLOCK = 256
"""Videos written or checked at a time: 28 MB."""

RESIDENT_SHARE = 0.5
"""A split stays in memory when it takes no more than this share of what is free."""

DIGEST_BYTES = 32
DAMAGED = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError)
"""What h5py raises on a file that is not as it should be: it has no exception of its own."""


def shapes_of(*, annotated: bool) -> dict[str, tuple[int, ...]]:
    """Array -> shape of what a file holds of a video, with masks of seconds if ``annotated``."""
    shapes = {name: (SEGMENTS, width) for name, width in FEATURES.items()} | {"weak": (CLASSES,)}
    masks = ("true_audio", "true_visual") if annotated else ()
    return shapes | dict.fromkeys(masks, (CLASSES, SEGMENTS))


def digest_of(labels: AnnotatedSplit, n: int, features: Mapping[str, np.ndarray]) -> bytes:
    """SHA-256 of everything about video ``n``; ``features`` are its own three arrays."""
    digest = hashlib.sha256(labels.ids[n].encode() + b"\0")
    for name in FEATURES:
        digest.update(np.ascontiguousarray(features[name], "<f4"))
    for mask in (labels.weak, labels.audio, labels.visual):
        if mask is not None:
            digest.update(mask[n].numpy())
    return digest.digest()


def fingerprint_of(provenance: str, digests: Mapping[Split, np.ndarray]) -> str:
    """SHA-256 of what determines a file: provenance as stored, digests (N, 32) of each split."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "provenance": provenance,
        "splits": {name: hashlib.sha256(rows).hexdigest() for name, rows in digests.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_limit(limit: int | None) -> None:
    """Refuse a number of videos to take that is none.

    Raises:
        AvvpError: it is below 1, or no whole number.
    """
    if limit is not None and (not isinstance(limit, Integral) or limit < 1):
        raise AvvpError(
            f"limit is {limit!r}; it must be a whole number from 1 on, or None for all."
        )


def check_name(path: Path) -> None:
    """Refuse a file that could be written, and then not be trained on.

    Raises:
        AvvpError: it has none of :data:`SUFFIXES`.
    """
    if path.suffix not in SUFFIXES:
        raise AvvpError(
            f"{path} is no name of a data file; it must end in {' or '.join(SUFFIXES)}."
        )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file; whatever h5py meets in it becomes one sentence."""
    if not path.is_file():
        raise AvvpError(f"there is no data file {path}; make one with 'avvp data import'.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except AvvpError:
        raise
    except PermissionError:
        raise AvvpError(
            f"{path} can't be read (Permission denied); change that, or name another file."
        ) from None
    except DAMAGED as error:
        raise AvvpError(
            f"{path} is damaged, truncated or no HDF5 file of avvp ({type(error).__name__} while "
            "reading it); import or simulate it again."
        ) from error


def _check(path: Path, file: h5py.File) -> None:
    """Refuse a file of another schema, an unfinished one and one whose fingerprint differs."""
    if file.attrs.get("schema") != SCHEMA:
        raise AvvpError(f"{path} was not written by avvp; make one with 'avvp data import'.")
    version = file.attrs["schema_version"]
    if version != SCHEMA_VERSION:
        raise AvvpError(
            f"{path} has schema version {version} and this avvp reads version {SCHEMA_VERSION}; "
            "import or simulate it again."
        )
    stored = file["fingerprint"][()].decode("ascii", "replace")
    if not stored:
        raise AvvpError(f"{path} was not finished; run the same import again to go on with it.")
    for name in _splits_of(file):
        group = file[name]
        shapes = shapes_of(annotated="true_audio" in group) | {"digest": (DIGEST_BYTES,)}
        for key, shape in shapes.items():
            expected = (len(group["ids"]), *shape)
            if group[key].shape != expected:
                raise AvvpError(
                    f"{path}: {name}/{key} is {group[key].shape}, expected {expected}; import or "
                    "simulate it again."
                )
    digests = {name: file[name]["digest"][...] for name in _splits_of(file)}
    if fingerprint_of(file.attrs["provenance"], digests) != stored:
        raise AvvpError(
            f"{path} was changed after it was written (provenance or digests do not match the "
            "fingerprint); import or simulate it again."
        )


def _splits_of(file: h5py.File) -> list[Split]:
    return [name for name in SPLITS if name in file]


def _labels_of(group: h5py.Group) -> AnnotatedSplit:
    ids = tuple(video.decode() for video in group["ids"][...].tolist())
    masks = [
        torch.from_numpy(group[name][...]) if name in group else None
        for name in ("weak", "true_audio", "true_visual")
    ]
    return AnnotatedSplit(ids, *masks)


def read_rows(
    dataset: h5py.Dataset, rows: np.ndarray, into: np.ndarray | None = None
) -> np.ndarray:
    """The ``rows`` (n,) of a dataset, ascending, stretch by stretch: h5py's own is slow."""
    values = np.empty((len(rows), *dataset.shape[1:]), dataset.dtype) if into is None else into
    start = 0
    for stretch in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        if len(stretch):
            stop = start + len(stretch)
            dataset.read_direct(values, np.s_[stretch[0] : stretch[-1] + 1], np.s_[start:stop])
            start = stop
    return values


def _read_checked(
    path: Path, group: h5py.Group, labels: AnnotatedSplit, digests: np.ndarray, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """The features of ``rows`` (ascending); ``labels`` and ``digests`` are of these rows alone."""
    features = {
        name: np.empty((len(rows), SEGMENTS, width), np.float32) for name, width in FEATURES.items()
    }
    for start in range(0, len(rows), BLOCK):
        block = slice(start, min(start + BLOCK, len(rows)))
        for name, values in features.items():
            read_rows(group[name], rows[block], values[block])
        for n in range(block.start, block.stop):
            row = {name: values[n] for name, values in features.items()}
            if digest_of(labels, n, row) != digests[n].tobytes():
                raise AvvpError(
                    f"{path}: what it says about video {labels.ids[n]} was changed after it was "
                    "written (its digest differs); import or simulate it again."
                )
    return features


def available_memory(device: str | torch.device) -> int:
    """Bytes that are free where tensors of ``device`` live."""
    query = getattr(torch.get_device_module(device), "mem_get_info", None)
    return psutil.virtual_memory().available if query is None else query(device)[0]


def read_split(
    path: str | Path,
    split: Split,
    *,
    limit: int | None = None,
    device: str | torch.device = "cpu",
    resident: bool | None = None,
    chunk: int | None = CHUNK,
) -> "Videos | StreamedVideos":
    """Read one split of a file.

    Args:
        path: the ``.h5`` file.
        split: ``"train"``, ``"val"`` or ``"test"``.
        limit: take so many videos, picked by the hash of their names; None takes all.
        device: where the tensors, or the batches of a streamed split, shall be.
        resident: keep the split in memory, or stream it; None decides by :data:`RESIDENT_SHARE`.
            Batches are the same either way.
        chunk: videos that are shuffled together, see :func:`avvp.data.videos.shuffled`.

    Raises:
        AvvpError: the file, split or device is not there, the file is of another version,
            truncated or changed, may not be read, or ``limit`` is below 1.
    """
    path = Path(path)
    check_limit(limit)
    device = choose_device(str(device))
    with _opened(path) as file:
        _check(path, file)
        if split not in file:
            raise AvvpError(f"{path} has no split {split!r}; it has {', '.join(_splits_of(file))}.")
        labels, digests = _labels_of(file[split]), file[split]["digest"][...]
        rows = np.arange(len(labels))
        if limit is not None and limit < len(labels):
            rows = take_first_by_hash(labels.ids, limit).numpy()
            labels, digests = labels.rows(torch.from_numpy(rows)), digests[rows]
        if resident is None:
            resident = len(rows) * VIDEO_BYTES <= RESIDENT_SHARE * available_memory(device)
        if resident:
            features = _read_checked(path, file[split], labels, digests, rows)
    if not resident:
        return StreamedVideos(path, split, rows, digests, labels, torch.device(device), chunk)
    return Videos(
        labels.ids,
        **{name: torch.from_numpy(values) for name, values in features.items()},
        weak=labels.weak,
        true_audio=labels.audio,
        true_visual=labels.visual,
        fingerprint=_short(digests),
        chunk=chunk,
    ).to(device)


def _short(digests: np.ndarray) -> str:
    """The fingerprint of some videos: the first 16 digits of the SHA-256 of their digests."""
    return hashlib.sha256(digests).hexdigest()[:16]


@dataclass(frozen=True)
class StreamedVideos:
    """A split that stays on disk: labels and batches of :class:`avvp.data.videos.Videos`.

    At most three chunks are in memory: the one that batches come from, the one that a batch reaches
    into, and the one that is read ahead.

    Attributes:
        path, split: where the features are.
        file_rows: (N,) rows of the file.
        digests: (N, 32) what their content must hash to.
        labels: names, weak labels and masks of the N videos.
        device: where batches go.
        chunk: videos that are read and shuffled together; None: all of them.
    """

    path: Path
    split: Split
    file_rows: np.ndarray
    digests: np.ndarray
    labels: AnnotatedSplit
    device: torch.device
    chunk: int | None = CHUNK

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ids(self) -> tuple[str, ...]:
        """The full ``filename`` of each video."""
        return self.labels.ids

    @property
    def weak(self) -> Tensor:
        """(N, C) bool, the weak labels."""
        return self.labels.weak

    @property
    def true_audio(self) -> Tensor | None:
        """(N, C, T) bool, or None where nobody annotated seconds."""
        return self.labels.audio

    @property
    def true_visual(self) -> Tensor | None:
        """(N, C, T) bool, or None where nobody annotated seconds."""
        return self.labels.visual

    @property
    def fingerprint(self) -> str:
        """That of the same split when it is resident."""
        return _short(self.digests)

    def to(self, device: str | torch.device) -> "StreamedVideos":
        """The same split with batches on another device."""
        return replace(self, device=torch.device(device))

    def rows(self, index: Tensor) -> Batch:
        """The videos at ``index`` (B,), in that order, read from the file."""
        index = index.cpu()
        ascending, places = torch.unique(index, return_inverse=True)
        features = self._read(ascending.numpy())
        return self._batch(index, [features[name][places] for name in FEATURES])

    def batches(
        self, *, batch_size: int, generator: torch.Generator | None = None, skip: int = 0
    ) -> Iterator[Batch]:
        """The pass that :meth:`avvp.data.videos.Videos.batches` makes over a resident split."""
        chunk = self.chunk or len(self)
        if generator is None:
            order = torch.arange(len(self))
        else:
            order = shuffled(len(self), chunk=self.chunk, generator=generator)
        visits = torch.unique_consecutive(order[skip * batch_size :] // chunk)
        chunks = self._read_ahead(visits.tolist(), chunk)
        number, features = -1, {}
        for index in list(order.split(batch_size))[skip:]:
            parts = []
            visited, counts = torch.unique_consecutive(index // chunk, return_counts=True)
            for wanted, part in zip(visited.tolist(), index.split(counts.tolist()), strict=True):
                if wanted != number:
                    number, features = next(chunks)
                parts.append([features[name][part - number * chunk] for name in FEATURES])
            yield self._batch(index, [torch.cat(pieces) for pieces in zip(*parts, strict=True)])

    def _read_ahead(
        self, numbers: list[int], chunk: int
    ) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The features of whole chunks, of which the next is read while one is in use."""
        with ThreadPoolExecutor(max_workers=1) as reader:

            def request(number: int) -> Future[dict[str, Tensor]]:
                rows = np.arange(number * chunk, min((number + 1) * chunk, len(self)))
                return reader.submit(self._read, rows)

            pending = request(numbers[0]) if numbers else None
            for place, number in enumerate(numbers):
                features = pending.result()
                if place + 1 < len(numbers):
                    pending = request(numbers[place + 1])
                yield number, features

    def _read(self, rows: np.ndarray) -> dict[str, Tensor]:
        labels = self.labels.rows(torch.from_numpy(rows))
        with _opened(self.path) as file:
            features = _read_checked(
                self.path, file[self.split], labels, self.digests[rows], self.file_rows[rows]
            )
        return {name: torch.from_numpy(values) for name, values in features.items()}

    def _batch(self, index: Tensor, features: list[Tensor]) -> Batch:
        return Batch(*(x.to(self.device) for x in (index, *features, self.weak[index])))


@dataclass(frozen=True)
class SplitDescription:
    """What a file says about one split."""

    videos: int
    annotated: bool  #: by the second
    fingerprint: str
    class_counts: tuple[int, ...]  #: videos with each weak label


@dataclass(frozen=True)
class Description:
    """What a file says about itself."""

    path: Path
    bytes: int
    schema_version: int
    fingerprint: str
    provenance: dict[str, Any]
    splits: dict[Split, SplitDescription]


def describe(path: str | Path, *, check: bool = True, progress: bool = False) -> Description:
    """Describe a file; with ``check`` every video is read and compared with its digest."""
    path = Path(path)
    with _opened(path) as file:
        _check(path, file)
        splits = {}
        for name in _splits_of(file):
            labels, digests = _labels_of(file[name]), file[name]["digest"][...]
            starts = range(0, len(labels), BLOCK) if check else ()
            for start in tqdm(starts, desc=f"check {name}", disable=not progress, leave=False):
                rows = np.arange(start, min(start + BLOCK, len(labels)))
                part = labels.rows(torch.from_numpy(rows))
                _read_checked(path, file[name], part, digests[rows], rows)
            splits[name] = SplitDescription(
                len(labels),
                labels.audio is not None,
                _short(digests),
                tuple(labels.weak.sum(0).tolist()),
            )
        return Description(
            path,
            path.stat().st_size,
            int(file.attrs["schema_version"]),
            file["fingerprint"][()].decode(),
            json.loads(file.attrs["provenance"]),
            splits,
        )
