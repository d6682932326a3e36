"""Parsings as other tools write and read them: event lists, label tracks, subtitles, tables.

======== ============================================================ ==========================
format   files in the folder                                          read by
======== ============================================================ ==========================
dcase    ``audio.tsv``, ``visual.tsv``: :data:`COLUMNS`               sed_eval, sed_scores_eval
audacity ``audio/ID.txt``, ``visual/ID.txt``: start, end, label       Audacity, as a label track
webvtt   ``audio/ID.vtt``, ``visual/ID.vtt``: a cue an event          browsers, video players
csv      ``events.csv``: :data:`COLUMNS` and ``modality``             spreadsheets, pandas
parquet  ``events.parquet``: the same                                 pandas, Arrow, DuckDB
======== ============================================================ ==========================

A modality that a method does not parse has no file, and no rows. A row with a filename and nothing
else says that there is no event in that video; in a table it may name a modality, or none. Hidden
files, such as ``.DS_Store``, are passed over. What is written is read back as it was. What another
system wrote need not count whole seconds: **a second is on if the events of a class cover at least
half of it**, exactly half included. Events of one class that overlap, touch or stand there twice
are merged first.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from avvp.atomic import atomic_path, check_new_folder, write_text
from avvp.data.annotations import check_class, read_rows
from avvp.errors import AvvpError
from avvp.events import CLASSES, LABELS, SEGMENTS, Modality, segments_to_runs

Format = Literal["dcase", "audacity", "webvtt", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
BOTH: tuple[Modality, ...] = get_args(Modality)

COLUMNS = ("filename", "onset", "offset", "event_label")
"""Of an event, times in seconds."""
_TABLE = (*COLUMNS, "modality")
HALF = Decimal("0.5")
"""How much of a second events have to cover."""
_CUE_TIME = re.compile(r"(?:(\d+):)?([0-5]\d):([0-5]\d\.\d{3})")
_NOT_IN_ROW: dict[Format, set[str]] = {"dcase": set('"\t\r\n'), "csv": {"\r"}}
RECORDINGS = (".wav", ".flac", ".mp3", ".mp4")
"""Endings that event lists put after a video's name."""


class Tally(NamedTuple):
    """What became of the events that were read of one modality."""

    read: int
    merged: int  # into an overlapping, touching or equal one of their class
    short: int  # of those that are left: none covers half of any second by itself


@dataclass(frozen=True)
class Predictions:
    """What a system says is heard and seen in N videos.

    Attributes:
        ids: of the videos.
        audio, visual: (N, C, T) bool; None for a modality that is not parsed.
        tallies: of the modalities that were read from files.
    """

    ids: tuple[str, ...]
    audio: Tensor | None
    visual: Tensor | None
    tallies: dict[Modality, Tally]

    def masks(self) -> dict[Modality, Tensor]:
        """The modalities that are parsed, (N, C, T) bool."""
        both: dict[Modality, Tensor | None] = {"audio": self.audio, "visual": self.visual}
        return {modality: mask for modality, mask in both.items() if mask is not None}


class _Event(NamedTuple):
    """As it stands in a file; three empty fields say that the video has none."""

    path: Path
    row: int  # a line of the file, a row of a parquet table from 1 on; 0: the file itself
    video: str
    onset: str
    offset: str
    label: str


