"""Jobs on a Dask or Ray cluster of this machine: the same runs, whatever happens to its workers."""

import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import torch
from distributed import Client
from distributed.protocol.pickle import dumps

from avvp.cli import main
from avvp.cluster import differing_versions, workers
from avvp.data import load
from avvp.data.simulate import SPLITS
from avvp.data.store_writer import write_videos
from avvp.errors import AvvpError
from avvp.experiments import PROFILES, REGISTRY, Experiment
from avvp.fan_out import Job, Outcome, Reproduction, _attempt, reproduce
from avvp.models import MODELS
from avvp.ray_cluster import at_a_time
from avvp.ray_cluster import versions as ray_versions
from avvp.results import find_runs, read_arrays
from avvp.training import TrainingConfig

DASK, RAY = (Path(sys.executable).with_name(name) for name in ("dask", "ray"))
KILOBYTES = 2**10


@contextmanager
def started(*command: str | Path, until: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A process of the cluster, from the line on that matches ``until``; yields what it names."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    told = []
    try:
        for line in process.stdout:
            told.append(line)
            if found := re.search(until, line):
                break
        else:
            raise AssertionError("".join(told))
        # Whoever does not read on stops the process when the pipe is full.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process, found.group(1)
    finally:
        family = []
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        for left in psutil.wait_procs(family, timeout=10)[1]:
            left.kill()
        process.kill()
        process.wait()


@pytest.fixture
def scheduling() -> Iterator[tuple[subprocess.Popen, str]]:
    """A scheduler without workers, and its address."""
    options = ("--host", "tcp://127.0.0.1:0", "--no-dashboard", "--no-show")
    with started(DASK, "scheduler", *options, until=r"Scheduler at:\s+(tcp://\S+)") as process:
        yield process


@pytest.fixture
def scheduler(scheduling) -> str:
    """The address of a scheduler without workers."""
    return scheduling[1]


@pytest.fixture
def worker(scheduler, tmp_path) -> Callable:
    """Starts a worker, a process that nobody starts again."""

    @contextmanager
    def start(name: str, *options: str) -> Iterator[tuple[subprocess.Popen, str]]:
        place = (
            "--local-directory",
            str(tmp_path / f"worker-{name}"),
            "--no-nanny",
            "--no-dashboard",
        )
        options = ("--nthreads", "1", *options)
        command = (DASK, "worker", scheduler, "--name", name, *place, *options)
        with started(*command, until=r"Start worker at:\s+(\S+)") as (process, address):
            yield process, address

    return start


@pytest.fixture
def linear(monkeypatch) -> Callable:
    """Four runs of seconds, whose definition travels with them."""
    slow = replace(REGISTRY["reference/linear"], training=TrainingConfig(epochs=10))
    monkeypatch.setattr("avvp.experiments.REGISTRY", {slow.name: slow})
    monkeypatch.setitem(PROFILES, "smoke", replace(PROFILES["smoke"], epochs=10, train=1024))

    def four(runs: Path, **changes) -> Reproduction:
        options = {"profile": "smoke", "device": "cpu", "progress": False, "seeds": 4}
        return reproduce(runs=runs, results=runs / "none", **(options | changes))

    return four


def numbers(runs: Path) -> dict:
    return {
        run.seed: (run.hash, run.metrics, read_arrays(path)["history/loss"].tobytes())
        for path, run in find_runs(runs).items()
    }


def test_a_killed_dask_worker_changes_nothing(scheduler, worker, linear, tmp_path):
    """Two worker processes over TCP; one is killed in the middle of its run."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert len(linear(alone, backend="sequential").made) == 4
    with (
        worker("first") as (first, _),
        worker("second"),
        ThreadPoolExecutor() as beside,
        Client(scheduler, set_as_default=False) as client,
    ):
        # Else the one that has PyTorch first could have made all runs before the other has it.
        client.run(import_module, "avvp.fan_out")
        done = beside.submit(linear, shared, backend="dask", scheduler=scheduler)
        while not (len(list(shared.rglob("best.pt"))) == 2 and all(client.processing().values())):
            assert not done.done(), done.result()
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        in_the_middle = len(find_runs(shared))
        assert first.wait() == -signal.SIGKILL
        assert sorted(done.result(timeout=300).made) == [
            f"reference/linear seed {seed}" for seed in (1, 2, 3, 4)
        ]
        assert len(client.nthreads()) == 1
    assert in_the_middle < 3
    assert numbers(shared) == numbers(alone)
    assert not list(shared.rglob("*.part"))


MY_NETWORK = """
from avvp.models.linear import LinearMeanPooling
from {place} import tanh


class Mine(LinearMeanPooling):
    def forward(self, *features):
        return super().forward(*map(tanh, features))
"""


@pytest.fixture
def own_network(monkeypatch, tmp_path) -> Callable[[str], str]:
    """Registers an experiment whose network is in a file that no worker is told of."""

    def register(place: str) -> str:
        folder = tmp_path / "own"
        folder.mkdir()
        (folder / "my_network.py").write_text(MY_NETWORK.format(place=place))
        (folder / "my_layers.py").write_text("def tanh(x):\n    return x.tanh()\n")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            network = import_module("my_network").Mine
        monkeypatch.setitem(MODELS, "mine", network)
        entry = Experiment("mine/mine", "Mine", model="mine")
        monkeypatch.setitem(REGISTRY, entry.name, entry)
        return entry.name

    yield register
    for name in ("my_network", "my_layers"):
        sys.modules.pop(name, None)


def test_a_network_of_ones_own_goes_to_a_cluster(scheduler, worker, own_network, tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    options = {"profile": "smoke", "only": own_network("torch"), "device": "cpu", "progress": False}
    with worker("only"):
        there = {"backend": "dask", "scheduler": scheduler, "runs": shared, "results": shared}
        assert reproduce(**options, **there).made == ["mine/mine seed 1"]
        assert not reproduce(**options, **there).made
    assert reproduce(**options, backend="sequential", runs=alone, results=alone).made
    assert numbers(shared) == numbers(alone)


def test_what_a_worker_cannot_import_is_one_sentence(scheduler, worker, own_network, tmp_path):
    name = own_network("my_layers")
    with worker("only"), pytest.raises(AvvpError, match="A worker cannot import what a method"):
        reproduce(
            profile="smoke",
            only=name,
            device="cpu",
            backend="dask",
            scheduler=scheduler,
            runs=tmp_path / "runs",
            results=tmp_path / "runs",
            progress=False,
        )


@pytest.fixture
def unforgiving(monkeypatch) -> None:
    """Schedulers give a run up when its worker has died once; otherwise it may four times."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")


