"""Read the LLP annotations: five tab-separated files, every oddity of which is reported.

``AVVP_train.csv``, ``AVVP_val_pd.csv`` and ``AVVP_test_pd.csv`` list the videos and their weak
labels (``filename``, ``event_labels``); ``AVVP_eval_audio.csv`` and ``AVVP_eval_visual.csv`` list
what is heard and what is seen, second by second, in the validation and test videos (``filename``,
``onset``, ``offset``, ``event_labels``). A sixth file, ``AVVP_dataset_full.csv``, repeats the first
three and is compared with them where it is there.

Two versions of the audio file circulate. The one of the HAN release repairs three rows whose
``filename`` is damaged in the copies that MA, MGN and Cross-Modal learning ship. Both are read;
``Annotations.audio_version`` says which one it was, judged by content.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from avvp.errors import AvvpError
from avvp.events import CLASSES, LABELS, SEGMENTS

Split = Literal["train", "val", "test"]
AudioVersion = Literal["corrected", "uncorrected", "unrecognised"]

WEAK_FILES: dict[Split, str] = {
    "train": "AVVP_train.csv",
    "val": "AVVP_val_pd.csv",
    "test": "AVVP_test_pd.csv",
}
AUDIO_FILE = "AVVP_eval_audio.csv"
VISUAL_FILE = "AVVP_eval_visual.csv"
FULL_FILE = "AVVP_dataset_full.csv"
REQUIRED_FILES = (*WEAK_FILES.values(), AUDIO_FILE, VISUAL_FILE)

WEAK_COLUMNS = ("filename", "event_labels")
DENSE_COLUMNS = ("filename", "onset", "offset", "event_labels")

CONSEQUENCES: dict[str, str] = {
    "empty row": "onset equals offset: the row marks no second",
    "reversed row": "onset after offset: the row marks no second, as in the released code",
    "orphan row": "no validation or test video has this name: the row is used nowhere",
    "misnamed row": "an orphan whose name is a class or holds a stray backtick: the event it "
    "describes is missing from the video it belongs to",
    "repeated row": "the same row stands there twice: it counts once",
    "overlapping rows": "two rows of one video and class share seconds: they merge into one event",
    "touching rows": "one row ends where the next begins: they merge into one event",
    "doubled label": "a weak label is listed twice: it counts once",
    "dense without weak": "heard or seen, but absent from the weak labels: kept on both sides",
    "weak without dense": "a weak label that is neither heard nor seen: kept on both sides",
    "nothing heard": "no second of audio is annotated: scored 1 where nothing is predicted",
    "nothing seen": "no second of video is annotated: scored 1 where nothing is predicted",
    "fractional window": "the clip starts at a fraction of a second: the name has a decimal point",
    "differs from the full list": "the full list names other labels or lacks the video: the "
    "split's own file counts",
    "only in the full list": "the full list has a video that no split has: it is used nowhere",
}
"""Every kind of oddity, and what it means for the masks that :func:`read_annotations` returns."""

REPAIRED = (("JfZEqeLZqWk_30_40", "Speech"), ("KvIjsmANkxI_10_20", "Cat"))
"""The test videos and classes that the HAN release repaired. Both are heard from the start; in the
other version no row says so, because the rows that do carry damaged names."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_INDEX = {label: c for c, label in enumerate(LABELS)}


class Finding(NamedTuple):
    """One oddity: where it stands, what it is, and what it says."""

    file: str  #: name of the CSV file
    row: int  #: line in that file; the header is line 1
    kind: str  #: a key of CONSEQUENCES
    video: str  #: the filename in that row
    detail: str


