"""``avvp reproduce``: what is missing, whatever happens in between."""

import errno
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from avvp.cli import main
from avvp.data import load
from avvp.data.simulate import SPLITS
from avvp.data.store_writer import write_videos
from avvp.devices import choose_device, describe_device
from avvp.errors import AvvpError
from avvp.events import Parsing
from avvp.experiments import PROFILES, REGISTRY, Experiment, is_current, open_source, run
from avvp.fan_out import Job, Outcome, _measured, in_waves, reproduce
from avvp.models import MODELS
from avvp.results import Published, find_runs, publish, read_arrays, read_run
from avvp.time_left import Task
from avvp.training import TrainingConfig
from tests.deadly import Deadly


@pytest.fixture
def roots(tmp_path) -> dict[str, Path]:
    return {"runs": tmp_path / "runs", "results": tmp_path / "results"}


@pytest.fixture
def reproduce_here(roots) -> Callable:
    def smoke(**changes):
        options = {"profile": "smoke", "device": "cpu", "progress": False, **roots}
        return reproduce(**(options | {"only": "reference/*"} | changes))

    return smoke


def command(roots: dict[str, Path], *options: str) -> list[str]:
    folders = ["--runs", str(roots["runs"]), "--results", str(roots["results"])]
    start = [sys.executable, "-m", "avvp.cli", "reproduce", "--profile", "smoke"]
    return [*start, "--device", "cpu", *folders, *options]


def published(pattern: str, roots: dict[str, Path]) -> Published:
    return publish(pattern, current=is_current, **roots, profiles=["smoke"])


def test_only_what_is_missing_is_run(reproduce_here, roots):
    first = reproduce_here()
    assert first.made == ["reference/linear seed 1", "reference/oracle seed 1"]
    assert (first.present, first.failed, first.left_out) == (0, {}, {})
    second = reproduce_here(seeds=2, only="reference/linear")
    assert second.made == ["reference/linear seed 2"]
    assert second.present == 1
    assert reproduce_here().made == []
    next(roots["runs"].rglob("seed-2.json")).unlink()
    assert reproduce_here(seeds=2, only="reference/linear").made == ["reference/linear seed 2"]


def test_what_is_committed_is_not_run_again(reproduce_here, roots):
    reproduce_here()
    assert len(published("*", roots).copied) == 2
    for path in find_runs(roots["runs"]):
        path.unlink()
    assert reproduce_here().made == []


def test_what_the_registry_has_outgrown_is_run_again(reproduce_here, monkeypatch, roots):
    reproduce_here()
    changed = replace(REGISTRY["reference/linear"], training=TrainingConfig(learning_rate=0.01))
    monkeypatch.setitem(REGISTRY, "reference/linear", changed)
    assert reproduce_here().made == ["reference/linear seed 1"]
    (path,) = find_runs(roots["runs"], experiment="reference/linear")
    assert read_run(path).configuration["training"]["learning_rate"] == 0.01


def test_an_experiment_that_fails_does_not_stop_the_others(
    monkeypatch, capsys, reproduce_here, roots
):
    option = Experiment("bad/option", "Bad", model="linear", options={"widht": 3})
    width = Experiment("bad/width", "Bad", model="han", options={"width": -1})
    entries = {e.name: e for e in (option, width, REGISTRY["reference/linear"])}
    monkeypatch.setattr("avvp.experiments.REGISTRY", entries)
    done = reproduce_here(only=None)
    assert done.made == ["reference/linear seed 1"]
    assert "'widht'" in done.failed["bad/option seed 1"]
    assert done.failed["bad/width seed 1"].startswith("RuntimeError: ")
    assert all("\n" not in reason for reason in done.failed.values())
    folders = [f"--{name}={path}" for name, path in roots.items()]
    several = ["--only", "bad/option", "bad/w*", "--only=bad/o*"]
    assert main(["reproduce", "--profile=smoke", *several, "--device=cpu", *folders]) == 1
    told = capsys.readouterr().out
    assert "0 runs made, 0 were there, 2 failed." in told
    assert "failed: bad/option seed 1:" in told


class Strange(Exception):
    """Of no kind that Python has."""