@pytest.mark.parametrize(
    ("dies", "sentence"),
    [("worker", "A worker process was killed"), ("scheduler", "is gone; start it and its workers")],
)
def test_when_it_cannot_go_on_it_says_so_and_keeps_what_is_there(
    unforgiving, scheduling, worker, linear, tmp_path, dies, sentence
):
    (scheduler, address), shared = scheduling, tmp_path / "shared"
    with worker("only") as (only, _), ThreadPoolExecutor() as beside:
        done = beside.submit(linear, shared, backend="dask", scheduler=address)
        while not list(shared.rglob("checkpoint.pt")):
            assert not done.done(), done.result()
            time.sleep(0.01)
        {"worker": only, "scheduler": scheduler}[dies].send_signal(signal.SIGKILL)
        with pytest.raises(AvvpError, match=sentence):
            done.result(timeout=300)
    assert list(shared.rglob("checkpoint.pt"))


def test_a_job_travels_as_a_few_kilobytes(tmp_path, monkeypatch):
    """What ``reproduce`` hands to joblib: data go by path, whatever experiment of whatever size."""
    file, sizes = tmp_path / "llp.h5", {}
    write_videos(file, {split: load("smoke", split) for split in SPLITS}, {"source": "LLP"})

    def weigh(calls: Iterable) -> Iterator[list[Outcome]]:
        for call in calls:
            _, (content,), _ = call
            jobs = [Job(REGISTRY[name], seed) for name, seed in pickle.loads(content)[0]]
            sizes.update(dict.fromkeys(map(str, jobs), len(dumps(call))))
            yield [Outcome(job, None) for job in jobs]

    monkeypatch.setattr("joblib.Parallel", lambda **_: weigh)
    folders = {"runs": tmp_path / "runs", "results": tmp_path / "none"}
    options = {"profile": "full", "seeds": 1, "device": "cpu", "progress": False, **folders}
    for data in (str(file), "sim"):
        done = reproduce(data=data, only=list(REGISTRY), jobs=2, **options)
        assert len(done.made) == len(REGISTRY) - len(done.left_out)
    assert sizes.keys() == {f"{name} seed 1" for name in REGISTRY}
    assert max(sizes.values()) < 8 * KILOBYTES, sizes
    train = 10_000 * 10 * (128 + 2048 + 512) * 4  # bytes of the features of LLP's training split
    assert max(sizes.values()) < train / 100_000