@dataclass(frozen=True)
class Report:
    """Everything odd that :func:`read_annotations` met, in the order of the files."""

    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def of(self, kind: str, *, file: str | None = None) -> tuple[Finding, ...]:
        """The findings of one kind, optionally of one file.

        Raises:
            AvvpError: there is no such kind.
        """
        if kind not in CONSEQUENCES:
            raise AvvpError(f"no kind of finding is called {kind!r}; see CONSEQUENCES.")
        return tuple(f for f in self.findings if f.kind == kind and file in (None, f.file))

    def idle(self) -> tuple[Finding, ...]:
        """The rows that mark no second, each once: empty, reversed, or of no annotated video."""
        kinds = ("empty row", "reversed row", "orphan row")
        rows: dict[tuple[str, int], Finding] = {}
        for finding in self.findings:
            if finding.kind in kinds:
                rows.setdefault((finding.file, finding.row), finding)
        return tuple(rows.values())

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each (kind, file) occurs, in the order of CONSEQUENCES."""
        counted = Counter((f.kind, f.file) for f in self.findings)
        order = list(CONSEQUENCES)
        return dict(sorted(counted.items(), key=lambda item: (order.index(item[0][0]), item[0][1])))


@dataclass(frozen=True)
class AnnotatedSplit:
    """The annotations of one split of N videos.

    Attributes:
        ids: the full ``filename`` of each video, in the order of the file.
        weak: (N, C) bool, the weak labels.
        audio, visual: (N, C, T) bool, heard and seen in each second; None for train.
    """

    ids: tuple[str, ...]
    weak: Tensor
    audio: Tensor | None
    visual: Tensor | None

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, index: Tensor) -> "AnnotatedSplit":
        """The videos at ``index`` (B,), in that order."""
        return AnnotatedSplit(
            tuple(self.ids[n] for n in index.tolist()),
            self.weak[index],
            None if self.audio is None else self.audio[index],
            None if self.visual is None else self.visual[index],
        )


def take_first_by_hash(ids: Sequence[str], count: int) -> Tensor:
    """Rows of the ``count`` videos whose names have the smallest SHA-256, in ascending order.

    A sample that depends on nothing but the names: a smaller one is part of a larger one, and the
    order of the file does not matter. With ``count`` >= N it is every row.
    """
    order = sorted(range(len(ids)), key=lambda n: hashlib.sha256(ids[n].encode()).digest())
    return torch.tensor(sorted(order[:count]), dtype=torch.int64)


class Annotations(dict[Split, AnnotatedSplit]):
    """The three splits, with where they come from and what was odd.

    Attributes:
        folder: where the files were read.
        report: every oddity.
        audio_version: which of the two circulating audio files it was; ``"unrecognised"`` where
            neither of the rows that tell them apart is as in either version.
        sha256: file name -> SHA-256 of its bytes.
    """

    def __init__(
        self,
        splits: dict[Split, AnnotatedSplit],
        *,
        folder: Path,
        report: Report,
        audio_version: AudioVersion,
        sha256: dict[str, str],
    ) -> None:
        super().__init__(splits)
        self.folder = folder
        self.report = report
        self.audio_version: AudioVersion = audio_version
        self.sha256 = sha256

    @property
    def provenance(self) -> dict[str, object]:
        """What a result or a data file records about the annotations it was made from."""
        return {"audio_version": self.audio_version, "sha256": self.sha256}


def find_annotations() -> Path | None:
    """The annotation folder on this machine: ``AVVP_ANNOTATIONS``, else ``annotations`` here."""
    folder = Path(os.environ.get("AVVP_ANNOTATIONS", "annotations"))
    return folder if (folder / AUDIO_FILE).is_file() else None


class Row(NamedTuple):
    """A row of a table: its line in the file, where the header is line 1, and its fields."""

    line: int
    values: tuple[str, ...]


def read_annotations(folder: str | Path) -> Annotations:
    """Read the annotation files of LLP.

    Args:
        folder: the folder of the CSV files, as released (``data/`` of the HAN repository).

    Returns:
        a dict of ``"train"``, ``"val"`` and ``"test"``, with ``report``, ``audio_version`` and
        ``provenance``. Rows that mark nothing or match no video change no mask and are in the
        report; overlapping rows are united.

    Raises:
        AvvpError: a file or column is missing, the separator is wrong, a class is unknown, a
            time is no whole second from 0 to 10, or a video is listed twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AvvpError(
            f"there is no annotation folder {folder}; name the folder that holds "
            f"{', '.join(REQUIRED_FILES)}, or fetch it with 'avvp data download'."
        )
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    if missing:
        raise AvvpError(
            f"{folder} lacks {', '.join(missing)}; the five annotation files are needed, and "
            "'avvp data download' fetches them."
        )
    findings: list[Finding] = []
    sha256: dict[str, str] = {}
    listed: dict[Split, dict[str, _Weak]] = {}
    for split, name in WEAK_FILES.items():
        rows = read_rows(folder / name, WEAK_COLUMNS, sha256)
        listed[split] = _weak_labels(folder / name, rows, findings)
    _refuse_shared_videos(folder, listed)

    annotated = {
        video: (split, n) for split in ("val", "test") for n, video in enumerate(listed[split])
    }
    masks: dict[str, dict[Split, Tensor]] = {}
    for name in (AUDIO_FILE, VISUAL_FILE):
        rows = read_rows(folder / name, DENSE_COLUMNS, sha256)
        masks[name] = {
            split: torch.zeros(len(listed[split]), CLASSES, SEGMENTS, dtype=torch.bool)
            for split in ("val", "test")
        }
        _mark_seconds(folder / name, rows, annotated, masks[name], findings)

    splits: dict[Split, AnnotatedSplit] = {}
    for split, videos in listed.items():
        weak = torch.zeros(len(videos), CLASSES, dtype=torch.bool)
        for n, video in enumerate(videos.values()):
            weak[n, [_INDEX[label] for label in video.labels]] = True
        splits[split] = AnnotatedSplit(
            tuple(videos), weak, masks[AUDIO_FILE].get(split), masks[VISUAL_FILE].get(split)
        )
    for split in ("val", "test"):
        _compare_weak_and_dense(WEAK_FILES[split], listed[split], splits[split], findings)
    if (folder / FULL_FILE).is_file():
        rows = read_rows(folder / FULL_FILE, WEAK_COLUMNS, sha256)
        _compare_full_list(folder / FULL_FILE, rows, listed, findings)
    return Annotations(
        splits,
        folder=folder,
        report=Report(tuple(findings)),
        audio_version=_audio_version(splits["test"], findings),
        sha256=sha256,
    )


