"""Events on their way to other tools and back, and how a second is decided."""

import tempfile
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avvp.errors import AvvpError
from avvp.events import CLASSES, LABELS, SEGMENTS
from avvp.exchange import (
    FORMATS,
    Predictions,
    Tally,
    merge,
    read_predictions,
    score_frames,
    write_predictions,
)

IDS = ("aaaaaaaaaaa_0_10", "-bbbbbbbb_b_3.5_13.5", "ccccccccccc_30_40")


def made_up(*, share: float = 0.1, videos: int = len(IDS), seed: int = 0) -> torch.Tensor:
    chance = torch.rand(videos, CLASSES, SEGMENTS, generator=torch.Generator().manual_seed(seed))
    return chance < share


def listed(folder, *rows: str, modality: str = "audio") -> None:
    text = "\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n"
    (folder / f"{modality}.tsv").write_text(text, encoding="utf-8")


def read_audio(folder, *rows: str) -> Predictions:
    listed(folder, *rows)
    return read_predictions(folder, IDS, modalities=("audio",))


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_read_back(form, tmp_path):
    audio, visual = made_up(seed=1), made_up(seed=2)
    audio[1], visual[1:] = False, False  # a video without events is legal
    write_predictions(tmp_path / "a", Predictions(IDS, audio, visual, {}), form=form)
    again = read_predictions(tmp_path / "a", IDS, form=form)
    assert again.audio.equal(audio) and again.visual.equal(visual) and again.ids == IDS
    assert again.tallies["audio"].read > 20 and again.tallies["audio"][1:] == (0, 0)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_found_is_read_back(form, tmp_path):
    nothing = torch.zeros(len(IDS), CLASSES, SEGMENTS, dtype=torch.bool)
    write_predictions(tmp_path / "a", Predictions(IDS, nothing, nothing, {}), form=form)
    again = read_predictions(tmp_path / "a", IDS, form=form)
    assert again.audio.equal(nothing) and again.tallies["visual"] == Tally(0, 0, 0)


@pytest.mark.parametrize("form", ["dcase", "audacity", "webvtt"])
def test_one_modality_is_written_and_read(form, tmp_path):
    mask = made_up()
    write_predictions(tmp_path / "a", Predictions(IDS, None, mask, {}), form=form)
    again = read_predictions(tmp_path / "a", IDS, form=form, modalities=("visual",))
    assert again.audio is None and again.visual.equal(mask)
    with pytest.raises(AvvpError, match=r"audio(.tsv)? is missing; .*--modality"):
        read_predictions(tmp_path / "a", IDS, form=form)


@pytest.mark.parametrize(
    ("times", "on"),
    [
        (("2", "5"), [2, 3, 4]),
        (("2.5", "5"), [2, 3, 4]),  # exactly half a second counts
        (("2.501", "5"), [3, 4]),
        (("2", "4.5"), [2, 3, 4]),
        (("2", "4.499"), [2, 3]),
        (("0.5", "1.5"), [0, 1]),
        (("0.6", "1.4"), []),
        (("0", "1e-3"), []),
        (("9.5", "10"), [9]),
        (("0", "10.000"), list(range(10))),
        (("0.1", "0.6"), [0]),  # 0.6 - 0.1 is less than a half in floating point
    ],
)
def test_a_second_is_on_if_at_least_half_of_it_is_covered(times, on, tmp_path):
    found = read_audio(tmp_path, "\t".join((IDS[1], *times, "Dog"))).audio
    assert found[1, LABELS.index("Dog")].nonzero().flatten().tolist() == on
    assert found.sum() == len(on)


@given(st.integers(0, 100), st.integers(1, 100))
def test_the_majority_of_a_second_is_the_majority_of_its_hundredths(start, length):
    onset, offset = start / 10, min((start + length) / 10, 10)
    if offset <= onset:
        return
    with tempfile.TemporaryDirectory() as folder:
        found = read_audio(Path(folder), f"{IDS[0]}\t{onset}\t{offset}\tCat").audio
    tenths = [start <= tenth < round(10 * offset) for tenth in range(100)]
    expected = [sum(tenths[10 * t : 10 * t + 10]) >= 5 for t in range(SEGMENTS)]
    assert found[0, LABELS.index("Cat")].tolist() == expected