def test_threads_of_one_process_do_not_share_their_random_numbers(tmp_path):
    options = {"profile": replace(PROFILES["smoke"], epochs=5), "progress": False, "device": "cpu"}
    small = replace(REGISTRY["ma/base"], options={"width": 16})
    jobs = [Job(small, seed) for seed in (1, 2)]
    for folder, threads in (("one", 1), ("two", 2)):
        with ThreadPoolExecutor(threads) as pool:
            arguments = options | {"runs": tmp_path / folder}
            outcomes = list(pool.map(lambda job, told=arguments: _attempt(job, told), jobs))
        assert not any(outcome.failure for outcome in outcomes)
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")


def test_in_this_process_one_run_is_made_at_a_time_whatever_jobs_says(tmp_path):
    with workers("sequential", jobs=8, runs=tmp_path) as at_a_time:
        assert at_a_time == 1


# What is wrong is one sentence


def refused(tmp_path: Path, capsys, *options: str) -> str:
    folders = [f"--runs={tmp_path / 'runs'}", f"--results={tmp_path / 'none'}"]
    command = ["reproduce", "--profile=smoke", "--only=reference/oracle", *folders, *options]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("avvp: ") and told.count("\n") == 1
    assert not find_runs(tmp_path / "runs")
    return told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--backend=loky", "--scheduler=tcp://127.0.0.1:1"], "'loky' works on this machine"),
        (["--scheduler=tcp://127.0.0.1:1"], "give --backend dask or ray with it"),
        (["--backend=dask", "--scheduler=127.0.0.1:8786"], "looks like tcp://10.0.0.1:8786"),
        (["--backend=dask", "--scheduler=http://127.0.0.1:8786"], "is not the address"),
        (["--backend=dask", "--scheduler=tcp://127.0.0.1"], "is not the address"),
        (["--backend=ray", "--scheduler=ray://127.0.0.1:1"], "looks like 10.0.0.1:6379 or auto"),
    ],
)
def test_a_wrong_address_is_one_sentence(tmp_path, capsys, options, sentence):
    assert sentence in refused(tmp_path, capsys, *options)


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setitem(workers.__wrapped__.__kwdefaults__, "wait", 2.0)


def test_no_scheduler_there_is_one_sentence(tmp_path, capsys, impatient):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        told = refused(tmp_path, capsys, "--backend=dask", f"--scheduler={address}")
    assert f"No Dask scheduler answers at {address}; start one with `dask scheduler`" in told


def test_something_else_at_the_address_is_one_sentence(tmp_path, capsys, impatient):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        told = refused(tmp_path, capsys, "--backend=dask", f"--scheduler={address}")
    assert f"No Dask scheduler answers at {address}" in told


def test_a_web_server_at_the_address_is_one_sentence(tmp_path, capsys, impatient):
    """Dask takes the first eight letters of the answer for the number of frames to come."""
    answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThis is a web server."

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(2**16)
            connection.sendall(answer)
            while connection.recv(2**16):
                pass

    with socket.create_server(("127.0.0.1", 0)) as other, ThreadPoolExecutor(1) as beside:
        beside.submit(serve, other)
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        told = refused(tmp_path, capsys, "--backend=dask", f"--scheduler={address}")
    assert f"No Dask scheduler answers at {address}" in told


def test_the_address_of_a_worker_is_one_sentence(tmp_path, capsys, worker):
    with worker("alone") as (_, address):
        told = refused(tmp_path, capsys, "--backend=dask", f"--scheduler={address}")
    assert f"No Dask scheduler answers at {address}" in told


def test_a_scheduler_without_workers_is_one_sentence(tmp_path, capsys, impatient, scheduler):
    told = refused(tmp_path, capsys, "--backend=dask", f"--scheduler={scheduler}")
    assert f"has no worker after 2 seconds; start some with `dask worker {scheduler}" in told


def test_a_worker_of_many_threads_is_one_sentence(tmp_path, capsys, scheduler, worker):
    with worker("many", "--nthreads", "3"):
        told = refused(tmp_path, capsys, "--backend=dask", f"--scheduler={scheduler}")
    assert "takes 3 runs at a time" in told and "start it with --nthreads 1" in told


