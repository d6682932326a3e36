"""Killed, or on a full disk, a reproduction ends with the numbers of one that was left alone."""

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from avvp import training
from avvp.atomic import atomic_path, remove_leftovers
from avvp.cli import main
from avvp.experiments import PROFILES, REGISTRY
from avvp.fan_out import reproduce
from avvp.results import find_runs, read_arrays, read_run

PROCESSES = multiprocessing.get_context("forkserver")
"""Makes processes that have imported everything and computed nothing."""
PROCESSES.set_forkserver_preload(["avvp.fan_out", "torch._dynamo"])


def reproduce_until(write: int | None, runs: Path, only: str) -> None:
    """``avvp reproduce`` in two epochs with a checkpoint a step, killed in its n-th file."""
    PROFILES["smoke"] = replace(PROFILES["smoke"], epochs=2)
    for name in ("ma/c", "ma/cr"):
        REGISTRY[name] = replace(REGISTRY[name], options={"width": 16})
    training.fit.__kwdefaults__["checkpoint_seconds"] = 0.0
    to_disk, count = os.fsync, 0

    def counted(stream: int) -> None:
        nonlocal count
        count += 1
        if count == write:
            os.kill(os.getpid(), signal.SIGKILL)
        to_disk(stream)

    os.fsync = counted
    folders = [f"--runs={runs}", f"--results={runs / 'none'}"]
    os._exit(main(["reproduce", "--profile=smoke", "--device=cpu", f"--only={only}", *folders]))


def in_a_process(write: int | None, runs: Path, only: str) -> int:
    process = PROCESSES.Process(target=reproduce_until, args=(write, runs, only))
    process.start()
    process.join()
    return process.exitcode


def numbers(runs: Path) -> dict:
    """All that is the same in two runs of the same thing."""
    return {
        run.experiment: (run.hash, run.after, run.metrics, run.counts, shown(path))
        for path, run in find_runs(runs).items()
    }


def shown(path: Path) -> dict:
    return {name: array.tobytes() for name, array in read_arrays(path).items()}


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_kill_in_the_middle_of_any_file_and_the_numbers_stay_the_same(tmp_path):
    """In checkpoints and weights of either stage, between training and scoring, in the result."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert in_a_process(None, whole, "ma/cr") == 0
    kills, seen = 0, set()
    while (code := in_a_process(4, cut, "ma/cr")) == -signal.SIGKILL:
        kills += 1
        assert kills < 20, "it does not get on"
        (left,) = leftovers(cut)
        seen |= {left.name.split(".")[1]}
        for path in cut.rglob("seed-*.json"):
            read_run(path)
    assert code == 0 and kills >= 6
    assert {"checkpoint", "best"} <= seen
    assert not leftovers(cut)
    assert numbers(cut) == numbers(whole) and len(numbers(cut)) == 2
    files = [{p.name for p in root.rglob("*") if p.is_file()} for root in (whole, cut)]
    assert files[0] == files[1] == {"seed-1.json", "seed-1.npz", "checkpoint.pt", "selected.pt"}


@pytest.mark.parametrize("write", ["npz", "json"])
def test_kill_between_training_and_result_and_nothing_is_trained_again(tmp_path, write):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert in_a_process(None, whole, "reference/linear") == 0
    files = 2 * 5 + 1  # two epochs: three steps and the end, and the weights; what is finished
    assert in_a_process(files + ["npz", "json"].index(write) + 1, cut, "reference/linear") < 0
    (left,) = leftovers(cut)
    assert left.name.startswith(f".seed-1.{write}.")
    (weights,) = cut.rglob("selected.pt")
    before = weights.stat().st_mtime_ns
    assert in_a_process(None, cut, "reference/linear") == 0
    assert weights.stat().st_mtime_ns == before and not leftovers(cut)
    assert numbers(cut) == numbers(whole)


def test_half_trained_weights_are_no_first_stage(tmp_path):
    """Killed in the second epoch, when there are weights of the first one."""
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    assert in_a_process(7, cut, "ma/c") == -signal.SIGKILL
    assert list(cut.rglob("best.pt")) and not list(cut.rglob("selected.pt"))
    assert in_a_process(None, cut, "ma/cr") == in_a_process(None, whole, "ma/cr") == 0
    assert numbers(cut) == numbers(whole)


def test_leftovers_are_those_of_one_file(tmp_path):
    for name in ("seed-1.json", "seed-10.json"):
        with atomic_path(tmp_path / name) as temporary:
            shutil.copy(temporary, tmp_path / temporary.name.replace(".part", "x.part"))
    assert len(leftovers(tmp_path)) == 2
    remove_leftovers(tmp_path, "seed-1.*")
    (left,) = leftovers(tmp_path)
    assert left.name.startswith(".seed-10.json.")
    remove_leftovers(tmp_path / "nowhere")


@pytest.fixture
def reproduce_both(tmp_path) -> Callable:
    """The two reference rows under ``runs``."""

    def both(runs: Path):
        options = {"profile": "smoke", "device": "cpu", "progress": False}
        return reproduce(only="reference/*", runs=runs, results=tmp_path / "none", **options)

    return both


def same_as_with_room(runs: Path, elsewhere: Path, reproduce_both: Callable) -> None:
    done = reproduce_both(runs)
    assert done.made == ["reference/linear seed 1", "reference/oracle seed 1"]
    reproduce_both(elsewhere)
    assert numbers(runs) == numbers(elsewhere)


def is_one_sentence(done, runs: Path) -> None:
    """One run failed, the other one was not tried."""
    assert done.made == []
    assert done.failed == {
        "reference/linear seed 1": f"The disk of {runs} is full (No space left on device): make "
        "room and give the same command again; what is finished is kept."
    }
    assert done.not_run == {"reference/oracle seed 1": "the disk is full"}


@pytest.mark.skipif(not shutil.which("mount") or os.geteuid() != 0, reason="mounting takes root")
def test_a_real_full_disk_is_one_sentence_and_with_room_it_goes_on(tmp_path, reproduce_both):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"this container mounts nothing: {mounted.stderr.strip()}")
    try:
        ballast, runs = disk / "ballast", disk / "runs"
        # Too little for the weights, then for the checkpoint.
        for free in (100, 600):
            ballast.unlink(missing_ok=True)
            used = sum(path.stat().st_size for path in runs.rglob("*") if path.is_file())
            ballast.write_bytes(bytes(8 * 2**20 - used - free * 2**10))
            done = reproduce_both(runs)
            is_one_sentence(done, runs)
            assert not leftovers(runs)
            assert not find_runs(runs)
        ballast.unlink()
        same_as_with_room(runs, tmp_path / "elsewhere", reproduce_both)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("write", [2, 3, 4])
def test_a_disk_that_fills_up_is_one_sentence_anywhere(
    tmp_path, monkeypatch, reproduce_both, write
):
    """Planted in the checkpoint, in the arrays and in the text of the result."""
    count, to_disk = 0, os.fsync

    def full(stream: int) -> None:
        nonlocal count
        count += 1
        if count >= write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        to_disk(stream)

    monkeypatch.setattr(os, "fsync", full)
    runs = tmp_path / "runs"
    done = reproduce_both(runs)
    assert count == write
    is_one_sentence(done, runs)
    assert not leftovers(runs) and not find_runs(runs)
    monkeypatch.setattr(os, "fsync", to_disk)
    same_as_with_room(runs, tmp_path / "elsewhere", reproduce_both)
