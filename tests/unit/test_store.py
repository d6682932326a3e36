"""One HDF5 file a data set: what goes in comes out, resident or streamed, in the same batches."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from avvp.data.annotations import AnnotatedSplit, take_first_by_hash
from avvp.data.store import (
    FEATURES,
    VIDEO_BYTES,
    StreamedVideos,
    available_memory,
    describe,
    read_split,
)
from avvp.data.store_writer import StoreWriter, write_videos
from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.losses import Objective
from avvp.models import build
from avvp.training import TrainingConfig, fit, seeded
from tests.book.conftest import ROOT
from tests.made_up_videos import make_videos

PROVENANCE = {"source": "made up"}


@pytest.fixture
def splits() -> dict[str, Videos]:
    return {
        "train": make_videos(23, seed=1, annotated=False),
        "val": make_videos(3, seed=2),
        "test": make_videos(5, seed=3),
    }


@pytest.fixture
def path(tmp_path, splits):
    file = tmp_path / "made_up.h5"
    write_videos(file, splits, PROVENANCE)
    return file


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_goes_in_comes_out(path, splits):
    for name, videos in splits.items():
        read = read_split(path, name)
        assert isinstance(read, Videos) and read.ids == videos.ids
        for tensor in ("audio", "visual_2d", "visual_3d", "weak"):
            assert torch.equal(getattr(read, tensor), getattr(videos, tensor))
        if name == "train":
            assert read.true_audio is None and read.true_visual is None
        else:
            assert torch.equal(read.true_audio, videos.true_audio)
            assert torch.equal(read.true_visual, videos.true_visual)


def test_a_split_of_training_may_carry_the_truth(tmp_path):
    videos = make_videos(4, seed=1)
    write_videos(tmp_path / "a.h5", {"train": videos}, PROVENANCE)
    assert torch.equal(read_split(tmp_path / "a.h5", "train").true_visual, videos.true_visual)


def test_masks_that_are_views_are_written_as_they_are(tmp_path):
    videos = make_videos(4, seed=1)
    turned = videos.true_audio.transpose(1, 2).contiguous().transpose(1, 2)
    assert not turned.is_contiguous()
    write_videos(tmp_path / "a.h5", {"val": replace(videos, true_audio=turned)}, PROVENANCE)
    assert torch.equal(read_split(tmp_path / "a.h5", "val").true_audio, videos.true_audio)


def test_the_same_content_gives_the_same_bytes(tmp_path, path, splits):
    fingerprint = write_videos(tmp_path / "again.h5", splits, PROVENANCE)
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()
    assert describe(path).fingerprint == fingerprint
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["again.h5", "made_up.h5"]


def test_fingerprints_tell_content_apart(tmp_path, path, splits):
    splits["test"].visual_3d[2, 3, 4] += 1e-6
    other = tmp_path / "other.h5"
    write_videos(other, splits, PROVENANCE)
    before, after = describe(path), describe(other)
    assert before.fingerprint != after.fingerprint
    assert before.splits["test"].fingerprint != after.splits["test"].fingerprint
    assert before.splits["val"].fingerprint == after.splits["val"].fingerprint
    write_videos(other, splits, {"source": "elsewhere"})
    assert describe(other).fingerprint != after.fingerprint
    assert read_split(other, "test").fingerprint == after.splits["test"].fingerprint


def test_description(path, splits):
    described = describe(path)
    assert described.provenance == PROVENANCE and described.schema_version == 1
    assert described.bytes == path.stat().st_size
    assert {k: v.videos for k, v in described.splits.items()} == {"train": 23, "val": 3, "test": 5}
    assert [described.splits[s].annotated for s in splits] == [False, True, True]
    counts = splits["train"].weak.sum(0).tolist()
    assert described.splits["train"].class_counts == tuple(counts)


def test_long_provenance_is_kept(tmp_path, splits):
    provenance = {"left_out": {f"video{n:08d}_0_10": "missing" for n in range(5000)}}
    assert len(json.dumps(provenance)) > 2 << 16  # past the 64 KiB of an HDF5 attribute
    write_videos(tmp_path / "long.h5", splits, provenance)
    assert describe(tmp_path / "long.h5").provenance == provenance


@pytest.mark.parametrize("chunk", [1, 4, 10, 23, 100, None])
@pytest.mark.parametrize("batch_size", [1, 5, 8, 64])
@pytest.mark.parametrize("skip", [0, 2])
def test_streamed_batches_are_the_resident_ones(path, chunk, batch_size, skip):
    resident = read_split(path, "train", resident=True, chunk=chunk)
    streamed = read_split(path, "train", resident=False, chunk=chunk)
    assert isinstance(resident, Videos) and isinstance(streamed, StreamedVideos)
    assert streamed.fingerprint == resident.fingerprint and len(streamed) == len(resident)
    for seed in (None, 0, 1):
        passes = []
        for videos in (resident, streamed):
            generator = None if seed is None else torch.Generator().manual_seed(seed)
            passes.append(
                list(videos.batches(batch_size=batch_size, generator=generator, skip=skip))
            )
        assert len(passes[0]) == len(passes[1])
        assert all(equal(*batches) for batches in zip(*passes, strict=True))


def test_the_same_network_learns_the_same_both_ways(tmp_path):
    """Trained on a resident split and on a streamed one, weights and scores are equal."""
    path = tmp_path / "made_up.h5"
    splits = {"train": make_videos(40, seed=1), "val": make_videos(6, seed=2)}
    write_videos(path, splits, PROVENANCE)
    trained, histories = [], []
    for resident in (True, False):
        train, val = (read_split(path, s, resident=resident, chunk=16) for s in splits)
        network = seeded(1, lambda: build("han")).to("cpu")
        result = fit(
            network,
            train,
            val,
            objective=Objective(),
            config=TrainingConfig(epochs=2, batch_size=6),
            seed=1,
            folder=tmp_path / f"resident-{resident}",
            progress=False,
        )
        trained.append(network.state_dict())
        histories.append(result.history)
    assert histories[0] == histories[1] and len(histories[0]) == 2
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    start = seeded(1, lambda: build("han")).state_dict()
    assert not all(torch.equal(trained[0][name], start[name]) for name in start)


def test_a_pass_that_is_left_early_leaves_nothing_behind(path):
    streamed = read_split(path, "train", resident=False, chunk=4)
    first = next(iter(streamed.batches(batch_size=2)))
    assert first.index.tolist() == [0, 1]
    assert equal(first, next(iter(streamed.batches(batch_size=2))))


def test_streamed_rows_come_in_any_order(path):
    streamed = read_split(path, "train", resident=False)
    index = torch.tensor([7, 2, 2, 19])
    assert equal(streamed.rows(index), read_split(path, "train").rows(index))


def test_a_limit_samples_by_hash(path, splits):
    picked = take_first_by_hash(splits["train"].ids, 6)
    resident = read_split(path, "train", limit=6, resident=True)
    streamed = read_split(path, "train", limit=6, resident=False, chunk=4)
    assert resident.ids == streamed.ids == tuple(splits["train"].ids[n] for n in picked)
    assert torch.equal(resident.visual_2d, splits["train"].visual_2d[picked])
    (batch,) = streamed.batches(batch_size=6)
    assert torch.equal(batch.visual_2d, resident.visual_2d)
    assert resident.fingerprint == streamed.fingerprint != read_split(path, "train").fingerprint
    assert len(read_split(path, "train", limit=1000)) == 23


def test_memory_decides_unless_the_caller_does(path, monkeypatch):
    assert available_memory("cpu") > 0
    monkeypatch.setattr("avvp.data.store.available_memory", lambda device: 2 * 5 * VIDEO_BYTES)
    assert isinstance(read_split(path, "test"), Videos)
    assert isinstance(read_split(path, "train"), StreamedVideos)
    assert isinstance(read_split(path, "train", limit=5), Videos)
    assert isinstance(read_split(path, "train", resident=True), Videos)


def test_streaming_holds_three_chunks_at_most(tmp_path):
    """A pass over 108 MB in chunks of 4.3 MB grows the process by far less than the split."""
    # The allocator alone grows by 6 to 13 MB on a busy machine: chunks must outweigh that.
    count, chunk = 1000, 40
    write_videos(tmp_path / "large.h5", {"train": make_videos(count, seed=1)}, PROVENANCE)
    code = f"""