def test_what_a_worker_does_not_see_is_one_sentence(tmp_path, scheduler, worker, monkeypatch):
    """A worker of this machine sees all: what it looks for is planted elsewhere."""
    with worker("far"):
        for missing in ("runs", "data"):
            places = {"runs": tmp_path / "runs", "data": tmp_path / "llp.h5"}
            places["data"].touch()
            if missing == "runs":
                monkeypatch.setattr("avvp.cluster.NamedTemporaryFile", elsewhere)
            else:
                monkeypatch.undo()
                places["data"].unlink()
            with (
                pytest.raises(AvvpError, match=f"does not see {places[missing]} as this machine"),
                workers("dask", scheduler=scheduler, **places),
            ):
                raise AssertionError("not reached")


@contextmanager
def elsewhere(**_) -> Iterator[types.SimpleNamespace]:
    yield types.SimpleNamespace(name="/on/another/machine")


def versions(**changes) -> dict:
    packages = {"avvp": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.1", "joblib": "1.6"}
    packages |= {"distributed": "2026.8.0"}
    python = changes.pop("python", "3.11.7.final.0")
    return {"host": {"python": python}, "packages": packages | changes}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, None),
        ({"torch": "2.13.0+cu128"}, None),
        ({"python": "3.11.9.final.0"}, None),
        ({"python": "3.12.7.final.0"}, "Worker w has python 3.12 and this machine 3.11"),
        ({"torch": "2.12.0"}, "Worker w has torch 2.12.0 and this machine 2.13.0"),
        ({"avvp": None}, "Worker w cannot import avvp; install the same packages"),
    ],
)
def test_other_versions_are_one_sentence(changed, sentence):
    found = {"client": versions(), "scheduler": versions(avvp=None, torch=None)}
    found["workers"] = {"v": versions(), "w": versions(**changed)}
    told = differing_versions(found, package="distributed")
    assert (told is None) if sentence is None else sentence in told


def test_another_scheduler_version_is_one_sentence():
    found = {"client": versions(), "scheduler": versions(distributed="2024.1.0"), "workers": {}}
    assert "The scheduler has distributed 2024.1.0" in differing_versions(
        found, package="distributed"
    )


def test_the_versions_on_ray_are_told_in_the_same_form():
    """Ray itself refuses another Ray or Python; the rest is asked for."""
    ours = ray_versions(["torch", "none_such"])()
    assert ours["packages"] == {"torch": torch.__version__, "none_such": None}
    found = {"client": versions(ray="2.60.0"), "workers": {"w": versions(ray="2.9.0")}}
    assert "Worker w has ray 2.9.0" in differing_versions(found, package="ray")


SLURM = """
from distributed import LocalCluster


class SLURMCluster(LocalCluster):
    def __init__(self, *, queue, cores, memory, walltime, **options):
        assert set(options) == {"job_extra_directives", "worker_extra_args"}
        super().__init__(n_workers=0, threads_per_worker=cores, dashboard_address=None)

    def scale(self, jobs):
        super().scale(min(jobs, 2))
"""


def test_the_example_for_slurm_runs_where_workers_are_local_processes(tmp_path):
    """dask-jobqueue is played by processes of this machine; the rest is as in the book."""
    (tmp_path / "dask_jobqueue.py").write_text(SLURM)
    folders = [f"--runs={tmp_path / 'runs'}", f"--results={tmp_path / 'none'}"]
    options = ["--profile=smoke", "--only=reference/*", "--device=cpu", *folders]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "examples/on_slurm.py", *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{root}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "2 runs made, 0 were there, 0 failed." in done.stdout
    assert len(find_runs(tmp_path / "runs")) == 2


# Ray


@pytest.fixture(scope="module", autouse=True)
def without_a_token() -> Iterator[None]:
    """Ray would leave one in the home folder, and others would have to know of it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[tuple[str, psutil.Process]]:
    """A Ray cluster of two processors: its address, and the process that the others come from."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--head", "--block", f"--port={port}", "--num-cpus=2", "--disable-usage-stats"]
    options += ["--include-dashboard=false", f"--object-store-memory={200 * 2**20}"]
    # Names of sockets are short, and so must the folder's be.
    with TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        options.append(f"--temp-dir={folder}")
        with started(RAY, "start", *options, until="Ray runtime (started)") as (process, _):
            yield f"127.0.0.1:{port}", psutil.Process(process.pid)


def at_work(head: psutil.Process) -> list[psutil.Process]:
    return [child for child in head.children(recursive=True) if "ray::job" in child.name()]


