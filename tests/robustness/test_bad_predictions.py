"""Predictions that can't be scored: one sentence that names the file and the row."""

import sys
from contextlib import suppress

import pandas as pd
import pytest

from avvp.errors import AvvpError
from avvp.exchange import read_predictions
from tests.unit.test_exchange import IDS, listed

VIDEO = IDS[0]


def refusal(folder, form="dcase") -> str:
    with pytest.raises(AvvpError) as caught:
        read_predictions(folder, IDS, form=form, modalities=("audio",), told="the test split")
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith((".", "?"))
    return sentence


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("nowhere\t0\t1\tDog", "'nowhere' is no video of the test split"),
        ("aaaaaaaaaaa\t0\t1\tDog", f"'aaaaaaaaaaa' is no video of the test split; is it {VIDEO}?"),
        ("\t0\t1\tDog", "'' is no video"),
        (f"{VIDEO}.txt\t0\t1\tDog", "is no video"),
        (f"{VIDEO}\t0\t1\tWolf", "'Wolf' is none of the 25 classes"),
        (f"{VIDEO}\t0\t1\tdog", "'dog' is none of the 25 classes"),
        (f"{VIDEO}\t0\t1\t", "'' is none of the 25 classes"),
        (f"{VIDEO}\t-0.1\t1\tDog", "onset is -0.1; it must lie between 0 and 10 s"),
        (f"{VIDEO}\t0\t10.1\tDog", "offset is 10.1; it must lie between 0 and 10 s"),
        (f"{VIDEO}\t11\t12\tDog", "onset is 11; it must lie"),
        (f"{VIDEO}\t0\t-1\tDog", "offset is -1; it must lie"),
        (f"{VIDEO}\t3\t3\tDog", "offset 3 is not after onset 3"),
        (f"{VIDEO}\t10\t10\tDog", "offset 10 is not after onset 10"),
        (f"{VIDEO}\t5\t3\tDog", "offset 3 is not after onset 5"),
        (f"{VIDEO}\tnan\t1\tDog", "onset is 'nan', not a number"),
        (f"{VIDEO}\t0\tinf\tDog", "offset is 'inf', not a number"),
        (f"{VIDEO}\tsoon\t1\tDog", "onset is 'soon', not a number"),
        (f"{VIDEO}\t0,5\t1\tDog", "onset is '0,5', not a number"),
        (f"{VIDEO}\t\t1\tDog", "onset is '', not a number"),
        (f"{VIDEO}\t0\t1", "4 tab-separated fields are expected, and there are 3"),
        (f"{VIDEO}\t0\t1\tDog\t0.9", "4 tab-separated fields are expected, and there are 5"),
    ],
)
def test_a_row_that_says_something_impossible(row, expected, tmp_path):
    listed(tmp_path, f"{VIDEO}\t0\t1\tDog", row)
    sentence = refusal(tmp_path)
    assert f"{tmp_path / 'audio.tsv'}, row 3: " in sentence and expected in sentence


@pytest.mark.parametrize("column", ["filename", "onset", "offset", "event_label"])
def test_a_missing_column(column, tmp_path):
    listed(tmp_path)
    path = tmp_path / "audio.tsv"
    path.write_text(path.read_text().replace(column, "other"))
    assert f"audio.tsv, row 1: the column '{column}' is missing" in refusal(tmp_path)