class _Weak(NamedTuple):
    line: int
    labels: tuple[str, ...]


def read_rows(
    path: Path, columns: tuple[str, ...], sha256: dict[str, str] | None = None
) -> list[Row]:
    """The rows of a tab-separated file, reduced to ``columns``; notes its SHA-256 if asked to.

    Raises:
        AvvpError: it is not such a file, lacks a column, or a row has too few or too many fields.
    """
    content = path.read_bytes()
    if sha256 is not None:
        sha256[path.name] = hashlib.sha256(content).hexdigest()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AvvpError(
            f"{path} is not UTF-8 text (byte {error.start}); fetch the file again."
        ) from error
    lines = [line.split("\t") for line in text.splitlines()]
    if not lines:
        raise AvvpError(f"{path} is empty; it must start with the line {' '.join(columns)}.")
    header = lines[0]
    lacking = [column for column in columns if column not in header]
    if lacking:
        if len(header) == 1 and any(mark in header[0] for mark in ",; |"):
            raise AvvpError(
                f"{path}, row 1: the columns must be separated by tabs, and the header is "
                f"{header[0]!r}; save the file with tabs."
            )
        raise AvvpError(
            f"{path}, row 1: the column {', '.join(map(repr, lacking))} is missing; expected "
            f"{', '.join(columns)}, found {', '.join(header)}."
        )
    places = [header.index(column) for column in columns]
    rows = []
    for line, fields in enumerate(lines[1:], start=2):
        if fields == [""]:
            continue
        if len(fields) != len(header):
            raise AvvpError(
                f"{path}, row {line}: {len(header)} tab-separated fields are expected, and there "
                f"{'is' if len(fields) == 1 else 'are'} {len(fields)}; repair the row."
            )
        rows.append(Row(line, tuple(fields[place] for place in places)))
    return rows


def check_class(path: Path, line: int, label: str) -> str:
    """``label``, if it is a class of LLP.

    Raises:
        AvvpError: it is none.
    """
    if label not in _INDEX:
        raise AvvpError(
            f"{path}, row {line}: {label!r} is none of the 25 classes of LLP; see avvp.LABELS for "
            "their spelling."
        )
    return label


def _second(path: Path, line: int, column: str, value: str) -> int:
    if not _NUMBER.fullmatch(value.strip()) or not float(value).is_integer():
        raise AvvpError(
            f"{path}, row {line}: {column} is {value!r}, not a whole number of seconds."
        )
    second = int(float(value))
    if not 0 <= second <= SEGMENTS:
        raise AvvpError(
            f"{path}, row {line}: {column} is {value}; it must lie between 0 and {SEGMENTS} s."
        )
    return second


def _weak_labels(path: Path, rows: list[Row], findings: list[Finding]) -> dict[str, _Weak]:
    videos: dict[str, _Weak] = {}
    for line, (video, listing) in rows:
        if not video:
            raise AvvpError(f"{path}, row {line}: the filename is empty; repair the row.")
        if video in videos:
            raise AvvpError(
                f"{path}, row {line}: the video {video} stands in row {videos[video].line} "
                "already; remove one of the two."
            )
        labels = [check_class(path, line, label) for label in listing.split(",")]
        if len(set(labels)) < len(labels):
            findings.append(Finding(path.name, line, "doubled label", video, listing))
        if "." in video:
            findings.append(Finding(path.name, line, "fractional window", video, video))
        videos[video] = _Weak(line, tuple(dict.fromkeys(labels)))
    if not videos:
        raise AvvpError(f"{path} lists no video; fetch the file again.")
    return videos