@pytest.mark.parametrize("error", [Strange("mine"), ImportError("no module"), EOFError("the end")])
def test_an_error_of_any_kind_stops_no_other_experiment(error, monkeypatch, reproduce_here):
    class Failing(torch.nn.Linear):
        def __init__(self):
            super().__init__(3, 3)

        def forward(self, *features):
            raise error

    monkeypatch.setitem(MODELS, "failing", Failing)
    failing = Experiment("aaa/failing", "Failing", model="failing")
    entries = {e.name: e for e in (failing, REGISTRY["reference/linear"])}
    monkeypatch.setattr("avvp.experiments.REGISTRY", entries)
    done = reproduce_here(only=None)
    assert done.made == ["reference/linear seed 1"]
    assert done.failed["aaa/failing seed 1"].startswith(f"{type(error).__name__}: {error} (")


def test_a_group_that_fails_says_that_its_members_may_train_alone(monkeypatch, reproduce_here):
    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = torch.nn.GRU(128, 25, batch_first=True)

        def forward(self, audio, visual_2d, visual_3d):
            heard, _ = self.gru(audio)
            heard = heard.sigmoid()
            video = heard.amax(dim=1)
            return Parsing(video, video, video, heard, heard, extras={})

    monkeypatch.setitem(MODELS, "own", Recurrent)
    monkeypatch.setitem(REGISTRY, "mine/own", Experiment("mine/own", "Own", model="own"))
    done = reproduce_here(only="mine/own", seeds=2, together=2)
    assert len(done.failed) == 2
    assert all(told.endswith("; --together 1 trains it alone") for told in done.failed.values())
    assert len(reproduce_here(only="mine/own", seeds=2, together=1).made) == 2


