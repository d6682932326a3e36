"""Damaged annotation files: one sentence that names the file and the row."""

import pytest

from avvp.data import read_annotations
from avvp.errors import AvvpError
from tests.small_llp import AUDIO, TEST, TRAIN, VAL, write_annotations


def refusal(folder) -> str:
    with pytest.raises(AvvpError) as caught:
        read_annotations(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_missing_folder(tmp_path):
    assert str(tmp_path / "nowhere") in refusal(tmp_path / "nowhere")


def test_missing_files_are_all_named(tmp_path):
    folder = write_annotations(tmp_path)
    (folder / "AVVP_val_pd.csv").unlink()
    (folder / "AVVP_eval_visual.csv").unlink()
    sentence = refusal(folder)
    assert "AVVP_val_pd.csv" in sentence and "AVVP_eval_visual.csv" in sentence
    assert "AVVP_train.csv" not in sentence


@pytest.mark.parametrize("mark", [",", ";", " "])
def test_wrong_separator(tmp_path, mark):
    folder = write_annotations(tmp_path)
    path = folder / "AVVP_eval_audio.csv"
    path.write_text(path.read_text().replace("\t", mark))
    sentence = refusal(folder)
    assert str(path) in sentence and "row 1" in sentence and "tabs" in sentence


def test_missing_column(tmp_path):
    folder = write_annotations(tmp_path)
    path = folder / "AVVP_eval_audio.csv"
    path.write_text(path.read_text().replace("onset", "start", 1))
    sentence = refusal(folder)
    assert "AVVP_eval_audio.csv, row 1" in sentence and "'onset'" in sentence


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("test0000000_0_10\t0\t4\tWolf", "'Wolf'"),
        ("test0000000_0_10\tzero\t4\tDog", "onset is 'zero'"),
        ("test0000000_0_10\tnan\t4\tDog", "onset is 'nan'"),
        ("test0000000_0_10\t\t4\tDog", "onset is ''"),
        ("test0000000_0_10\t0.5\t4\tDog", "onset is '0.5'"),
        ("test0000000_0_10\t-1\t4\tDog", "onset is -1"),
        ("test0000000_0_10\t11\t12\tDog", "onset is 11"),
        ("test0000000_0_10\t1\t12\tDog", "offset is 12"),
        ("test0000000_0_10\t1\tDog", "4 tab-separated fields"),
    ],
)
def test_bad_dense_row(tmp_path, row, expected):
    sentence = refusal(write_annotations(tmp_path, audio=[*AUDIO, row]))
    assert f"AVVP_eval_audio.csv, row {len(AUDIO) + 2}" in sentence and expected in sentence


@pytest.mark.parametrize(
    ("change", "file", "expected"),
    [
        ({"train": [*TRAIN, "new00000000_0_10\tWolf"]}, "AVVP_train.csv, row 5", "'Wolf'"),
        ({"train": [*TRAIN, "new00000000_0_10\t"]}, "AVVP_train.csv, row 5", "''"),
        ({"train": [*TRAIN, "\tDog"]}, "AVVP_train.csv, row 5", "filename is empty"),
        ({"train": [*TRAIN, TRAIN[0]]}, "AVVP_train.csv, row 5", "row 2 already"),
        ({"test": [*TEST, VAL[1]]}, "AVVP_test_pd.csv, row 5", "AVVP_val_pd.csv, row 3"),
        ({"val": []}, "AVVP_val_pd.csv", "no video"),
    ],
)
def test_bad_weak_row(tmp_path, change, file, expected):
    sentence = refusal(write_annotations(tmp_path, **change))
    assert file in sentence and expected in sentence


def test_empty_and_binary_files(tmp_path):
    folder = write_annotations(tmp_path)
    path = folder / "AVVP_train.csv"
    path.write_bytes(b"")
    assert "is empty" in refusal(folder)
    path.write_bytes(b"\xff\xfe\x00f\x00i")
    assert "UTF-8" in refusal(folder)
