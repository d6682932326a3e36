"""Jobs on a Ray cluster, through joblib: each is a task, which Ray starts again if a worker dies.

Ray comes with a backend for joblib, a pool of workers. It is not used here: a pool hands over all
results at the end, gives up when a worker dies, and asks for no GPU.
"""

import importlib
import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from joblib.parallel import ParallelBackendBase

from avvp.devices import asks_for_gpu
from avvp.errors import AvvpError

QUIET = {"log_to_driver": False, "logging_level": "ERROR"}
"""What a worker prints stays in Ray's logs: progress and failures arrive as results."""


ATTEMPT = """
import sys, ray
try:
    ray.init(address=sys.argv[1], logging_level="ERROR")
except Exception as error:
    sys.exit(print(*str(error).split()) or 1)
"""
"""A process of its own tries first: ``ray.init`` may wait for minutes and then end the process."""


@contextmanager
def connected(scheduler: str | None, *, jobs: int, wait: float) -> Iterator[Any]:
    """The module ``ray``, connected.

    Args:
        scheduler: ``HOST:PORT`` of a cluster that this machine belongs to, or ``auto``; None: start
            one of this machine.
        jobs: processors of the cluster that is started.
        wait: for an answer, in seconds.

    Raises:
        AvvpError: nobody answers, or not as a Ray of this version does.
    """
    ray = importlib.import_module("ray")
    ours = not ray.is_initialized()
    if ours and scheduler is None:
        ray.init(num_cpus=jobs, include_dashboard=False, **QUIET)
    elif ours:
        if reason := _why_not(scheduler, wait):
            raise AvvpError(
                f"No Ray cluster answers at {scheduler} ({reason}); start one with `ray start "
                "--head`, join it on this machine too, and give the address that it prints. If it "
                "wants a token, set RAY_AUTH_MODE=token."
            )
        ray.init(address=scheduler, **QUIET)
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _why_not(scheduler: str, wait: float) -> str | None:
    """Why there is no connection to a cluster, if so."""
    try:
        if scheduler != "auto":
            host, port = scheduler.rsplit(":", 1)
            socket.create_connection((host, int(port)), timeout=wait).close()
        command = (sys.executable, "-c", ATTEMPT, scheduler)
        tried = subprocess.run(command, capture_output=True, text=True, timeout=wait)
    except OSError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return f"what listens there said nothing in {wait:.0f} seconds"
    return (tried.stdout.strip().rstrip(".") or "it ended the call") if tried.returncode else None


def at_a_time(ray: Any, *, scheduler: str | None, jobs: int, device: str) -> tuple[int, float]:
    """How many jobs the cluster takes at a time, and how much of a GPU each is given.

    Ray gives GPUs to those who ask for them, and may hide them from others. A job of a cluster gets
    a whole one; those of this machine share what is there.

    Raises:
        AvvpError: there is no processor, or none of the device asked for.
    """
    there = ray.cluster_resources()
    processors, gpus = int(there.get("CPU", 0)), there.get("GPU", 0.0)
    place = f"The Ray cluster at {scheduler}" if scheduler else "This machine"
    if not processors:
        raise AvvpError(f"{place} has no processor for runs; add machines with `ray start`.")
    name, colon, _ = device.partition(":")
    if colon:
        raise AvvpError(f"Ray gives a run its device: give --device {name} in place of {device}.")
    wanted = asks_for_gpu(device)
    if wanted and not gpus:
        raise AvvpError(f"{place} has no GPU; give --device cpu, or add machines that have one.")
    if wanted is None:
        wanted = gpus > 0
    if scheduler is None:
        return jobs, min(1.0, gpus / jobs) if wanted else 0.0
    return (min(processors, int(gpus)), 1.0) if wanted else (processors, 0.0)


def versions(packages: Sequence[str]) -> Callable[[], dict[str, Any]]:
    """A question to a worker: its versions, in the form of ``distributed.Client.get_versions``."""

    # Travels by value, being local: it has to run where this package is missing.
    def told() -> dict[str, Any]:
        def version(name: str) -> str | None:
            try:
                return importlib.import_module(name).__version__
            except ImportError:
                return None

        return {
            "host": {"python": platform.python_version()},
            "packages": {name: version(name) for name in packages},
        }

    return told


def ask_workers(ray: Any, question: Callable, *arguments: Any) -> dict[str, Any]:
    """One answer for each machine of the cluster that has processors, by its address."""
    affinity = importlib.import_module(
        "ray.util.scheduling_strategies"
    ).NodeAffinitySchedulingStrategy
    asked = {
        f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}": ray.remote(question)
        .options(num_cpus=0, scheduling_strategy=affinity(node["NodeID"], soft=False))
        .remote(*arguments)
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    }
    return dict(zip(asked, ray.get(list(asked.values())), strict=True))


def killed(ray: Any) -> tuple[type[BaseException], ...]:
    """What Ray raises where a job died with its worker as often as it may."""
    errors = ray.exceptions
    return errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError


class RayBackend(ParallelBackendBase):
    """Joblib's jobs as Ray's tasks.

    Args:
        ray: the module, connected.
        count: jobs at a time.
        gpu: how much of a GPU a job is given.
    """

    supports_retrieve_callback = True

    def __init__(self, ray: Any, *, count: int, gpu: float) -> None:
        super().__init__()
        self.ray, self.count, self.asked = ray, count, []

        def job(batch: Callable) -> Any:
            return batch()

        self.task = ray.remote(num_cpus=1, num_gpus=gpu)(job)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """At least two: with one worker joblib would keep the jobs in this process."""
        return max(2, self.count)

    def submit(self, func: Callable, callback: Callable) -> Any:
        """Send a batch of jobs off; ``callback`` gets the future when it is done, or given up."""
        asked = self.task.remote(func)
        self.asked.append(asked)
        future = asked.future()
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """What the batch returned.

        Raises:
            Exception: what it raised, or one of :func:`killed`.
        """
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Stop what still runs: a job has failed, and nobody waits for the others."""
        for asked in self.asked:
            self.ray.cancel(asked, force=True)