def read_predictions(
    folder: str | Path,
    ids: Sequence[str],
    *,
    form: Format = "dcase",
    modalities: Sequence[Modality] = BOTH,
    told: str = "the split",
) -> Predictions:
    """Read the events that some system found in ``ids``; a video without rows has none.

    Args:
        folder: of the files.
        ids: of the N videos that are to be scored, in the order that the masks shall have.
        form: of the files.
        modalities: which to read; the other one counts as not parsed.
        told: what the ids are, for messages.

    Raises:
        AvvpError: a file or column is missing; a row names a video or class that there is none of,
            or a time that is no number, negative, after the end, or an offset that is not after its
            onset.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AvvpError(f"{folder} is no folder; name the one with the predictions.")
    if form not in FORMATS:
        raise AvvpError(f"format is {form!r}; choose one of {', '.join(FORMATS)}.")
    rows = {video: n for n, video in enumerate(ids)}
    masks: dict[Modality, Tensor] = {}
    tallies: dict[Modality, Tally] = {}
    for modality in modalities:
        events = _READERS[form](folder, modality)
        masks[modality], tallies[modality] = _marked(events, rows, told)
    return Predictions(tuple(ids), masks.get("audio"), masks.get("visual"), tallies)


def write_predictions(
    folder: str | Path,
    predictions: Predictions,
    *,
    form: Format,
    scores: dict[Modality, Tensor] | None = None,
) -> None:
    """Write events, and probabilities where the format has a place for them.

    Args:
        folder: is made; must not hold anything.
        predictions: of N videos.
        form: of the files.
        scores: (N, C, T) a modality. ``csv`` and ``parquet`` get a table ``scores``, a row a second
            and a column a class; ``dcase`` gets ``scores/audio/ID.tsv`` and ``scores/visual/``, as
            sed_scores_eval reads them.

    Raises:
        AvvpError: the folder holds something, the format has no place for scores or for the name
            of a video, or pyarrow is not installed.
    """
    folder = Path(folder)
    check_target(folder, form=form, scores=bool(scores))
    odd = next((video for video in predictions.ids if not _names_file(video)), None)
    if odd is not None and form not in ("csv", "parquet"):
        raise AvvpError(f"{odd!r} can't be the name of a file; choose csv or parquet.")
    odd = next((video for video in predictions.ids if not _fits_row(video, form)), None)
    if odd is not None:
        raise AvvpError(
            f"the video {odd!r} can't stand in a row of {form} and be read back; rename it, "
            'without blanks at either end, quotation marks ", tabs and line breaks.'
        )
    if form == "dcase":
        for modality, mask in predictions.masks().items():
            table = _table(predictions.ids, mask, silent=True)
            write_text(folder / f"{modality}.tsv", table.to_csv(sep="\t", index=False))
        for modality, score in (scores or {}).items():
            for video, frame in score_frames(predictions.ids, score).items():
                file = folder / "scores" / modality / f"{video}.tsv"
                write_text(file, frame.to_csv(sep="\t", index=False))
    elif form in ("audacity", "webvtt"):
        for modality, mask in predictions.masks().items():
            for video, events in _by_video(predictions.ids, mask).items():
                file = folder / modality / f"{video}{_ENDINGS[form]}"
                write_text(file, _LABEL_TRACKS[form](events))
    else:
        masks = predictions.masks().items()
        tables = [_table(predictions.ids, mask).assign(modality=name) for name, mask in masks]
        _write_table(folder / f"events.{form}", pd.concat(tables, ignore_index=True))
        if scores:
            frames = [
                frame.assign(filename=video, modality=modality)
                for modality, score in scores.items()
                for video, frame in score_frames(predictions.ids, score).items()
            ]
            table = pd.concat(frames, ignore_index=True)
            order = ["filename", "modality", *table.columns[:-2]]
            _write_table(folder / f"scores.{form}", table[order])


def check_target(folder: Path, *, form: Format, scores: bool) -> None:
    """Whether :func:`write_predictions` could write there, with scores or without.

    Raises:
        AvvpError: it could not.
    """
    if form not in FORMATS:
        raise AvvpError(f"format is {form!r}; choose one of {', '.join(FORMATS)}.")
    if scores and form in ("audacity", "webvtt"):
        raise AvvpError(f"{form} has no place for probabilities; choose dcase, csv or parquet.")
    check_new_folder(folder)
    if form == "parquet":
        _require_pyarrow()


def score_frames(ids: Sequence[str], score: Tensor) -> dict[str, pd.DataFrame]:
    """Scores as sed_scores_eval takes them: a table a video, a row a second, a column a class.

    Args:
        ids: of N videos.
        score: (N, C, T).
    """
    seconds = np.arange(SEGMENTS + 1, dtype=float)
    frames = {}
    for video, by_class in zip(ids, score, strict=True):
        frame = pd.DataFrame(by_class.T.numpy(), columns=list(LABELS))
        frame.insert(0, "onset", seconds[:-1])
        frame.insert(1, "offset", seconds[1:])
        frames[video] = frame
    return frames


# From times to seconds.


def _marked(events: Iterator[_Event], rows: dict[str, int], told: str) -> tuple[Tensor, Tally]:
    """The seconds (N, C, T) that are on, and what became of the events."""
    spans: dict[tuple[int, int], list[tuple[Decimal, Decimal]]] = {}
    for event in events:
        video = rows.get(_known(event, rows, told))
        if not (event.onset or event.offset or event.label):
            continue
        check_class(event.path, event.row, event.label)
        onset, offset = (_time(event, column) for column in ("onset", "offset"))
        if offset <= onset:
            raise AvvpError(
                f"{event.path}, row {event.row}: offset {event.offset} is not after onset "
                f"{event.onset}; an event lasts some time."
            )
        spans.setdefault((video, LABELS.index(event.label)), []).append((onset, offset))

    mask = torch.zeros(len(rows), CLASSES, SEGMENTS, dtype=torch.bool)
    read = left = short = 0
    for (n, c), listed in spans.items():
        merged = merge(listed)
        covered = [Decimal(0)] * SEGMENTS
        for onset, offset in merged:
            parts = {t: _overlap(onset, offset, t) for t in range(int(onset), SEGMENTS)}
            short += max(parts.values()) < HALF
            for t, part in parts.items():
                covered[t] += part
        mask[n, c] = torch.tensor([part >= HALF for part in covered])
        read, left = read + len(listed), left + len(merged)
    return mask, Tally(read, read - left, short)


def merge(spans: Sequence[tuple[Decimal, Decimal]]) -> list[tuple[Decimal, Decimal]]:
    """Intervals that overlap or touch become one; the rest is left, in the order of time."""
    merged: list[tuple[Decimal, Decimal]] = []
    for onset, offset in sorted(spans):
        if merged and onset <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(offset, merged[-1][1]))
        else:
            merged.append((onset, offset))
    return merged


def _overlap(onset: Decimal, offset: Decimal, second: int) -> Decimal:
    """How much of a second an event covers."""
    return max(min(offset, Decimal(second + 1)) - max(onset, Decimal(second)), Decimal(0))


def _known(event: _Event, rows: dict[str, int], told: str) -> str:
    """The name of the event's video among ``rows``."""
    if event.video in rows:
        return event.video
    stem = Path(event.video).stem
    if event.video.endswith(RECORDINGS) and stem in rows:
        return stem
    alike = next((video for video in rows if video[:11] == event.video[:11]), None)
    hint = f"; is it {alike}?" if alike else "; names are those of the annotations, ID_START_END."
    place = f"{event.path}, row {event.row}" if event.row else f"{event.path}"
    raise AvvpError(f"{place}: {event.video!r} is no video of {told}{hint}")