@pytest.mark.parametrize(
    ("rows", "on", "tally"),
    [
        (("0\t2\tDog", "0\t2\tDog"), [0, 1], Tally(2, 1, 0)),  # a duplicate
        (("0\t2\tDog", "1\t4\tDog"), [0, 1, 2, 3], Tally(2, 1, 0)),  # an overlap
        (("3\t4\tDog", "0\t9\tDog"), list(range(9)), Tally(2, 1, 0)),  # one in the other
        (("0\t0.3\tDog", "0.3\t0.6\tDog"), [0], Tally(2, 1, 0)),  # together more than half
        (("0\t0.3\tDog", "0.4\t0.6\tDog"), [0], Tally(2, 0, 2)),  # so too across a gap
        (("0\t0.3\tDog", "0.3\t0.6\tCat"), [], Tally(2, 0, 2)),  # another class
        (("0\t1\tDog", "1\t2\tDog"), [0, 1], Tally(2, 1, 0)),
        (("0\t1\tDog", "5\t6\tDog"), [0, 5], Tally(2, 0, 0)),
    ],
)
def test_events_of_a_class_are_merged(rows, on, tally, tmp_path):
    found = read_audio(tmp_path, *(f"{IDS[0]}\t{row}" for row in rows))
    assert found.audio[0, LABELS.index("Dog")].nonzero().flatten().tolist() == on
    assert found.tallies == {"audio": tally}


def test_merged_intervals_are_apart_and_in_order():
    spans = [(Decimal(a), Decimal(b)) for a, b in ((5, 6), (0, 2), (1, 3), (3, 4), (5, 6))]
    assert merge(spans) == [(0, 4), (5, 6)]


def test_what_dcase_lists_besides_is_understood(tmp_path):
    rows = (f"{IDS[0]}.wav\t0\t1\tDog", f"{IDS[1]}\t\t\t", "", f"{IDS[2]}.mp4\t 1.0 \t2\tDog")
    found = read_audio(tmp_path, *rows).audio
    assert found.nonzero().tolist() == [[0, 3, 0], [2, 3, 1]]
    # Columns in another order, one more, and the mark that some editors put before the text.
    text = "event_label\tconfidence\toffset\tonset\tfilename\r\nDog\t0.3\t1\t0\t" + IDS[0]
    (tmp_path / "audio.tsv").write_text(text, encoding="utf-8-sig")
    again = read_predictions(tmp_path, IDS, modalities=("audio",)).audio
    assert again.nonzero().tolist() == [[0, 3, 0]]


HEADER = "filename,onset,offset,event_label,modality\n"


def test_what_spreadsheets_write_is_understood(tmp_path):
    rows = (f"{IDS[0]},0,1,Dog,audio", "", f'"{IDS[1]}"," 1.0 ",2,"Dog",audio')
    path = tmp_path / "events.csv"
    path.write_bytes((HEADER + "\r\n".join(rows)).encode("utf-8-sig"))
    found = read_predictions(tmp_path, IDS, form="csv", modalities=("audio",)).audio
    assert found.nonzero().tolist() == [[0, 3, 0], [1, 3, 1]]
    # Columns in another order, and one more, with commas and ends of lines in it.
    columns = 'event_label,"a, b",modality,offset,onset,filename'
    path.write_text(f'{columns}\nDog,"heard, \n""twice""",audio,1,0,{IDS[0]}', encoding="utf-8")
    again = read_predictions(tmp_path, IDS, form="csv", modalities=("audio",)).audio
    assert again.nonzero().tolist() == [[0, 3, 0]]


