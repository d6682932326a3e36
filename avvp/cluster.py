"""Where jobs run: in this process, in its neighbours, or on the machines of a Dask or Ray cluster.

A job travels as a few kilobytes: an entry of the registry, a profile, a seed, and the paths of the
data and of the folder for runs, which every machine has to see.
"""

import asyncio
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from avvp import ray_cluster
from avvp.errors import AvvpError
from avvp.experiments import commit

BACKENDS: dict[str, str | None] = {
    "sequential": None,
    "loky": None,
    "dask": "distributed",
    "ray": "ray",
}
"""Where jobs may run, and the package that it takes besides joblib."""

ADDRESSES = {
    "dask": (r"(tcp|tls|ucx|ucxx|ws|wss)://.+:\d+", "tcp://10.0.0.1:8786"),
    "ray": (r"auto|[^/:]+:\d+", "10.0.0.1:6379 or auto"),
}
"""What the address of a scheduler looks like: a pattern and an example."""

SAME = ("avvp", "torch", "numpy", "joblib")
"""Packages that have to be of one version on all machines, for a run to be the same wherever it
lands; so have Python and the package of the backend."""


class WorkersLost(AvvpError):
    """Workers were killed, or their scheduler is gone: what they were at is not made."""


@contextmanager
def workers(
    backend: str,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    runs: Path,
    data: Path | None = None,
    device: str = "auto",
    wait: float = 60.0,
) -> Iterator[int]:
    """Let joblib find its workers; yields how many work at a time.

    Args:
        backend: a name in :data:`BACKENDS`.
        jobs: workers to start on this machine, where there is no scheduler.
        scheduler: the address of a cluster that is there already.
        runs: the folder that the workers write to.
        data: the file that they read, if any.
        device: what they compute on; Ray has to be asked for it.
        wait: for a scheduler, and then for its first worker, in seconds.

    Raises:
        AvvpError: the backend is unknown or not installed; or there is no such scheduler, it has no
            worker, or one that is not fit for a run.
        WorkersLost: out of the block, where joblib tells of it.
    """
    if backend not in BACKENDS:
        raise AvvpError(f"There is no backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
    if scheduler is not None:
        if backend not in ADDRESSES:
            raise AvvpError(
                f"Backend {backend!r} works on this machine and takes no --scheduler; give "
                f"--backend {' or '.join(ADDRESSES)} with it."
            )
        pattern, example = ADDRESSES[backend]
        if not re.fullmatch(pattern, scheduler):
            raise AvvpError(
                f"{scheduler!r} is not the address of a scheduler for --backend {backend}; one "
                f"looks like {example}."
            )
    package = BACKENDS[backend]
    if package and importlib.util.find_spec(package) is None:
        raise AvvpError(
            f"Backend {backend!r} needs the package {package}, which is not installed; run: "
            f"pip install {package}."
        )
    with ExitStack() as stack:
        count, there = 1 if backend == "sequential" else jobs, backend
        killed: tuple[type[BaseException], ...] = (TerminatedWorkerError,)
        lost: tuple[type[BaseException], ...] = ()
        if backend == "dask":
            client = stack.enter_context(_dask(scheduler, jobs, wait))
            if scheduler:
                _wait_for_workers(client, scheduler, wait)
                _check_threads(client)
                versions = client.get_versions(packages=list(SAME))
                _check_workers(client.run, versions, runs, data, package=package)
            count = sum(client.nthreads().values())
            there = _dask_backend(client)
            distributed = importlib.import_module("distributed")
            killed += (distributed.KilledWorker,)
            lost = (distributed.client.FutureCancelledError,)
        elif backend == "ray":
            ray = stack.enter_context(ray_cluster.connected(scheduler, jobs=jobs, wait=wait))
            count, gpu = ray_cluster.at_a_time(ray, scheduler=scheduler, jobs=jobs, device=device)
            if scheduler:
                ask = partial(ray_cluster.ask_workers, ray)
                question = ray_cluster.versions([*SAME, package])
                versions = {"client": question(), "workers": ask(question)}
                _check_workers(ask, versions, runs, data, package=package)
            there = ray_cluster.RayBackend(ray, count=count, gpu=gpu)
            killed += ray_cluster.killed(ray)
        stack.enter_context(joblib.parallel_config(there, n_jobs=count))
        try:
            yield count
        except killed:
            raise WorkersLost(
                "A worker process was killed, most likely for lack of memory; give the command "
                "again with fewer workers (--jobs): what is finished is kept."
            ) from None
        except lost:
            raise WorkersLost(
                f"The Dask scheduler at {client.scheduler.address} is gone; start it and its "
                "workers again and give the same command: what is finished is kept."
            ) from None


def _dask(scheduler: str | None, jobs: int, wait: float) -> Any:
    distributed = importlib.import_module("distributed")
    if scheduler is None:
        return distributed.Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)

    async def ask() -> str:
        security = distributed.Security().get_connection_args("client")
        async with distributed.core.rpc(scheduler, connection_args=security) as there:
            return (await there.identity())["type"]

    try:
        # A client would wait for ever for whoever takes the call and says nothing. In a thread,
        # for a notebook has an event loop of its own.
        with ThreadPoolExecutor(1) as beside:
            kind = beside.submit(asyncio.run, asyncio.wait_for(ask(), wait)).result()
    except (MemoryError, OSError, TimeoutError, ValueError):
        # MemoryError: the letters of HTTP, taken for the size of an answer.
        kind = None
    if kind != "Scheduler":
        raise AvvpError(
            f"No Dask scheduler answers at {scheduler}; start one with `dask scheduler` and give "
            "the address that it prints."
        )
    return distributed.Client(scheduler, timeout=wait)