def _time(event: _Event, column: Literal["onset", "offset"]) -> Decimal:
    """A time in seconds, exactly as it is written."""
    text: str = getattr(event, column)
    place = f"{event.path}, row {event.row}: {column} is"
    try:
        time = Decimal(text)
    except InvalidOperation:
        time = Decimal("nan")
    if not time.is_finite():
        raise AvvpError(f"{place} {text!r}, not a number of seconds.")
    if not 0 <= time <= SEGMENTS:
        raise AvvpError(f"{place} {text}; it must lie between 0 and {SEGMENTS} s.")
    return time


# Readers: the events of a modality, one by one.


def _file(path: Path) -> Path:
    if not path.is_file():
        raise AvvpError(
            f"{path} is missing; a system that found nothing needs the file too, and one that "
            "parses one modality is scored with --modality."
        )
    return path


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # with the ends of lines that it has
    except UnicodeDecodeError as error:
        raise AvvpError(f"{path} is not UTF-8 text (byte {error.start}).") from None


def _read_dcase(folder: Path, modality: Modality) -> Iterator[_Event]:
    path = _file(folder / f"{modality}.tsv")
    for row, fields in read_rows(path, COLUMNS):
        yield _Event(path, row, *(field.strip() for field in fields))


class _Table(NamedTuple):
    columns: Sequence[str]
    rows: Iterable[tuple[int, Sequence[str]]]  # each with where it stands