def test_a_video_without_events_may_stand_in_a_table_of_text(tmp_path):
    rows = f"{IDS[0]},0,1,Dog,audio\n{IDS[1]},,,,\n{IDS[2]},,,,visual\n"
    (tmp_path / "events.csv").write_text(HEADER + rows)
    found = read_predictions(tmp_path, IDS, form="csv")
    assert found.audio.nonzero().tolist() == [[0, 3, 0]] and not found.visual.any()
    assert found.tallies == {"audio": Tally(1, 0, 0), "visual": Tally(0, 0, 0)}


@pytest.mark.parametrize("empty", [None, float("nan"), pd.NA, pd.NaT, ""])
def test_a_video_without_events_may_stand_in_a_table_of_numbers(empty, tmp_path):
    pytest.importorskip("pyarrow")
    silent = dict.fromkeys(("onset", "offset", "event_label", "modality"), empty)
    event = {"onset": 0.5, "offset": 1.5, "event_label": "Dog", "modality": "audio"}
    rows = [{"filename": IDS[0]} | event, {"filename": IDS[1]} | silent]
    rows.append(rows[1] | {"modality": "visual"})
    table = pd.DataFrame(rows)
    if isinstance(empty, str):
        table = table.astype(str)
    table.to_parquet(tmp_path / "events.parquet")
    found = read_predictions(tmp_path, IDS, form="parquet")
    assert found.audio.nonzero().tolist() == [[0, 3, 0], [0, 3, 1]] and not found.visual.any()
    table["modality"] = [None, "audio", "audio"]
    table.to_parquet(tmp_path / "events.parquet")
    with pytest.raises(AvvpError, match=r"events.parquet, row 1: modality is '', not audio or vis"):
        read_predictions(tmp_path, IDS, form="parquet")


@pytest.mark.parametrize(("form", "ending"), [("audacity", ".txt"), ("webvtt", ".vtt")])
def test_hidden_files_are_passed_over(form, ending, tmp_path):
    mask = made_up()
    write_predictions(tmp_path / "a", Predictions(IDS, mask, None, {}), form=form)
    (tmp_path / "a" / "audio" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "a" / "audio" / f"._{IDS[0]}{ending}").write_bytes(b"\0\5\x16\7")
    again = read_predictions(tmp_path / "a", IDS, form=form, modalities=("audio",))
    assert again.audio.equal(mask)
    hidden = Predictions((".a", *IDS[1:]), mask, None, {})
    with pytest.raises(
        AvvpError, match=r"'\.a' can't be the name of a file; choose csv or parquet"
    ):
        write_predictions(tmp_path / "b", hidden, form=form)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        *(("dcase", name) for name in ('my "best" clip', " a", "b\tc", "d\ne")),
        *(("csv", name) for name in (" a", "b\rc")),
        ("parquet", "a "),
    ],
)
def test_a_name_that_a_row_would_not_give_back_is_refused(form, name, tmp_path):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    nothing = torch.zeros(1, CLASSES, SEGMENTS, dtype=torch.bool)
    with pytest.raises(AvvpError, match=f"can't stand in a row of {form} and be read back"):
        write_predictions(tmp_path / "a", Predictions((name,), nothing, nothing, {}), form=form)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("form", "name"), [("csv", 'my "best",\tclip\n2'), ("parquet", '"\t\r\n"'), ("audacity", " a")]
)
def test_odd_names_are_read_back_where_they_can_be(form, name, tmp_path):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    mask = made_up(videos=1)
    write_predictions(tmp_path / "a", Predictions((name,), mask, mask, {}), form=form)
    assert read_predictions(tmp_path / "a", [name], form=form).audio.equal(mask)


def test_label_tracks_of_other_programs_are_understood(tmp_path):
    (tmp_path / "audio").mkdir()
    path = tmp_path / "audio" / f"{IDS[0]}.txt"
    path.write_text("1.000000\t2.000000\tDog\n\\\t100.0\t2000.0\n\n3\t4\tCat\n")
    found = read_predictions(tmp_path, IDS, form="audacity", modalities=("audio",)).audio
    assert found.nonzero().tolist() == [[0, 3, 1], [0, 4, 3]]


