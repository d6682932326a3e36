"""Importing released features: values, resuming, leaving out, memory."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from avvp.data.features import FeatureProblems, import_features, pool_frames, read_array
from avvp.data.store import describe, read_split
from avvp.errors import AvvpError
from avvp.models import build
from tests.book.conftest import ROOT
from tests.small_llp import (
    FEATURES,
    TEST,
    TRAIN,
    VAL,
    video_ids,
    write_annotations,
    write_features,
)


@pytest.fixture
def llp(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of made-up annotations and features."""
    annotations = write_annotations(tmp_path / "annotations")
    return annotations, write_features(tmp_path / "features", video_ids())


def quiet(annotations: Path, features: Path, out: Path, **options):
    return import_features(annotations, features, out, progress=False, **options)


def array_of(features: Path, folder: str, video: str) -> np.ndarray:
    return np.load(features / folder / f"{video[:11]}.npy")


def test_every_array_arrives(llp, tmp_path):
    out = tmp_path / "llp.h5"
    report = quiet(*llp, out)
    assert report.videos == {"train": 3, "val": 2, "test": 3} and not report.problems
    assert describe(out).fingerprint == report.fingerprint
    for split, rows in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        videos = read_split(out, split)
        assert videos.ids == tuple(row.split("\t")[0] for row in rows)
        for n, video in enumerate(videos.ids):
            assert np.array_equal(videos.audio[n], array_of(llp[1], "vggish", video))
            assert np.array_equal(videos.visual_3d[n], array_of(llp[1], "r2plus1d_18", video))
            frames = array_of(llp[1], "res152", video).astype(np.float64)
            pooled = frames.reshape(10, 8, 2048).mean(1)
            assert np.abs(videos.visual_2d[n].numpy() - pooled).max() < 1e-6
    assert read_split(out, "train").true_audio is None
    assert int(read_split(out, "test").true_audio.sum()) == 22
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotations", "features", "llp.h5"]


def test_provenance_says_what_went_in(llp, tmp_path):
    quiet(*llp, tmp_path / "llp.h5")
    provenance = describe(tmp_path / "llp.h5").provenance
    assert provenance["source"] == "LLP" and provenance["left_out"] == {}
    assert len(provenance["annotations"]["sha256"]["AVVP_train.csv"]) == 64


def test_pooling_frames_leaves_the_output_of_han_as_it_is(llp):
    """HAN on pooled features against HAN that projects every frame and averages afterwards."""
    torch.manual_seed(0)
    network = build("han").eval()
    audio, frames, visual_3d = (
        torch.stack([torch.from_numpy(array_of(llp[1], folder, v)) for v in video_ids()])
        for folder in FEATURES
    )
    pooled = torch.stack([torch.from_numpy(pool_frames(video.numpy())) for video in frames])
    assert frames.shape == (8, 80, 2048) and pooled.shape == (8, 10, 2048)
    projection = network.front_end.visual_2d
    with torch.no_grad():
        ours = network(audio, pooled, visual_3d)
        of_frames = projection(frames).unflatten(1, (10, 8)).mean(2)
        calls = []
        handle = projection.register_forward_hook(lambda *_: calls.append(1) or of_frames)
        released = network(audio, torch.zeros_like(pooled), visual_3d)
        handle.remove()
        without = network(audio, torch.zeros_like(pooled), visual_3d)
    assert calls == [1]
    for a, b in zip(ours[:5], released[:5], strict=True):
        assert (a - b).abs().max() < 1e-5
    # The frames do matter: without them the output differs by much more than that.
    assert (ours.visual - without.visual).abs().max() > 1e-3


def test_fortran_order_is_read(llp, tmp_path):
    path = llp[1] / "res152" / f"{video_ids()[0][:11]}.npy"
    array = np.load(path)
    np.save(path, np.asfortranarray(array))
    assert np.lib.format.open_memmap(path).flags.f_contiguous
    assert np.array_equal(read_array(path, (80, 2048)), array)


def test_missing_videos_are_left_out_on_request(llp, tmp_path):
    annotations, features = llp
    (features / "vggish" / f"{TEST[1][:11]}.npy").unlink()
    (features / "res152" / f"{TEST[1][:11]}.npy").unlink()
    bad = features / "res152" / f"{TRAIN[0][:11]}.npy"
    np.save(bad, np.full((80, 2048), np.nan, np.float32))
    report = quiet(annotations, features, tmp_path / "llp.h5", allow_missing=True)
    assert report.videos == {"train": 2, "val": 2, "test": 2}
    assert [p.file for p in report.problems] == [
        f"vggish/{TEST[1][:11]}.npy",
        f"res152/{TEST[1][:11]}.npy",
        f"res152/{TRAIN[0][:11]}.npy",
    ]
    described = describe(tmp_path / "llp.h5")
    assert described.fingerprint == report.fingerprint
    left_out = described.provenance["left_out"]
    assert set(left_out) == {TEST[1].split("\t")[0], TRAIN[0].split("\t")[0]}
    assert "vggish/test0000001.npy is missing; res152" in left_out[TEST[1].split("\t")[0]]
    test = read_split(tmp_path / "llp.h5", "test")
    assert test.ids == tuple(TEST[n].split("\t")[0] for n in (0, 2))
    assert np.array_equal(test.audio[1], array_of(features, "vggish", test.ids[1]))
    assert test.true_visual[1].any() and not test.true_visual[1, 3].any()
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*"))