def test_two_workers_make_the_same_runs_as_one_process(reproduce_here, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    reproduce_here(backend="sequential", runs=alone)
    done = reproduce_here(backend="loky", jobs=2, runs=together)
    assert len(done.made) == 2
    for one, other in zip(*(find_runs(root).values() for root in (alone, together)), strict=True):
        assert one.metrics == other.metrics


def test_a_worker_that_is_killed_is_one_sentence_below_what_was_made(monkeypatch, capsys, roots):
    """The first wave is made; the second kills its workers."""
    first = REGISTRY["reference/linear"]
    options = {"model": "linear", "options": Deadly(), "training": None, "after": first.name}
    deadly = Experiment("bad/deadly", "Bad", **options)
    for registry in ("avvp.experiments.REGISTRY", "avvp.fan_out.REGISTRY"):
        monkeypatch.setattr(registry, {e.name: e for e in (first, deadly)})
    folders = [f"--{name}={path}" for name, path in roots.items()]
    command = ["reproduce", "--profile=smoke", "--device=cpu", "--jobs=2", "--seeds=3"]
    assert main([*command, *folders]) == 2
    told, error = capsys.readouterr()
    assert "3 runs made, 0 were there, 0 failed, 3 not run." in told
    assert told.count("it was under way when the workers were lost") == 2
    assert "not run: bad/deadly seed 3: it had not begun when the workers were lost" in told
    (sentence,) = (line for line in error.splitlines() if line.startswith("avvp: "))
    assert re.search(r"A worker process was killed.* fewer workers", sentence)
    assert sentence.endswith("under way: bad/deadly seed 1, bad/deadly seed 2.")


ENDLESS = """
import sys
from dataclasses import replace
from pathlib import Path

from avvp.experiments import PROFILES, REGISTRY
from avvp.fan_out import reproduce

endless = replace(REGISTRY["reference/linear"].training, epochs=100_000)
REGISTRY["reference/linear"] = replace(REGISTRY["reference/linear"], training=endless)
PROFILES["smoke"] = replace(PROFILES["smoke"], epochs=100_000)
place = {"runs": Path(sys.argv[1]), "results": Path(sys.argv[1])}
options = {"only": "reference/linear", "seeds": 4, "jobs": 2, "device": "cpu", "progress": False}
reproduce(profile="smoke", **options, **place)
"""


def test_workers_end_with_the_parent_that_was_killed(roots):
    parent = subprocess.Popen([sys.executable, "-c", ENDLESS, str(roots["runs"])])
    try:
        while len(list(roots["runs"].rglob("checkpoint.pt"))) < 2:
            assert parent.poll() is None
            time.sleep(0.05)
        family = psutil.Process(parent.pid).children(recursive=True)
    finally:
        parent.kill()
        parent.wait()
    assert len(family) >= 2
    try:
        until = time.monotonic() + 20
        while left := [process for process in family if is_alive(process)]:
            assert time.monotonic() < until, left
            time.sleep(0.1)
    finally:
        for process in filter(is_alive, family):
            process.kill()


def is_alive(process: psutil.Process) -> bool:
    """Not so if it waits for a parent to ask what became of it: in a container nobody may."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_kill_at_any_moment_and_the_numbers_stay_the_same(reproduce_here, roots, tmp_path):
    """Killed after the last checkpoint of seed 2, before its result; then again in seed 3."""
    options = ("--only", "reference/linear", "--seeds", "3")
    killed = 0
    for sign in ("seed-2/*/checkpoint.pt", "seed-3/*/checkpoint.pt"):
        process = subprocess.Popen(
            command(roots, *options), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while not any(roots["runs"].rglob(sign)) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        for path in roots["runs"].rglob("seed-*.json"):
            read_run(path)
    assert killed, "nothing was killed in time"
    assert not reproduce_here(only="reference/linear", seeds=3).failed
    reproduce_here(only="reference/linear", seeds=3, runs=tmp_path / "whole")
    resumed, uninterrupted = (
        {run.seed: (run.hash, run.metrics) for run in find_runs(root).values()}
        for root in (roots["runs"], tmp_path / "whole")
    )
    assert sorted(resumed) == [1, 2, 3]
    assert resumed == uninterrupted


@pytest.mark.parametrize("name", ["linear", "oracle"])
def test_a_full_disk_fails_the_run_and_leaves_no_file(name, roots):
    """The system refuses to let any file grow beyond two blocks, as a full disk would."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024));"
    arguments = command(roots, "--only", f"reference/{name}")[3:]
    script = f"{limit} import sys; from avvp.cli import main; sys.exit(main({arguments!r}))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 1, done.stderr
    assert f"failed: reference/{name} seed 1: " in done.stdout
    assert "File too large" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not [path for path in roots["runs"].rglob("*") if path.is_file()]


@pytest.mark.parametrize("reason", ["a file is in its place", "Read-only file system"])
def test_a_folder_that_takes_no_runs_is_one_sentence_before_anything_is_trained(
    monkeypatch, reproduce_here, roots, reason
):
    def read_only(**_) -> None:
        raise OSError(errno.EROFS, reason)

    monkeypatch.setattr("avvp.fan_out.run", pytest.fail)
    if reason == "a file is in its place":
        roots["runs"].touch()
        reason = "Not a directory"
    else:
        monkeypatch.setattr("avvp.fan_out.NamedTemporaryFile", read_only)
    runs = roots["runs"] / "mine"
    with pytest.raises(AvvpError, match=rf"^Nothing can be written to {runs} \({reason}\); "):
        reproduce_here(runs=runs)


def test_a_folder_that_takes_no_runs_will_do_where_none_is_missing(
    monkeypatch, reproduce_here, roots
):
    reproduce_here(only="reference/linear")
    published("reference/linear", roots)
    monkeypatch.setattr("avvp.fan_out.NamedTemporaryFile", pytest.fail)
    assert not reproduce_here(only="reference/linear", runs=roots["results"] / "none").made


def test_quick_trains_core_rows_and_others_when_they_are_named(monkeypatch, reproduce_here):
    extra = replace(REGISTRY["reference/linear"], name="extra/linear", core=False)
    monkeypatch.setattr("avvp.experiments.REGISTRY", {**REGISTRY, extra.name: extra})
    monkeypatch.setitem(PROFILES, "smoke", replace(PROFILES["smoke"], core_only=True))
    monkeypatch.setattr("avvp.fan_out.run", lambda *_, **__: None)
    done = reproduce_here(only=None)
    core = sorted(name for name, experiment in REGISTRY.items() if experiment.core)
    assert sorted(done.made) == [f"{name} seed 1" for name in core]
    others = {"extra/linear", *REGISTRY} - set(core)
    assert done.left_out == dict.fromkeys(others, "profile smoke trains core rows only")
    assert reproduce_here(only="extra/*").made == ["extra/linear seed 1"]
    named = reproduce_here(only=["extra/linear", "reference/linear"]).made
    assert sorted(named) == ["extra/linear seed 1", "reference/linear seed 1"]


def test_what_is_too_large_for_a_profile_waits_until_it_is_named(monkeypatch, reproduce_here):
    large = replace(REGISTRY["reference/linear"], name="extra/large", profiles=("full",))
    monkeypatch.setattr("avvp.experiments.REGISTRY", {**REGISTRY, large.name: large})
    monkeypatch.setattr("avvp.fan_out.run", lambda *_, **__: None)
    done = reproduce_here(only="extra/*")
    assert not done.made
    assert done.left_out == {large.name: "profile smoke trains it only if it is named"}
    assert reproduce_here(only=large.name).made == [f"{large.name} seed 1"]


def test_results_are_listed_published_and_marked(capsys, reproduce_here, roots, monkeypatch):
    reproduce_here()
    folders = [f"--{name}={path}" for name, path in roots.items()]
    assert main(["results", "list", *folders]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 2
    assert "stale" not in "".join(listed)
    assert main(["results", "publish", "*", *folders]) == 2
    assert "no medium or full run of '*'" in capsys.readouterr().err

    published("*", roots)
    changed = replace(REGISTRY["reference/linear"], training=TrainingConfig(learning_rate=0.01))
    monkeypatch.setitem(REGISTRY, "reference/linear", changed)
    assert main(["results", "mark-stale", *folders]) == 0
    assert "1 of 2 runs marked stale." in capsys.readouterr().out
    marked = find_runs(roots["results"], experiment="reference/linear")
    assert [run.stale for run in marked.values()] == [True]
    assert main(["results", "list", "reference/linear", *folders]) == 0
    listed = capsys.readouterr().out
    assert "stale, marked" in listed
    assert main(["results", "mark-stale", *folders]) == 0
    assert "0 of 2 runs marked stale." in capsys.readouterr().out


# What comes after what


def test_what_an_experiment_comes_after_is_made_first(reproduce_here, roots):
    done = reproduce_here(only="ma/cr")
    assert done.made == ["ma/c seed 1", "ma/cr seed 1"]
    first, second = (read_run(find(roots, name)) for name in ("ma/c", "ma/cr"))
    assert second.after == first.hash
    assert first.after is None
    assert reproduce_here(only="ma/cr").made == []
    # The weights of the first stage serve the next one too.
    assert reproduce_here(only="ma/cr_visual").made == ["ma/cr_visual seed 1"]


def find(roots: dict[str, Path], name: str) -> Path:
    (path,) = find_runs(roots["runs"], experiment=name)
    return path


def test_on_a_file_only_the_oracle_is_left_out(monkeypatch, reproduce_here, tmp_path):
    names = ("mgn/mgn", "mgn/over_time", "reference/linear", "reference/oracle")
    monkeypatch.setattr("avvp.experiments.REGISTRY", {name: REGISTRY[name] for name in names})
    file = tmp_path / "mine.h5"
    splits = {split: load("smoke", split) for split in SPLITS}
    write_videos(file, splits, {"source": "LLP"})
    done = reproduce_here(only=None, data=str(file))
    assert sorted(done.made) == [f"{name} seed 1" for name in names[:3]]
    assert done.left_out == {"reference/oracle": "it knows only the simulator"}
    assert not done.failed


def test_a_file_takes_no_place_of_another_one_of_its_name(reproduce_here, roots, tmp_path):
    files = [tmp_path / folder / "mine.h5" for folder in ("first", "second")]
    for file in files:
        splits = {split: load("smoke", split) for split in SPLITS}
        write_videos(file, splits, {"source": "LLP", "folder": file.parent.name})
    only = {"only": "reference/linear"}
    assert reproduce_here(data=str(files[0]), **only).made
    path = find(roots, "reference/linear")
    before = path.read_bytes()
    with pytest.raises(AvvpError, match=r"seed-1.json was made on other data that was called mine"):
        reproduce_here(data=str(files[1]), **only)
    with pytest.raises(AvvpError, match=r"delete .*runs/mine.h5"):
        run(
            REGISTRY["reference/linear"],
            profile=PROFILES["smoke"],
            data=str(files[1]),
            runs=roots["runs"],
        )
    assert path.read_bytes() == before
    assert not reproduce_here(data=str(files[0]), **only).made
    assert reproduce_here(data=str(files[1]), **only, runs=tmp_path / "others").made


OWN_METHOD = """
if __name__ == "__main__":
    from pathlib import Path

    from avvp.fan_out import reproduce

    after = Experiment("mine/after", "After", model="surest", training=None, after=ENTRY.name)
    REGISTRY[after.name] = after
    here = Path(__file__).parent
    options = {"profile": "smoke", "only": "mine/*", "seeds": 2, "device": "cpu", "jobs": 2}
    for _ in range(2):
        print(reproduce(**options, runs=here / "runs", results=here / "results", progress=False))
"""


def test_a_method_of_ones_own_goes_to_the_workers_too(tmp_path):
    """Its classes are those of a script, which no worker can import."""
    example = Path("examples/add_a_method.py").read_text(encoding="utf-8")
    script = tmp_path / "mine.py"
    script.write_text(example.partition("if __name__")[0] + OWN_METHOD, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made, again = done.stdout.splitlines()
    assert "failed={}" in made and "not_run={}" in made
    assert all(
        f"mine/{name} seed {seed}" in made for name in ("surest", "after") for seed in (1, 2)
    )
    assert "made=[], present=4" in again
    codes = {run.configuration["code"] for run in find_runs(tmp_path / "runs").values()}
    assert len(codes) == 1


def test_an_error_in_a_method_of_ones_own_names_its_file(monkeypatch, reproduce_here, tmp_path):
    (tmp_path / "my_fault.py").write_text(
        "import torch\n\n\nclass Mine(torch.nn.Linear):\n    def __init__(self):\n"
        "        super().__init__(3, -1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(MODELS, "mine", importlib.import_module("my_fault").Mine)
    monkeypatch.setitem(REGISTRY, "mine/mine", Experiment("mine/mine", "Mine", model="mine"))
    (told,) = reproduce_here(only="mine/mine").failed.values()
    del sys.modules["my_fault"]
    assert told.startswith("RuntimeError: ") and told.endswith("(my_fault.py:6)")


def test_a_committed_first_stage_without_weights_is_trained_again(reproduce_here, roots):
    reproduce_here(only="ma/c")
    published("ma/c", roots)
    shutil.rmtree(roots["runs"])
    assert reproduce_here(only="ma/c").made == []
    assert reproduce_here(only="ma/cr").made == ["ma/c seed 1", "ma/cr seed 1"]


def test_waves_hold_what_can_run_side_by_side(roots):
    smoke = PROFILES["smoke"]
    source = open_source("sim", smoke)
    jobs = [Job(REGISTRY[n], s) for s in (1, 2) for n in ("mgn/cr", "ma/r", "han/han", "ma/c")]
    first, second = in_waves(jobs, profile=smoke, source=source, runs=roots["runs"])
    assert [str(job) for job in first] == [
        f"{name} seed {seed}" for seed in (1, 2) for name in ("han/han", "ma/c")
    ]
    assert {str(job) for job in second} == {
        f"{name} seed {seed}" for seed in (1, 2) for name in ("mgn/cr", "ma/r")
    }


def test_without_its_first_stage_a_run_says_what_to_do(roots):
    with pytest.raises(AvvpError, match=r"ma/cr comes after ma/c, whose weights .* makes both"):
        run(REGISTRY["ma/cr"], profile=PROFILES["smoke"], runs=roots["runs"], progress=False)


def test_what_comes_after_a_failure_is_not_run_and_says_why(
    monkeypatch, capsys, reproduce_here, roots
):
    broken = replace(REGISTRY["ma/c"], options={"width": -1})
    monkeypatch.setitem(REGISTRY, "ma/c", broken)
    monkeypatch.setattr("avvp.experiments.REGISTRY", {n: REGISTRY[n] for n in ("ma/cr", "ma/base")})
    done = reproduce_here(only=None)
    assert done.made == ["ma/base seed 1"]
    assert list(done.failed) == ["ma/c seed 1"]
    assert done.failed["ma/c seed 1"].startswith("RuntimeError")
    assert done.not_run == {"ma/cr seed 1": "it comes after ma/c seed 1, which was not made"}
    folders = [f"--{name}={path}" for name, path in roots.items()]
    assert main(["reproduce", "--profile=smoke", "--device=cpu", *folders]) == 1
    told = capsys.readouterr().out
    assert "0 runs made, 1 were there, 1 failed, 1 not run." in told
    assert "not run: ma/cr seed 1: it comes after ma/c seed 1, which was not made" in told


def test_rescoring_changes_segments_and_nothing_else(reproduce_here, roots):
    reproduce_here(only="mgn/every_second")
    trained, again = (read_arrays(find(roots, f"mgn/{n}")) for n in ("mgn", "every_second"))
    for name in ("video", "audio", "visual"):
        assert (trained[f"timelines/{name}"] == again[f"timelines/{name}"]).all()
    segments = again["timelines/segment_audio"]
    assert (segments == again["timelines/audio"][:, None]).all()
    assert (trained["timelines/segment_audio"] > segments).all()


def test_the_bar_tells_a_time_that_was_measured_and_none_from_the_number_of_runs(
    capsys, reproduce_here
):
    reproduce_here(only="reference/linear", seeds=2, progress=True)
    told = capsys.readouterr().err.replace("\n", "\r").split("\r")
    bars = [line for line in told if line.startswith("profile smoke")]
    assert "0 of 2 runs" in bars[0] and any("time left unknown yet" in bar for bar in bars)
    # After the first seed the second is known, with the margin of a single run.
    assert any(" left; reference/linear seed 1 done" in bar for bar in bars)
    assert "nothing left; reference/linear seed 2 done" in bars[-1]
    assert not any("<" in bar or "?" in bar for bar in bars)


def test_during_a_run_the_bar_goes_on(monkeypatch, capsys, reproduce_here, roots):
    """A run takes 20 seconds, it says: 10 to 40 are foretold, and two of them go by."""
    reproduce_here(only="reference/linear")
    made = replace(read_run(find(roots, "reference/linear")), seconds=20)

    def slow(job: Job, _) -> Outcome:
        time.sleep(2.2 * (job.seed > 2))
        return Outcome(job, None, run=made, seconds=20)

    monkeypatch.setattr("avvp.fan_out._attempt", slow)
    monkeypatch.setattr("avvp.fan_out.REDRAW", 0.1)
    threads = threading.active_count()
    options = {"only": "reference/linear", "seeds": 3, "backend": "sequential", "jobs": 8}
    reproduce_here(**options, progress=True)
    assert threading.active_count() == threads
    told = capsys.readouterr().err.replace("\n", "\r").split("\r")
    bars = [line for line in told if "1 of 2 runs" in line and "seed 2 done" in line]
    elapsed, left = (
        [re.search(pattern, bar)[1] for bar in bars]
        for pattern in (r"(\d\d:\d\d) so far", r", (\d+) s to \d+ s left")
    )
    assert int(left[-1]) <= 8 < int(left[0]) <= 10
    assert len(set(elapsed)) >= 2


def test_without_a_bar_nothing_is_redrawn(monkeypatch, reproduce_here):
    monkeypatch.setattr("avvp.fan_out._now_and_then", pytest.fail)
    assert reproduce_here(only="reference/oracle").made


def test_what_this_machine_measured_is_kept_apart_from_what_others_did(reproduce_here, roots):
    reproduce_here(only="reference/linear")
    published("reference/linear", roots)
    device = describe_device(choose_device("cpu"))
    task = Task("", "reference/linear", {})
    for folders, there in (
        ((roots["runs"], roots["results"]), "here"),
        ((roots["runs"].parent / "none", roots["results"]), "elsewhere"),
    ):
        known = _measured([[task]], *folders, device)
        assert {name: len(runs) for name, runs in known.items()} == {
            "here": int(there == "here"),
            "elsewhere": int(there == "elsewhere"),
        }
    assert not _measured([[task]], roots["runs"], roots["results"], "cuda, H100")["here"]
    more_threads = device.rsplit(", ", 1)[0] + ", 7 threads"
    assert _measured([[task]], roots["runs"], roots["results"], more_threads)["here"]