def _refuse_shared_videos(folder: Path, listed: dict[Split, dict[str, _Weak]]) -> None:
    seen: dict[str, tuple[str, int]] = {}
    for split, videos in listed.items():
        for video, weak in videos.items():
            if video in seen:
                other, line = seen[video]
                raise AvvpError(
                    f"{folder / WEAK_FILES[split]}, row {weak.line}: the video {video} stands in "
                    f"{other}, row {line}, too; a video belongs to one split."
                )
            seen[video] = (WEAK_FILES[split], weak.line)


def _mark_seconds(
    path: Path,
    rows: list[Row],
    annotated: dict[str, tuple[Split, int]],
    masks: dict[Split, Tensor],
    findings: list[Finding],
) -> None:
    spans: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for line, (video, onset, offset, label) in rows:
        check_class(path, line, label)
        start = _second(path, line, "onset", onset)
        stop = _second(path, line, "offset", offset)
        detail = f"{label}, {start} to {stop} s"
        if start == stop:
            findings.append(Finding(path.name, line, "empty row", video, detail))
        elif start > stop:
            findings.append(Finding(path.name, line, "reversed row", video, detail))
        if video not in annotated:
            findings.append(Finding(path.name, line, "orphan row", video, detail))
            if video in _INDEX or "`" in video:
                findings.append(Finding(path.name, line, "misnamed row", video, detail))
            continue
        if start >= stop:
            continue
        split, n = annotated[video]
        masks[split][n, _INDEX[label], start:stop] = True
        spans.setdefault((video, label), []).append((start, stop, line))
    for (video, label), marked in spans.items():
        marked.sort()
        start, stop, line = marked[0]
        for next_start, next_stop, next_line in marked[1:]:
            if next_start <= stop:
                if (start, stop) == (next_start, next_stop):
                    kind = "repeated row"
                else:
                    kind = "overlapping rows" if next_start < stop else "touching rows"
                first, second = sorted((line, next_line))
                detail = (
                    f"{label}, {start} to {stop} s and {next_start} to {next_stop} s, row {first}"
                )
                findings.append(Finding(path.name, second, kind, video, detail))
            if next_stop > stop:
                start, stop, line = next_start, next_stop, next_line


def _compare_weak_and_dense(
    name: str, videos: dict[str, _Weak], split: AnnotatedSplit, findings: list[Finding]
) -> None:
    heard, seen = split.audio.any(-1), split.visual.any(-1)
    dense = heard | seen
    lines = [video.line for video in videos.values()]
    for kind, pairs in (
        ("dense without weak", dense & ~split.weak),
        ("weak without dense", split.weak & ~dense),
    ):
        for n, c in pairs.nonzero().tolist():
            findings.append(Finding(name, lines[n], kind, split.ids[n], LABELS[c]))
    for kind, mask in (("nothing heard", heard), ("nothing seen", seen)):
        for n in (~mask.any(-1)).nonzero().flatten().tolist():
            labels = ", ".join(LABELS[c] for c in split.weak[n].nonzero().flatten().tolist())
            findings.append(Finding(name, lines[n], kind, split.ids[n], labels))


def _compare_full_list(
    path: Path, rows: list[Row], listed: dict[Split, dict[str, _Weak]], findings: list[Finding]
) -> None:
    # The split files have reported doubled labels and fractional windows of the same videos.
    full = _weak_labels(path, rows, [])
    for split, videos in listed.items():
        for video, weak in videos.items():
            other = full.get(video)
            if other is None or set(other.labels) != set(weak.labels):
                detail = "not listed" if other is None else ", ".join(other.labels)
                kind = "differs from the full list"
                findings.append(Finding(WEAK_FILES[split], weak.line, kind, video, detail))
    known = {video for videos in listed.values() for video in videos}
    for video, weak in full.items():
        if video not in known:
            detail = ", ".join(weak.labels)
            findings.append(Finding(path.name, weak.line, "only in the full list", video, detail))


def _audio_version(test: AnnotatedSplit, findings: list[Finding]) -> AudioVersion:
    rows = {video: n for n, video in enumerate(test.ids)}
    heard = [
        bool(test.audio[rows[video], _INDEX[label], 0]) if video in rows else None
        for video, label in REPAIRED
    ]
    damaged = any(f.kind == "misnamed row" and f.file == AUDIO_FILE for f in findings)
    if all(heard) and not damaged:
        return "corrected"
    return "uncorrected" if damaged and heard == [False, False] else "unrecognised"
