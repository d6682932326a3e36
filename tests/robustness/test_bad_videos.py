"""Videos, folders and weights that are not what they should be: one clear sentence each."""

from pathlib import Path

import numpy as np
import pytest

from avvp.cli import main
from avvp.errors import AvvpError
from avvp.extraction import extract
from avvp.extraction.clips import read_clip
from avvp.extraction.extract import extract_folder
from tests.made_up_clips import write_clip
from tests.small_networks import see_small, small_networks


def refusal(path: Path) -> str:
    with pytest.raises(AvvpError) as caught:
        read_clip(path)
    said = str(caught.value)
    assert said.startswith(str(path)) and said.endswith(".") and "\n" not in said
    return said


def test_an_empty_file(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("content", [b"Dear all,\n\nhello.\n" * 100, b"x", bytes(10_000)])
def test_no_video(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    assert "is damaged or no video" in refusal(tmp_path / "a.mp4")


def test_a_file_that_is_gone(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "nowhere")
    assert "can't be read (No such file or directory)" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.8])
def test_a_file_that_was_cut_off(tmp_path, ending, kept):
    path = write_clip(tmp_path / f"a.{ending}")
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_a_file_with_its_index_in_front_that_was_cut_off(tmp_path, kept):
    path = write_clip(tmp_path / "a.mp4", options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert "damaged" in refusal(path)


def test_noise_in_the_middle(tmp_path):
    """Whatever a decoder makes of it: features, or one sentence; never another error."""
    whole = write_clip(tmp_path / "a.mp4").read_bytes()
    generator = np.random.default_rng(0)
    for n in range(20):
        content = bytearray(whole)
        start = int(generator.integers(len(content) - 4000))
        content[start : start + 4000] = generator.bytes(4000)
        path = tmp_path / f"{n}.mp4"
        path.write_bytes(content)
        try:
            clip = read_clip(path)
        except AvvpError as error:
            assert str(error).startswith(str(path))
        else:
            assert clip.sampled[-1] < len(clip.frames) and np.isfinite(clip.sound).all()


def test_three_hours_are_not_decoded(tmp_path):
    """Three hours at two frames a second, of which 21 are decoded."""
    path = tmp_path / "film.mkv"
    write_clip(path, times=[n / 2 for n in range(3 * 3600 * 2)], size=(16, 16), seconds=12)
    clip = read_clip(path)
    assert len(clip.frames) == 80 and clip.times[-1] <= 10
    assert clip.notes == ("is longer than 10 s: its first 10 s were taken",)


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    status = main(["data", "extract", *map(str, arguments)])
    told = capsys.readouterr()
    errors = [line for line in told.err.splitlines() if line.startswith("avvp: ")]
    assert len(errors) <= 1
    return status, told.out, errors[0] if errors else ""


@pytest.fixture
def networks(monkeypatch) -> None:
    """Networks without weights."""
    monkeypatch.setattr(extract, "load_networks", lambda *a, **options: small_networks())
    see_small(monkeypatch.setattr)


@pytest.mark.usefixtures("networks")
def test_one_that_is_damaged_does_not_stop_the_others(tmp_path, capsys):
    videos = tmp_path / "Été à la mer, 2 × vidéos"
    write_clip(videos / "a b.mp4")
    (videos / "broken.mp4").write_text("hello")
    (videos / "empty.mp4").touch()
    write_clip(videos / "ñandú – 鳥.mkv", seconds=4)
    write_clip(videos / "sound only.mp4", rate=0)
    out = tmp_path / "öut put"
    status, told, error = run(capsys, videos, "--out", out, "--weights", tmp_path)
    assert status == 2
    assert "3 of 5 videos in" in error and "gave no features" in error
    lines = told.splitlines()
    assert lines[0].startswith("ñandú – 鳥.mkv has images for 4.0 s")
    for name, said in (("broken", "no video"), ("empty", "0 bytes"), ("sound only", "no images")):
        (line,) = [line for line in lines if f"{name}.mp4" in line]
        assert said in line
    assert lines[-1] == f"{out}: features of 2 videos were made"
    assert sorted(p.name for p in (out / "res152").iterdir()) == ["a b.npy", "ñandú – 鳥.npy"]

    for name in ("broken", "empty", "sound only"):
        (videos / f"{name}.mp4").unlink()
    status, told, error = run(capsys, videos, "--out", out, "--weights", tmp_path)
    assert (status, error) == (0, "")
    assert told == f"{out}: features of 0 videos were made, 2 were there\n"


@pytest.mark.usefixtures("networks")
def test_folders_without_videos(tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    options = ("--out", tmp_path / "out", "--weights", tmp_path / "weights")
    status, _, error = run(capsys, tmp_path, *options)
    assert status == 2 and "holds no video: no file directly in it ends with .mp4" in error
    status, _, error = run(capsys, tmp_path / "none", *options)
    assert status == 2 and "is not a folder; name the folder in which the videos lie" in error
    status, _, error = run(capsys, tmp_path / "notes.txt", *options)
    assert status == 2 and "is not a folder" in error
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"], "nothing was made or fetched"


def test_two_videos_of_one_name(tmp_path):
    for name in ("a.mp4", "a.mkv"):
        (tmp_path / name).touch()
    with pytest.raises(AvvpError, match=r"a\.mp4 and a\.mkv would share the features a\.npy"):
        extract_folder(tmp_path, tmp_path / "out", small_networks(), progress=False)


def test_weights_of_another_network(tmp_path, capsys):
    """The command says which file, what it lacks, and what belongs there."""
    import torch

    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    for name in ("vggish", "resnet152", "r2plus1d_18"):
        torch.save({"conv1.weight": torch.ones(64, 3, 7, 7)}, tmp_path / f"{name}.pth")
    status, _, error = run(
        capsys, tmp_path / "videos", "--out", tmp_path / "out", "--weights", tmp_path
    )
    assert status == 2
    assert "vggish.pth does not hold the weights of VGGish: features.0.weight is missing" in error
    assert "put there vggish-10086976.pth from https://" in error
    assert not (tmp_path / "out").exists()