def _dask_backend(client: Any) -> Any:
    """Joblib's, on a client, without what joblib 1.6 makes of a single worker and of a dead one."""
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int) -> int:
            # With one worker joblib would keep the jobs in this process.
            return max(2, super().effective_n_jobs(n_jobs))

        def submit(self, func: Callable, callback: Callable) -> Future:
            future = super().submit(func, callback)
            # Joblib hears of results only, and would wait for ever for a job that Dask gave up.
            future.add_done_callback(lambda f: f.exception() and callback(f.exception()))
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, Exception):
                raise out
            return super().retrieve_result_callback(out)

    return Backend(client=client)


def _wait_for_workers(client: Any, scheduler: str, wait: float) -> None:
    try:
        client.wait_for_workers(1, timeout=wait)
    except TimeoutError:
        raise AvvpError(
            f"The scheduler at {scheduler} has no worker after {wait:.0f} seconds; start some with "
            f"`dask worker {scheduler} --nthreads 1`."
        ) from None


def _check_threads(client: Any) -> None:
    for worker, threads in client.nthreads().items():
        if threads > 1:
            raise AvvpError(
                f"Worker {worker} takes {threads} runs at a time in one process, where they would "
                "share their random numbers; start it with --nthreads 1, and more of them with "
                "--nworkers."
            )


def _check_workers(
    ask: Callable[..., Mapping[str, Any]],
    versions: Mapping[str, Any],
    runs: Path,
    data: Path | None,
    *,
    package: str,
) -> None:
    """Raises AvvpError if a run would fail on a worker, or come out otherwise than here.

    Args:
        ask: calls a function with arguments on every worker; returns the answers by its name.
        versions: as :func:`differing_versions` takes them.
        runs: the folder that the workers write to.
        data: the file that they read, if any.
        package: of the backend.
    """
    if told := differing_versions(versions, package=package):
        raise AvvpError(told)
    runs.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=runs, prefix=".shared.") as shared:
        paths = {str(runs): Path(shared.name)} | ({str(data): data} if data else {})
        for worker, (there, unseen) in ask(_looked_at, paths).items():
            if unseen:
                raise AvvpError(
                    f"Worker {worker} does not see {unseen[0]} as this machine does; name a place "
                    "on a file system that all machines share, under the same path."
                )
            if "unknown" not in (there, commit()) and there != commit():
                raise AvvpError(
                    f"Worker {worker} has another commit of avvp, {there[:12]}, than this machine, "
                    f"{commit()[:12]}; check out the same on both and start the worker again."
                )


def _looked_at(paths: Mapping[str, Path]) -> tuple[str, list[str]]:
    """On a worker: its commit, and the names of the paths that it does not see."""
    return commit(), [name for name, path in paths.items() if not path.exists()]


def differing_versions(found: Mapping[str, Any], *, package: str) -> str | None:
    """What is wrong with the versions on a cluster, in one sentence, if anything is.

    Args:
        found: as ``distributed.Client.get_versions`` returns it; without a scheduler, where it is
            of one version with this machine for certain.
        package: of the backend.
    """

    def number(told: Mapping[str, Any], name: str) -> str:
        # A patch of Python and the build of PyTorch for a device are no other version.
        if name == "python":
            return ".".join(told["host"]["python"].split(".")[:2])
        return str(told["packages"].get(name)).partition("+")[0]

    places = {"The scheduler": (found["scheduler"], (package,))} if "scheduler" in found else {}
    same = ("python", *SAME, package)
    places |= {f"Worker {name}": (told, same) for name, told in found["workers"].items()}
    for place, (told, names) in places.items():
        for name in names:
            ours, theirs = number(found["client"], name), number(told, name)
            if theirs == "None":
                return f"{place} cannot import {name}; install the same packages there as here."
            if ours != theirs:
                return (
                    f"{place} has {name} {theirs} and this machine {ours}, so that a run could "
                    "depend on where it lands; install the same requirements.lock on both."
                )
    return None