def test_a_video_that_was_repaired_comes_back(llp, tmp_path):
    annotations, features = llp
    path = features / "vggish" / f"{TEST[1][:11]}.npy"
    array = np.load(path)
    quiet(annotations, features, tmp_path / "whole.h5")
    path.unlink()
    quiet(annotations, features, tmp_path / "llp.h5", allow_missing=True)
    np.save(path, array)
    quiet(annotations, features, tmp_path / "llp.h5")
    assert (tmp_path / "llp.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


class Stop(KeyboardInterrupt):
    """Ctrl-C at a chosen moment."""


def interrupt_after(monkeypatch, videos: int) -> None:
    from avvp.data import features

    read, count = features._read_video, iter(range(videos))

    def counted(*arguments):
        if next(count, None) is None:
            raise Stop
        return read(*arguments)

    monkeypatch.setattr(features, "_AT_ONCE", 1)
    monkeypatch.setattr(features, "_read_video", counted)


@pytest.mark.parametrize("videos", [0, 1, 4, 7])
def test_an_interrupted_import_goes_on_and_ends_the_same(llp, tmp_path, monkeypatch, videos):
    quiet(*llp, tmp_path / "whole.h5")
    out = tmp_path / "llp.h5"
    with monkeypatch.context() as patch:
        interrupt_after(patch, videos)
        with pytest.raises(Stop):
            quiet(*llp, out)
    assert not out.exists() and len(list(tmp_path.glob("llp.h5.*.partial"))) == 1
    assert quiet(*llp, out).resumed == videos
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_import_from_another_folder_is_not_taken_up(llp, tmp_path, monkeypatch):
    annotations, features = llp
    others = write_features(tmp_path / "others", video_ids(), seed=1)
    out = tmp_path / "llp.h5"
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        with pytest.raises(Stop):
            quiet(annotations, others, out)
    report = quiet(annotations, features, out)
    assert report.resumed == 0
    assert np.array_equal(
        read_split(out, "train").audio[0], array_of(features, "vggish", video_ids()[0])
    )
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_import_of_files_that_have_changed_starts_again(llp, tmp_path, monkeypatch):
    annotations, features = llp
    out = tmp_path / "llp.h5"
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        with pytest.raises(Stop):
            quiet(annotations, features, out)
    corrected = features / "vggish" / f"{video_ids()[0][:11]}.npy"
    np.save(corrected, np.full((10, 128), 0.25, np.float32))
    assert quiet(annotations, features, out).resumed == 0
    assert (read_split(out, "train").audio[0] == 0.25).all()
    assert not list(tmp_path.glob("*.partial"))


def test_a_killed_import_goes_on(tmp_path):
    """SIGKILL in the middle, twice; the third run ends with the bytes of an uninterrupted one."""
    rows = [f"many{n:07d}_0_10\tSpeech" for n in range(150)]
    annotations = write_annotations(tmp_path / "annotations", train=rows)
    ids = [row.split("\t")[0] for row in rows] + video_ids()[3:]
    features = write_features(tmp_path / "features", ids)
    quiet(annotations, features, tmp_path / "whole.h5")
    out = tmp_path / "llp.h5"
    code = (
        "import sys, time\n"
        "from avvp.data import features\n"
        "read, left = features._read_video, int(sys.argv[4])\n"
        "def stuck(*arguments):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0:\n"
        "        print('stuck', flush=True)\n"
        "        time.sleep(600)\n"
        "    return read(*arguments)\n"
        "features._read_video = stuck\n"
        "features.import_features(*sys.argv[1:4], progress=False)"
    )
    command = [sys.executable, "-c", code, str(annotations), str(features), str(out)]
    for videos in (20, 50):
        with subprocess.Popen([*command, str(videos)], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"stuck\n"
            process.kill()
        assert process.returncode == -signal.SIGKILL and not out.exists()
    assert quiet(annotations, features, out).resumed == 16 + 48  # videos are written by sixteens
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_memory_does_not_grow_with_the_number_of_videos(tmp_path):
    """What an import holds at its peak is the same for 20 videos and for 160."""

    def peak(count: int) -> int:
        folder = tmp_path / str(count)
        rows = [f"many{n:07d}_0_10\tSpeech" for n in range(count)]
        annotations = write_annotations(folder / "annotations", train=rows)
        ids = [row.split("\t")[0] for row in rows] + video_ids()[3:]
        features = write_features(folder / "features", ids)
        code = (
            "import sys\n"
            "from avvp.data.features import import_features\n"
            "from tests.peak_memory import peak_memory\n"
            "import_features(*sys.argv[1:4], progress=False)\n"
            "print(peak_memory())"
        )
        command = [sys.executable, "-c", code, str(annotations), str(features)]
        told = subprocess.check_output([*command, str(folder / "llp.h5")], text=True, cwd=ROOT)
        return int(told)

    few, many = peak(20), peak(160)
    assert many < 1 << 30
    # The 140 videos more are 92 MB of files and 15 MB of output.
    assert many - few < 8_000_000


def test_a_refusal_names_every_file(llp, tmp_path):
    annotations, features = llp
    (features / "vggish" / f"{TEST[1][:11]}.npy").unlink()
    np.save(features / "res152" / f"{VAL[0][:11]}.npy", np.zeros((80, 2048)))
    with pytest.raises(FeatureProblems) as caught:
        quiet(annotations, features, tmp_path / "llp.h5")
    assert isinstance(caught.value, AvvpError)
    assert [(p.file, p.problem) for p in caught.value.problems] == [
        ("vggish/test0000001.npy", "is missing"),
        ("res152/val00000000.npy", "is float64, expected float32"),
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotations", "features"]