def _read_csv(path: Path) -> _Table:
    # Not by pandas, which takes a field too many for an index and shifts the others.
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    begin = 1  # a field in quotes may go on in the next line
    try:
        for fields in lines:
            if fields:
                rows.append((begin, fields))
            begin = lines.line_num + 1
    except csv.Error as error:
        raise AvvpError(
            f"{path}, row {begin}: not a row of a table with commas ({error}); repair the row."
        ) from None
    if not rows:
        raise AvvpError(f"{path} is empty; it must start with the line {','.join(_TABLE)}.")
    (_, header), *rows = rows
    for row, fields in rows:
        if len(fields) != len(header):
            raise AvvpError(
                f"{path}, row {row}: {len(header)} comma-separated fields are expected, and there "
                f"{'is' if len(fields) == 1 else 'are'} {len(fields)}; repair the row."
            )
    return _Table(header, rows)


def _read_parquet(path: Path) -> _Table:
    arrow = _require_pyarrow()
    with path.open("rb") as file:
        try:
            table = pd.read_parquet(file, engine="pyarrow")
            # Nothing, not a number and not a time are how a table says that a field is empty.
            rows = [
                ["" if empty else str(value) for value, empty in zip(*both, strict=True)]
                for both in zip(table.itertuples(index=False), table.isna().to_numpy(), strict=True)
            ]
        # Text that is not UTF-8 is a ValueError, what the table says of its columns a KeyError.
        except (arrow.ArrowException, OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise AvvpError(f"{path} is damaged or no parquet file: {reason}.") from None
    return _Table(list(map(str, table.columns)), enumerate(rows, start=1))


def _read_table(
    folder: Path, modality: Modality, *, ending: str, read: Callable[[Path], _Table]
) -> Iterator[_Event]:
    path = _file(folder / f"events.{ending}")
    table = read(path)
    lacking = [column for column in _TABLE if column not in table.columns]
    if lacking:
        raise AvvpError(
            f"{path}: the column {', '.join(map(repr, lacking))} is missing; expected "
            f"{', '.join(_TABLE)}, found {', '.join(table.columns)}."
        )
    places = [table.columns.index(column) for column in _TABLE]
    for row, fields in table.rows:
        *event, name = (fields[place].strip() for place in places)
        if name not in BOTH and (name or any(event[1:])):
            raise AvvpError(f"{path}, row {row}: modality is {name!r}, not audio or visual.")
        if name == modality or not name:
            yield _Event(path, row, *event)


def _tracks(folder: Path, modality: Modality, ending: str) -> Iterator[Path]:
    """The label tracks of a modality, one a video."""
    if not (folder / modality).is_dir():
        raise AvvpError(
            f"{folder / modality} is missing; it holds a file ID{ending} a video, and a system "
            "that parses one modality is scored with --modality."
        )
    for path in sorted((folder / modality).iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix != ending:
            raise AvvpError(f"{path} is no {ending} file; keep other files elsewhere.")
        yield path


def _read_audacity(folder: Path, modality: Modality) -> Iterator[_Event]:
    for path in _tracks(folder, modality, ".txt"):
        yield _Event(path, 0, path.stem, "", "", "")  # is it a video, even if it has no event?
        for row, line in enumerate(_text(path).splitlines(), start=1):
            # A line with a backslash holds the frequencies of the label before it.
            if not line.strip() or line.startswith("\\"):
                continue
            fields = line.split("\t")
            if len(fields) != 3:
                raise AvvpError(
                    f"{path}, row {row}: start, end and label, separated by tabs, are expected, "
                    f"and there {'is' if len(fields) == 1 else 'are'} {len(fields)}."
                )
            yield _Event(path, row, path.stem, *(field.strip() for field in fields))


def _read_webvtt(folder: Path, modality: Modality) -> Iterator[_Event]:
    for path in _tracks(folder, modality, ".vtt"):
        yield _Event(path, 0, path.stem, "", "", "")
        lines = _text(path).splitlines()
        if not lines or lines[0].split()[:1] != ["WEBVTT"]:
            raise AvvpError(f"{path}, row 1: a WebVTT file starts with WEBVTT.")
        times: tuple[str, str] | None = None
        for row, line in enumerate(lines[1:], start=2):
            if not line.strip():
                times = None
            elif "-->" in line:
                start, _, rest = line.partition("-->")
                end = (rest.split() or [""])[0]  # what follows says where on the screen
                times = _cue_time(path, row, start.strip()), _cue_time(path, row, end)
            elif times:  # before the times of a cue stand its name, notes and styles
                yield _Event(path, row, path.stem, *times, line.strip())


def _cue_time(path: Path, row: int, text: str) -> str:
    """A time of WebVTT in seconds."""
    found = _CUE_TIME.fullmatch(text)
    if not found:
        raise AvvpError(f"{path}, row {row}: {text!r} is no time such as 00:03.000.")
    hours, minutes, seconds = found.groups()
    return str(3600 * int(hours or 0) + 60 * int(minutes) + Decimal(seconds))


_READERS: dict[Format, Callable[[Path, Modality], Iterator[_Event]]] = {
    "dcase": _read_dcase,
    "audacity": _read_audacity,
    "webvtt": _read_webvtt,
    "csv": partial(_read_table, ending="csv", read=_read_csv),
    "parquet": partial(_read_table, ending="parquet", read=_read_parquet),
}


# Writers.


def _table(ids: Sequence[str], mask: Tensor, *, silent: bool = False) -> pd.DataFrame:
    """The events by video and time; with ``silent`` a video without events has an empty row."""
    rows = []
    for video, events in _by_video(ids, mask).items():
        rows += [(video, float(onset), float(offset), label) for onset, offset, label in events]
        if silent and not events:
            rows.append((video, None, None, None))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"onset": float, "offset": float})