def test_a_missing_folder_file_and_format(tmp_path):
    assert f"{tmp_path / 'a'} is no folder" in refusal(tmp_path / "a")
    assert f"{tmp_path / 'audio.tsv'} is missing" in refusal(tmp_path)
    assert f"{tmp_path / 'events.csv'} is missing" in refusal(tmp_path, "csv")
    assert f"{tmp_path / 'audio'} is missing" in refusal(tmp_path, "webvtt")
    assert "format is 'srt'; choose one of dcase" in refusal(tmp_path, "srt")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"filename,onset,offset,event_label\n", "must be separated by tabs"),
        (b"filename\tonset\toffset\tevent_label\n\xff", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_table(content, expected, tmp_path):
    (tmp_path / "audio.tsv").write_bytes(content)
    assert expected in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; it must start with the line filename,onset,"),
        (b"\n\n", "is empty"),
        (b"filename,onset\n\xff,0\n", "is not UTF-8 text (byte 15)"),
        (b"a,b\n1,2\n1,2,3\n", "row 3: 2 comma-separated fields are expected, and there are 3"),
        (b"a,b\n1,2,3\n4,5,6\n", "row 2: 2 comma-separated fields are expected, and there are 3"),
        (b"a,b\n1\n", "row 2: 2 comma-separated fields are expected, and there is 1"),
        (b'a,b\n1,"2\n3,4\n', "row 2: not a row of a table with commas"),
        (b'a,b\n1,"2"3\n', "row 2: not a row of a table with commas"),
        (b"filename,onset,offset,event_label\n", "the column 'modality' is missing"),
    ],
)
def test_a_damaged_csv(content, expected, tmp_path):
    (tmp_path / "events.csv").write_bytes(content)
    assert expected in refusal(tmp_path, "csv")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (f"{VIDEO},0,1,Dog,smell", "row 2: modality is 'smell'"),
        (f"{VIDEO},0,,Dog,audio", "row 2: offset is '', not a number"),
        (f"{VIDEO},0,11,Dog,audio", "row 2: offset is 11; it must lie"),
        (f"{VIDEO},0,1,Dog,", "row 2: modality is '', not audio or visual"),
        ("nowhere,,,,", "row 2: 'nowhere' is no video of the test split"),
        (f"\n\n{VIDEO},0,11,Dog,audio", "row 4: offset is 11"),
        (f'{VIDEO},"0","1","Dog\n",audio\n{VIDEO},0,11,Dog,audio', "row 4: offset is 11"),
    ],
)
def test_a_row_of_a_csv_that_says_something_impossible(row, expected, tmp_path):
    (tmp_path / "events.csv").write_text(f"filename,onset,offset,event_label,modality\n{row}\n")
    assert expected in refusal(tmp_path, "csv")


def test_a_damaged_parquet_file(tmp_path):
    (tmp_path / "events.parquet").write_bytes(b"PAR1 is how it starts")
    assert "is damaged or no parquet file" in refusal(tmp_path, "parquet")


def test_a_parquet_file_with_a_flipped_byte_is_one_sentence_or_read(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "events.parquet"
    rows = {"filename": [VIDEO], "onset": [0.0], "offset": [1.0], "event_label": ["Dog"]}
    pd.DataFrame(rows | {"modality": ["audio"]}).to_parquet(path)
    whole = path.read_bytes()
    for place in range(4, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xA5]) + whole[place + 1 :])
        with suppress(AvvpError):
            read_predictions(tmp_path, [VIDEO], form="parquet")
    name = arrow.array([VIDEO.encode("latin-1") + b"\xe9"]).view(arrow.string())
    table = arrow.table({column: name for column in (*rows, "modality")})
    arrow.parquet.write_table(table, path)
    assert "is damaged or no parquet file: 'utf-8' codec" in refusal(tmp_path, "parquet")


def test_parquet_without_pyarrow_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "events.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow, or choose csv" in refusal(tmp_path, "parquet")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("nowhere.txt", "", "nowhere.txt: 'nowhere' is no video of the test split"),
        ("notes.md", "", "is no .txt file"),
        (f"{VIDEO}.txt", "0\t1\n", "row 1: start, end and label, separated by tabs"),
        (f"{VIDEO}.txt", "0\t1\tWolf\n", "row 1: 'Wolf' is none"),
        (f"{VIDEO}.txt", "2\t1\tDog\n", "row 1: offset 1 is not after onset 2"),
    ],
)
def test_a_bad_label_track(name, content, expected, tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / name).write_text(content)
    assert expected in refusal(tmp_path, "audacity")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "row 1: a WebVTT file starts with WEBVTT"),
        (b"1\n00:00.000 --> 00:01.000\nDog\n", "row 1: a WebVTT file starts with WEBVTT"),
        (b"WEBVTT\n\n0 --> 1\nDog\n", "row 3: '0' is no time such as 00:03.000"),
        (b"WEBVTT\n\n00:00.000 -->\nDog\n", "row 3: '' is no time"),
        (b"WEBVTT\n\n00:00.000 --> 01:00:00.000\nDog\n", "row 4: offset is 3600.000; it must lie"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nWolf\n", "row 4: 'Wolf' is none"),
        (b"WEBVTT\n\n\xff", "is not UTF-8 text"),
    ],
)
def test_bad_subtitles(content, expected, tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / f"{VIDEO}.vtt").write_bytes(content)
    assert expected in refusal(tmp_path, "webvtt")