from avvp.data.store import read_split
from tests.peak_memory import peak_memory
videos = read_split({str(tmp_path / "large.h5")!r}, "train", resident=False, chunk={chunk})
def walk():
    return sum(float(b.audio.sum()) for b in videos.batches(batch_size=16))
next(iter(videos.batches(batch_size=16)))  # warm up
before = peak_memory()
walk()
print(peak_memory() - before)
"""
    grown = int(subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT))
    assert grown < 6 * chunk * VIDEO_BYTES < count * VIDEO_BYTES / 4


def as_labels(videos: Videos) -> AnnotatedSplit:
    return AnnotatedSplit(videos.ids, videos.weak, videos.true_audio, videos.true_visual)


def block(videos: Videos, start: int, stop: int) -> dict[str, np.ndarray]:
    return {name: getattr(videos, name)[start:stop].numpy() for name in FEATURES}


def test_an_unfinished_file_is_taken_up_and_ends_the_same(tmp_path, path, splits):
    labels = {name: as_labels(videos) for name, videos in splits.items()}
    partial = tmp_path / "partial.h5"
    with StoreWriter.create(partial, labels, PROVENANCE) as writer:
        writer.write("train", 0, block(splits["train"], 0, 10))
        writer.write("test", 2, block(splits["test"], 2, 4))
        with pytest.raises(AvvpError, match="13 videos of train"):
            writer.finish()
    with pytest.raises(AvvpError, match="not finished"):
        read_split(partial, "train")
    with StoreWriter.reopen(partial, labels, PROVENANCE) as writer:
        assert writer.unwritten("train").tolist() == [False] * 10 + [True] * 13
        assert writer.unwritten("test").tolist() == [True, True, False, False, True]
        for name, videos in splits.items():
            for n in np.flatnonzero(writer.unwritten(name)):
                writer.write(name, n, block(videos, n, n + 1))
        writer.finish()
    assert partial.read_bytes() == path.read_bytes()


def test_a_torn_video_counts_as_unwritten(tmp_path, splits):
    labels = {"test": as_labels(splits["test"])}
    partial = tmp_path / "partial.h5"
    with StoreWriter.create(partial, labels, PROVENANCE) as writer:
        writer.write("test", 0, block(splits["test"], 0, 5))
        place, stride = writer._places["test/visual_2d"]
    with partial.open("r+b") as file:
        file.seek(place + 2 * stride + 100)
        file.write(b"\1\2\3")
    with StoreWriter.reopen(partial, labels, PROVENANCE) as writer:
        assert writer.unwritten("test").tolist() == [False, False, True, False, False]


def test_a_file_of_other_videos_is_not_taken_up(tmp_path, splits):
    labels = {"test": as_labels(splits["test"])}
    partial = tmp_path / "partial.h5"
    StoreWriter.create(partial, labels, PROVENANCE).__exit__()
    others = {"test": labels["test"].rows(torch.arange(4))}
    assert StoreWriter.reopen(partial, others, PROVENANCE) is None
    assert StoreWriter.reopen(partial, labels, {"source": "elsewhere"}) is None
    assert StoreWriter.reopen(tmp_path / "nowhere.h5", labels, PROVENANCE) is None
    partial.write_bytes(b"no HDF5 at all")
    assert StoreWriter.reopen(partial, labels, PROVENANCE) is None
