"""Data files that are truncated, changed, of another version, or do not fit on the disk."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from avvp.data import load, store_writer
from avvp.data.store import SPLITS, describe, read_split
from avvp.data.store_writer import write_videos
from avvp.errors import AvvpError
from tests.made_up_videos import make_videos
from tests.unprivileged import unprivileged


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("store") / "made_up.h5"
    splits = {"train": make_videos(2, seed=1, annotated=False), "val": make_videos(1, seed=2)}
    write_videos(path, splits, {"source": "made up"})
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, content):
    path = tmp_path / "made_up.h5"
    path.write_bytes(content)
    return path


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(AvvpError) as caught:
        call(*arguments, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_missing_file(tmp_path):
    assert "nowhere.h5" in refusal(read_split, tmp_path / "nowhere.h5", "train")


def test_missing_split(path):
    assert "'test'; it has train, val" in refusal(read_split, path, "test")


@pytest.mark.parametrize("size", [0, 1, 50, 2000, 100_000, -1])
def test_truncated(path, content, size):
    path.write_bytes(content[:size])
    assert "made_up.h5 is damaged, truncated" in refusal(read_split, path, "train")


def test_no_hdf5_file(path):
    path.write_text("filename\tevent_labels\n")
    assert "no HDF5 file" in refusal(describe, path)


def test_somebody_elses_hdf5_file(path):
    with h5py.File(path, "w") as file:
        file["train"] = np.arange(3)
    assert "not written by avvp" in refusal(read_split, path, "train")


def test_other_schema_version(path):
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 2
    sentence = refusal(read_split, path, "train")
    assert "version 2" in sentence and "reads version 1" in sentence


def test_missing_and_misshapen_arrays(path, content):
    with h5py.File(path, "r+") as file:
        del file["train/visual_2d"]
    assert "made_up.h5" in refusal(read_split, path, "train")
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        del file["train/audio"]
        file["train/audio"] = np.zeros((2, 10, 64), np.float32)
    assert "train/audio is (2, 10, 64)" in refusal(read_split, path, "train")


def test_changed_provenance(path):
    with h5py.File(path, "r+") as file:
        file.attrs["provenance"] = json.dumps({"source": "somewhere else"})
    assert "fingerprint" in refusal(describe, path, check=False)


@pytest.mark.parametrize("name", ["audio", "visual_2d", "visual_3d", "weak", "ids"])
@pytest.mark.parametrize("resident", [True, False])
def test_changed_content(path, name, resident):
    with h5py.File(path, "r") as file:
        place = file[f"train/{name}"].id.get_offset() + file[f"train/{name}"].nbytes - 3
    flip(path, place)

    def walk():
        return list(read_split(path, "train", resident=resident, chunk=1).batches(batch_size=1))

    sentence = refusal(walk)
    assert "was changed" in sentence and "video seed1-" in sentence
    refusal(describe, path)


def flip(path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def everything(path) -> tuple:
    told = describe(path)
    splits = [read_split(path, name) for name in SPLITS if name in told.splits]
    tensors = [x for s in splits for x in vars(s).values() if isinstance(x, torch.Tensor)]
    return told.provenance, told.fingerprint, [s.ids for s in splits], tensors


FLIPS = int(os.environ.get("AVVP_FLIPS", "200"))


def test_no_changed_byte_goes_unnoticed(path, content):
    """Flip bits, most of them outside the features: refused or harmless (AVVP_FLIPS tries more)."""
    before = everything(path)
    with h5py.File(path, "r") as file:
        bulk = [
            (item.id.get_offset(), item.nbytes)
            for split in file.values()
            if isinstance(split, h5py.Group)
            for item in split.values()
            if item.nbytes > 10_000
        ]
    inside = np.zeros(len(content), bool)
    for start, size in bulk:
        inside[start : start + size] = True
    chosen = np.random.default_rng(0).choice(np.flatnonzero(inside), 20, replace=False)
    refused = 0
    outside = np.flatnonzero(~inside)
    for place in [*outside.tolist()[:: max(1, len(outside) // FLIPS)], *chosen.tolist()]:
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        try:
            after = everything(path)
        except AvvpError:
            refused += 1
            continue
        assert not inside[place]
        assert after[:3] == before[:3]
        assert all(torch.equal(a, b) for a, b in zip(after[3], before[3], strict=True))
    assert refused > len(chosen)


def test_other_shapes_are_not_written(tmp_path):
    videos = make_videos(2, seed=1)
    frames = videos.visual_2d.repeat_interleave(8, dim=1)
    wrong = type(videos)(**{**vars(videos), "visual_2d": frames})
    sentence = refusal(write_videos, tmp_path / "a.h5", {"train": wrong}, {})
    assert "visual_2d of train is (2, 80, 2048)" in sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"weak": torch.zeros(4, 3).bool()}, "weak of val is (4, 3); expected (4, 25)"),
        ({"weak": torch.zeros(4, 25)}, "weak of val is torch.float32; expected torch.bool"),
        ({"audio": torch.zeros(3, 10, 128)}, "audio of val is (3, 10, 128); expected (4, 10, 128)"),
        ({"audio": torch.zeros(4, 10, 128).double()}, "audio of val is torch.float64; expected"),
        ({"true_audio": torch.zeros(4, 10, 25).bool()}, "true_audio of val is (4, 10, 25); expect"),
        ({"true_visual": torch.zeros(4, 25, 10)}, "true_visual of val is torch.float32; expected"),
        ({"true_audio": None}, "val has no true_audio; give both masks of seconds, or neither"),
        ({"true_visual": None}, "val has no true_visual; give both masks"),
        ({"ids": ("a", "b", "a", "c")}, "ids of val: row 2 is a, which stands in val already"),
        (
            {"ids": ("a", "b", "seed1-00001_0_10", "c")},
            "row 2 is seed1-00001_0_10, which stands in",
        ),
        ({"ids": ("a", "", "b", "c")}, "ids of val: row 1 is ''; every video needs a name"),
        ({"ids": ("a", "b", " ", "c")}, "ids of val: row 2 is ' '; every video needs a name"),
        (
            {"ids": ("a", "b", "c\0", "d")},
            "ids of val: row 2 is 'c\\x00'; every video needs a name",
        ),
        ({"ids": (1, 2, 3, 4)}, "ids of val: row 0 is 1; every video needs a name"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(change, expected, tmp_path):
    splits = {"train": make_videos(2, seed=1), "val": replace(make_videos(4, seed=2), **change)}
    assert expected in refusal(write_videos, tmp_path / "a.h5", splits, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("stream", ["audio", "visual_2d", "visual_3d"])
def test_features_that_are_not_finite_are_not_written(stream, number, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "BLOCK", 2)
    videos = make_videos(5, seed=1)
    getattr(videos, stream)[3, 9, 0] = number
    getattr(videos, stream)[4] = number
    told = refusal(write_videos, tmp_path / "a.h5", {"test": videos}, {})
    assert f"{stream} of test holds values that are not finite" in told
    assert "video seed1-00003_0_10" in told and not list(tmp_path.iterdir())


def test_a_split_without_videos_is_not_written(tmp_path):
    none = make_videos(0, seed=1)
    told = refusal(
        write_videos, tmp_path / "a.h5", {"train": make_videos(1, seed=2), "val": none}, {}
    )
    assert "no video is left in val; a data file needs one in each split" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("provenance", "told"),
    [
        (["mine"], "provenance is a list; expected a mapping"),
        ("mine", "provenance is a str; expected a mapping"),
        ({"path": Path("a")}, "provenance can't be written as JSON"),
    ],
)
def test_a_provenance_that_is_no_mapping_is_not_written(provenance, told, tmp_path):
    videos = {"test": make_videos(1, seed=1)}
    assert told in refusal(write_videos, tmp_path / "a.h5", videos, provenance)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("device", ["gpu", "cuda:9"])
def test_a_device_that_is_not_there_is_not_called_a_damaged_file(device, tmp_path):
    write_videos(tmp_path / "a.h5", {"test": make_videos(1, seed=1)}, {})
    for source in (tmp_path / "a.h5", "smoke"):
        assert f"device '{device}' is not on this machine" in refusal(
            load, source, "test", device=device
        )


def test_splits_that_nobody_looks_for_are_not_written(tmp_path):
    told = refusal(write_videos, tmp_path / "a.h5", {}, {})
    assert "there is no split to write; a data file holds train, val, test" in told
    told = refusal(write_videos, tmp_path / "a.h5", {"validation": make_videos(1, seed=1)}, {})
    assert "no split is called 'validation'; a data file holds train, val, test" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", [0, -1, 2.5, "3"])
def test_a_number_of_videos_that_is_none(limit, path):
    expected = f"limit is {limit!r}; it must be a whole number from 1 on"
    assert expected in refusal(read_split, path, "train", limit=limit)
    for source in (path, "smoke"):
        assert expected in refusal(load, source, "train", limit=limit)


def test_a_file_that_may_not_be_read_is_not_called_damaged(content):
    with unprivileged() as folder:
        (folder / "a.h5").write_bytes(content)
        (folder / "a.h5").chmod(0)
        for call in (describe, partial(read_split, split="train")):
            assert "a.h5 can't be read (Permission denied)" in refusal(call, folder / "a.h5")


def test_full_disk_is_found_before_writing(tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 1_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    sentence = refusal(write_videos, tmp_path / "a.h5", {"train": make_videos(20, seed=1)}, {})
    assert str(tmp_path) in sentence and "0.00 GB free" in sentence
    assert not list(tmp_path.iterdir())


def test_a_disk_that_takes_no_more_leaves_what_was_there(tmp_path):
    """The system itself refuses to make files of more than 1 MB, as a full disk would."""
    path = tmp_path / "a.h5"
    path.write_text("yesterday's")
    code = f"""
import resource
from avvp.data.store_writer import write_videos
from avvp.errors import AvvpError
from tests.made_up_videos import make_videos
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    write_videos({str(path)!r}, {{"train": make_videos(20, seed=1)}}, {{}})
except AvvpError as error:
    print(error)
"""
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "does not take a file of" in said and "free some space" in said
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_text() == "yesterday's"
