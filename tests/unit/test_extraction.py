"""From a folder of videos to three feature folders: networks, resuming, the command line."""

import importlib
import json
import shutil
import signal
import subprocess
import sys
import time
import zlib
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import avvp.extraction
from avvp.cli import main
from avvp.data import read_annotations
from avvp.data.features import FOLDERS, NAME_LENGTH, import_features
from avvp.errors import AvvpError
from avvp.extraction import extract, operators, visual
from avvp.extraction.extract import RECORD, extract_clip, extract_folder, find_videos, load_networks
from avvp.extraction.weights import PUBLISHED
from tests.conftest import SHARED
from tests.made_up_clips import write_clip
from tests.small_llp import video_ids, write_annotations
from tests.small_networks import see_small, small_networks


def arrays(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.npy"))}


def rule_weights(folder: Path) -> Path:
    """Weights of all three networks, each tensor drawn from its name, none of which blows up."""
    folder.mkdir()
    for network in PUBLISHED.values():
        with torch.device("meta"):
            shapes = network.build().state_dict()
        state = {}
        for name, value in shapes.items():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            if value.ndim > 1:
                scale = (2 / value[0].numel()) ** 0.5
                state[name] = (scale * torch.randn(value.shape, generator=generator)).half()
            elif name.endswith(("running_var", "weight")):  # the last norm of a branch is small
                state[name] = torch.full(value.shape, 0.2 if "bn3" in name else 1.0)
            else:
                state[name] = torch.zeros(value.shape, dtype=value.dtype)
        save_file(state, folder / f"{network.stem}.safetensors")
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """The real clip where it is, else a made-up one, alone in a folder with an odd name."""
    folder = tmp_path_factory.mktemp("videos") / "zwölf Vidéos  á"
    folder.mkdir()
    real = SHARED / "llp" / "sample" / "BjCEufrlXm4.mp4"
    if real.is_file():
        return Path(shutil.copy(real, folder))
    return write_clip(folder / "BjCEufrlXm4.mp4", rate=30)


@pytest.fixture
def seen_small(monkeypatch) -> None:
    """Smaller images, where what is in them is not the point."""
    see_small(monkeypatch.setattr)


@pytest.mark.usefixtures("seen_small")
def test_the_whole_way_with_the_whole_networks(clip, tmp_path, capsys, monkeypatch):
    """Command, weights, networks, files; and again, with the same bytes."""
    loaded = []
    load = extract.load_networks
    monkeypatch.setattr(
        extract, "load_networks", lambda *a, **o: loaded.append(load(*a, **o)) or loaded[-1]
    )
    weights, out = rule_weights(tmp_path / "weights"), tmp_path / "features"
    command = ["data", "extract", str(clip.parent), "--weights", str(weights), "--device", "cpu"]
    assert main([*command, "--out", str(out)]) == 0
    assert "features of 1 videos were made\n" in capsys.readouterr().out
    made = {s: np.load(out / f / "BjCEufrlXm4.npy") for s, (f, _) in FOLDERS.items()}
    for stream, (_, shape) in FOLDERS.items():
        assert made[stream].shape == shape and made[stream].dtype == np.float32
        assert np.isfinite(made[stream]).all() and made[stream].min() >= 0  # after a ReLU
        apart = np.abs(made[stream] - made[stream][0]).mean(axis=1) / made[stream].mean()
        assert apart[1:].max() > 1e-3, "seconds differ"
    assert sorted(json.loads((out / RECORD).read_text())["weights"]) == sorted(FOLDERS)

    extract_folder(clip.parent, tmp_path / "again", *loaded, progress=False)
    assert arrays(tmp_path / "again") == arrays(out) and len(arrays(out)) == 3
    shutil.rmtree(weights)  # a third of a gigabyte


@torch.inference_mode()
def test_what_the_networks_see(clip):
    inputs = extract.prepare(clip)
    shapes = {stream: tuple(values.shape) for stream, values in inputs.streams.items()}
    assert shapes == {
        "audio": (10, 1, 96, 64),
        "visual_2d": (80, 3, 224, 224),
        "visual_3d": (10, 3, 8, 112, 112),
    }
    assert {values.dtype for values in inputs.streams.values()} == {torch.float32}
    with torch.device("meta"):  # no numbers, but the shapes of the whole networks
        for stream, network in PUBLISHED.items():
            module = network.build()
            if network.classifier:
                setattr(module, network.classifier, torch.nn.Identity())
            given = torch.empty(shapes[stream], device="meta")
            _, (rows, width) = FOLDERS[stream]
            assert module(given).shape == (rows, width)


def test_frames_are_cut_and_squeezed_as_the_recipe_says():
    from PIL import Image

    ramp = np.zeros((120, 200, 3), np.uint8)
    ramp[:, :, 0] = np.arange(200)
    ramp[:, :, 1] = np.arange(120)[:, None]
    image = Image.fromarray(ramp)
    wide = image.resize((426, 256), Image.Resampling.BILINEAR).crop((101, 16, 325, 240))
    expected = (np.asarray(wide) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    found = visual.frames([image] * 2)
    np.testing.assert_allclose(found[1].permute(1, 2, 0).numpy(), expected, atol=1e-5)

    squeezed = np.asarray(image.resize((112, 112), Image.Resampling.BILINEAR)) / 255
    expected = (squeezed - [0.43216, 0.394666, 0.37645]) / [0.22803, 0.22145, 0.216989]
    black = Image.new("RGB", (200, 120))
    found = visual.stretches([black] * 11 + [image] + [black] * 4)
    assert found.shape == (2, 3, 8, 112, 112)
    np.testing.assert_allclose(found[1, :, 3].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_seconds_stay_apart(tmp_path):
    """Each network's row t comes from second t: a clip that changes once, at 5 s."""
    path = write_clip(tmp_path / "a.mp4", times=[0.0, 5.15, 9.9])
    found, notes = extract_clip(path, small_networks())
    images = found["visual_2d"].mean(axis=1)
    assert np.ptp(images[:40]) < 0.02 and np.ptp(images[43:77]) < 0.02
    assert abs(images[0] - images[76]) > 0.1
    assert notes == ()


@pytest.fixture(scope="module")
def ten(tmp_path_factory) -> Path:
    """Ten videos, each of its own."""
    folder = tmp_path_factory.mktemp("ten videos")
    for n in range(10):
        times = [0.0, 0.5 * n, 9.9]
        write_clip(folder / f"video {n}.mp4", times=sorted(set(times)), size=(48, 32))
    return folder


@pytest.mark.usefixtures("seen_small")
def test_what_is_done_is_not_done_again(ten, tmp_path, monkeypatch):
    done = []
    prepare = extract.prepare
    monkeypatch.setattr(extract, "prepare", lambda p: done.append(p.stem) or prepare(p))
    report = extract_folder(ten, tmp_path, small_networks(), progress=False)
    assert (report.made, report.resumed, report.problems) == (10, 0, [])
    first = arrays(tmp_path)
    assert len(first) == 30
    done.clear()
    (tmp_path / "res152" / "video 3.npy").unlink()
    (tmp_path / "vggish" / "video 7.npy").write_bytes(first["vggish/video 7.npy"][:-4])
    report = extract_folder(ten, tmp_path, small_networks(), progress=False)
    assert (report.made, report.resumed) == (2, 8) and sorted(done) == ["video 3", "video 7"]
    assert arrays(tmp_path) == first


@pytest.mark.usefixtures("seen_small")
def test_ten_videos_go_on_after_a_kill(ten, tmp_path):
    """Killed in the middle, the features end with the same bytes as in one go."""
    whole = tmp_path / "whole"
    extract_folder(ten, whole, small_networks(), progress=False)
    code = (
        "import sys, time\n"
        "from avvp.extraction import extract\n"
        "from tests.small_networks import see_small, small_networks\n"
        "see_small()\n"
        "compute, done = extract.compute, []\n"
        "def slow(*arguments):\n"
        "    done.append(time.sleep(600 if len(done) == 5 else 0))\n"
        "    return compute(*arguments)\n"
        "extract.compute = slow\n"
        "extract.extract_folder(sys.argv[1], sys.argv[2], small_networks(), progress=False)"
    )
    out = tmp_path / "cut"
    process = subprocess.Popen([sys.executable, "-c", code, str(ten), str(out)])
    while len(arrays(out)) < 15:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(arrays(out)) == 15
    for folder in ("res152", "r2plus1d_18"):
        (out / folder / "video 4.npy").unlink()  # had the kill come between its files
    (out / "vggish" / ".video 9.npy.x.part").touch()  # a kill in the middle of a file leaves that
    report = extract_folder(ten, out, small_networks(), progress=False)
    assert (report.made, report.resumed) == (6, 4)
    assert arrays(out) == arrays(whole)
    left = [p for p in out.rglob("*") if p.is_file() and p.suffix != ".npy"]
    assert [p.name for p in left] == [RECORD], "nothing half-written stays"


@pytest.mark.usefixtures("seen_small")
def test_interrupting_leaves_whole_files(ten, tmp_path, cut_off):
    with cut_off(extract, "compute", after=3):
        extract_folder(ten, tmp_path, small_networks(), progress=False)
    assert len(arrays(tmp_path)) == 9


@pytest.mark.usefixtures("seen_small")
def test_other_weights_are_not_mixed_in(ten, tmp_path):
    extract_folder(ten, tmp_path, small_networks(), progress=False)
    with pytest.raises(AvvpError, match=r"made with other weights .* name another folder"):
        extract_folder(ten, tmp_path, small_networks("other"), progress=False)
    (tmp_path / RECORD).write_text("hello")
    with pytest.raises(AvvpError, match="made with other weights"):
        extract_folder(ten, tmp_path, small_networks(), progress=False)
    (tmp_path / RECORD).unlink()
    with pytest.raises(AvvpError, match="holds features that were made elsewhere"):
        extract_folder(ten, tmp_path, small_networks(), progress=False)


@pytest.mark.usefixtures("seen_small")
def test_names_are_those_that_the_import_looks_for(tmp_path):
    for name in video_ids():
        write_clip(tmp_path / "videos" / f"{name}.MP4", times=[0.0, 5.0, 9.9], size=(32, 32))
    extract_folder(tmp_path / "videos", tmp_path / "out", small_networks(), progress=False)
    annotations = write_annotations(tmp_path / "annotations")
    report = import_features(
        annotations, tmp_path / "out", tmp_path / "a.h5", allow_missing=False, progress=False
    )
    assert sum(report.videos.values()) == len(video_ids()) and not report.problems


def test_windows_at_fractions_of_a_second_are_named_as_the_import_looks_for_them(tmp_path):
    for name in ("ApKgnUPayqU_8.5_18.5", "BYEc9L5kGKQ_48_58", "my_2.5_clip"):
        (tmp_path / f"{name}.mp4").touch()
    assert list(find_videos(tmp_path)) == ["ApKgnUPayqU", "BYEc9L5kGKQ", "my_2.5_clip"]


def test_every_video_of_llp_is_named_as_the_import_looks_for_it(shared, tmp_path):
    ids = [video for split in read_annotations(shared / "llp").values() for video in split.ids]
    for video in ids:
        (tmp_path / f"{video}.mp4").touch()
    assert set(find_videos(tmp_path)) == {video[:NAME_LENGTH] for video in ids}


def test_only_videos_of_the_folder_count(tmp_path):
    for name in ("b.mkv", "a.MP4", "notes.txt", ".hidden.mp4", "below/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    assert [(n, p.name) for n, p in find_videos(tmp_path).items()] == [
        ("a", "a.MP4"),
        ("b", "b.mkv"),
    ]


def test_operators_that_torchvision_describes_are_declared():
    assert not operators.declare_missing_operators(), "importing the package did it"
    for name in operators.DECLARATIONS:
        assert operators._is_declared(name)


def test_import_works_where_the_compiled_operators_can_not_be_loaded():
    code = (
        "import torch\n"
        "def refuse(path):\n"
        "    raise OSError('made for another build')\n"
        "torch.ops.load_library = refuse\n"
        "import avvp.extraction\n"
        "from torchvision.models import resnet152\n"
        "from torchvision.models.video import r2plus1d_18"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_extra_packages_it_says_what_to_install(monkeypatch):
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "av" else find(name))
    with pytest.raises(
        AvvpError, match=r"needs av, which .* lacks; install them .*'\.\[extract\]'"
    ):
        importlib.reload(avvp.extraction)


def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(AvvpError, match="device 'tpu' is not on this machine"):
        load_networks(tmp_path, device="tpu")