def _by_video(ids: Sequence[str], mask: Tensor) -> dict[str, list[tuple[int, int, str]]]:
    events: dict[str, list[tuple[int, int, str]]] = {video: [] for video in ids}
    for run in segments_to_runs(mask):
        events[ids[run.video]].append((run.onset, run.offset, LABELS[run.label]))
    return {video: sorted(listed) for video, listed in events.items()}


def _names_file(video: str) -> bool:
    """Whether a file can be named after a video, and is not passed over when it is read."""
    return Path(video).name == video and not video.startswith(".")


def _fits_row(video: str, form: Format) -> bool:
    """Whether a row of a table that names the video is read back as it was written."""
    return form in _LABEL_TRACKS or (
        video == video.strip() and not set(video) & _NOT_IN_ROW.get(form, set())
    )


def _label_track(events: Sequence[tuple[int, int, str]]) -> str:
    return "".join(f"{onset:.6f}\t{offset:.6f}\t{label}\n" for onset, offset, label in events)


def _subtitles(events: Sequence[tuple[int, int, str]]) -> str:
    cues = [f"00:{on:02}.000 --> 00:{off:02}.000\n{label}\n" for on, off, label in events]
    return "\n".join(["WEBVTT\n", *cues])


_ENDINGS: dict[Format, str] = {"audacity": ".txt", "webvtt": ".vtt"}
_LABEL_TRACKS: dict[Format, Callable[[Sequence[tuple[int, int, str]]], str]] = {
    "audacity": _label_track,
    "webvtt": _subtitles,
}


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False, engine="pyarrow")
        else:
            table.to_csv(temporary, index=False)


def _require_pyarrow():
    """pyarrow, which is not installed by default: it takes 170 MB."""
    try:
        from pyarrow import lib
    except ImportError:
        raise AvvpError(
            "parquet needs pyarrow, which is not installed: run pip install pyarrow, or choose csv."
        ) from None
    return lib