def test_subtitles_of_other_programs_are_understood(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / f"{IDS[0]}.vtt").write_text(
        "WEBVTT - what is heard\n\nNOTE not an event\n\n1\n00:01.000 --> 00:02.000 line:0\nDog\n"
        "Cat\n\n00:00:03.500 --> 00:00:04.500\nDog\n"
    )
    found = read_predictions(tmp_path, IDS, form="webvtt", modalities=("audio",)).audio
    assert found.nonzero().tolist() == [[0, 3, 1], [0, 3, 3], [0, 3, 4], [0, 4, 1]]


def test_a_file_of_each_format_is_as_its_readers_expect(tmp_path):
    mask = torch.zeros(len(IDS), CLASSES, SEGMENTS, dtype=torch.bool)
    mask[0, LABELS.index("Frying_(food)"), 2:5] = True
    for form in ("dcase", "audacity", "webvtt", "csv"):
        write_predictions(tmp_path / form, Predictions(IDS, mask, mask, {}), form=form)
    assert (tmp_path / "dcase" / "audio.tsv").read_text().splitlines() == [
        "filename\tonset\toffset\tevent_label",
        f"{IDS[0]}\t2.0\t5.0\tFrying_(food)",
        f"{IDS[1]}\t\t\t",
        f"{IDS[2]}\t\t\t",
    ]
    track = tmp_path / "audacity" / "visual" / f"{IDS[0]}.txt"
    assert track.read_text() == "2.000000\t5.000000\tFrying_(food)\n"
    assert not (tmp_path / "audacity" / "visual" / f"{IDS[1]}.txt").read_text()
    cue = (tmp_path / "webvtt" / "audio" / f"{IDS[0]}.vtt").read_text()
    assert cue == "WEBVTT\n\n00:02.000 --> 00:05.000\nFrying_(food)\n"
    assert (tmp_path / "csv" / "events.csv").read_text().splitlines()[:2] == [
        "filename,onset,offset,event_label,modality",
        f"{IDS[0]},2.0,5.0,Frying_(food),audio",
    ]


def test_probabilities_go_along_in_the_tables(tmp_path):
    score = torch.rand(len(IDS), CLASSES, SEGMENTS)
    predictions = Predictions(IDS, score >= 0.5, None, {})
    write_predictions(tmp_path / "a", predictions, form="csv", scores={"audio": score})
    table = pd.read_csv(tmp_path / "a" / "scores.csv")
    assert list(table)[:4] == ["filename", "modality", "onset", "offset"]
    assert len(table) == len(IDS) * SEGMENTS and set(table["modality"]) == {"audio"}
    second = table[(table["filename"] == IDS[1]) & (table["onset"] == 3)]
    assert torch.tensor(second[list(LABELS)].to_numpy()[0]).float().allclose(score[1, :, 3])
    write_predictions(tmp_path / "b", predictions, form="dcase", scores={"audio": score})
    names = {path.name for path in (tmp_path / "b" / "scores" / "audio").iterdir()}
    assert names == {f"{video}.tsv" for video in IDS}
    with pytest.raises(AvvpError, match="webvtt has no place for probabilities"):
        write_predictions(tmp_path / "c", predictions, form="webvtt", scores={"audio": score})


def test_a_table_of_scores_is_a_row_a_second():
    score = torch.rand(len(IDS), CLASSES, SEGMENTS)
    frame = score_frames(IDS, score)[IDS[2]]
    assert list(frame) == ["onset", "offset", *LABELS] and len(frame) == SEGMENTS
    assert frame["Dog"].tolist() == score[2, LABELS.index("Dog")].tolist()


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(AvvpError, match="not empty; name another"):
        write_predictions(tmp_path, Predictions(IDS, made_up(), None, {}), form="csv")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