def test_a_killed_ray_worker_changes_nothing(ray_cluster, linear, tmp_path):
    """Two worker processes; one is killed in the middle of its run."""
    (address, head), alone, shared = ray_cluster, tmp_path / "alone", tmp_path / "shared"
    assert len(linear(alone, backend="sequential").made) == 4
    with ThreadPoolExecutor() as beside:
        done = beside.submit(linear, shared, backend="ray", scheduler=address)
        while not (len(list(shared.rglob("best.pt"))) == 2 and len(at_work(head)) == 2):
            assert not done.done(), done.result()
            time.sleep(0.01)
        first, _ = at_work(head)
        first.kill()
        in_the_middle = len(find_runs(shared))
        first.wait()
        assert sorted(done.result(timeout=300).made) == [
            f"reference/linear seed {seed}" for seed in (1, 2, 3, 4)
        ]
    assert in_the_middle < 3
    assert numbers(shared) == numbers(alone)
    assert not list(shared.rglob("*.part"))


def test_when_ray_gives_a_run_up_it_says_so_and_keeps_what_is_there(
    ray_cluster, linear, tmp_path, monkeypatch
):
    (address, head), shared = ray_cluster, tmp_path / "shared"
    monkeypatch.setenv("RAY_TASK_MAX_RETRIES", "0")
    with ThreadPoolExecutor() as beside:
        done = beside.submit(linear, shared, backend="ray", scheduler=address)
        while not (list(shared.rglob("checkpoint.pt")) and at_work(head)):
            assert not done.done(), done.result()
            time.sleep(0.01)
        at_work(head)[0].kill()
        with pytest.raises(AvvpError, match="A worker process was killed"):
            done.result(timeout=300)
    assert list(shared.rglob("checkpoint.pt"))


def test_what_a_ray_worker_does_not_see_is_one_sentence(ray_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("avvp.cluster.NamedTemporaryFile", elsewhere)
    with (
        pytest.raises(AvvpError, match=rf"Worker \S+:\d+ does not see {tmp_path} as this machine"),
        workers("ray", scheduler=ray_cluster[0], runs=tmp_path),
    ):
        raise AssertionError("not reached")


def test_without_an_address_ray_starts_on_this_machine(tmp_path):
    folders = [f"--runs={tmp_path / 'runs'}", f"--results={tmp_path / 'none'}"]
    command = ["reproduce", "--profile=smoke", "--only=reference/*", "--device=cpu", *folders]
    assert main([*command, "--backend=ray", "--jobs=2"]) == 0
    assert len(find_runs(tmp_path / "runs")) == 2


def test_no_ray_there_is_one_sentence(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = refused(tmp_path, capsys, "--backend=ray", f"--scheduler={address}")
    assert f"No Ray cluster answers at {address} (" in told and "`ray start --head`" in told


def test_something_else_where_ray_should_be_is_one_sentence(tmp_path, capsys, impatient):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        told = refused(tmp_path, capsys, "--backend=ray", f"--scheduler={address}")
    assert f"answers at {address} (what listens there said nothing in 2 seconds)" in told


@pytest.mark.parametrize(
    ("resources", "device", "scheduler", "expected"),
    [
        ({"CPU": 6.0}, "auto", "auto", (6, 0.0)),
        ({"CPU": 6.0, "GPU": 2.0}, "auto", "auto", (2, 1.0)),
        ({"CPU": 6.0, "GPU": 8.0}, "cuda", "auto", (6, 1.0)),
        ({"CPU": 6.0, "GPU": 2.0}, "cpu", "auto", (6, 0.0)),
        ({"CPU": 4.0, "GPU": 1.0}, "auto", None, (4, 0.25)),
        ({"CPU": 4.0}, "auto", None, (4, 0.0)),
        ({"CPU": 6.0}, "cuda", "auto", "The Ray cluster at auto has no GPU; give --device cpu"),
        ({"CPU": 6.0, "GPU": 2.0}, "cuda:1", "auto", "give --device cuda in place of cuda:1"),
        ({"GPU": 2.0}, "auto", "auto", "has no processor for runs; add machines"),
    ],
)
def test_a_run_on_ray_is_given_a_gpu(resources, device, scheduler, expected):
    """No GPU is here: the counts are planted, what is asked for is not."""
    ray = types.SimpleNamespace(cluster_resources=lambda: resources)
    options = {"scheduler": scheduler, "jobs": 4, "device": device}
    if isinstance(expected, str):
        with pytest.raises(AvvpError, match=expected):
            at_a_time(ray, **options)
    else:
        assert at_a_time(ray, **options) == expected
