"""How fast networks train here: a step alone, and of several seeds as one computation.

Beside each time stand the operations of the step, counted and not guessed, and the rate at which
the device multiplies large matrices, measured: their ratio says how much of the device a step uses.

Times are medians. On a processor the clock also counts what other programs do meanwhile, so that
rates are taken from processor time there, which hardly depends on them; the load stands beside.
What a process has held once, it may keep: on a processor each step is measured in one of its own.
"""

import json
import multiprocessing
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, get_args

import psutil
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from avvp.atomic import write_text
from avvp.data.videos import Batch
from avvp.devices import PeakMemory, choose_device, describe_device, exact_float32, wait_for
from avvp.errors import AvvpError
from avvp.events import decode
from avvp.experiments import Experiment, Profile, commit, find_experiments, open_source, open_split
from avvp.groups import step_of
from avvp.losses import Targets, weak_targets
from avvp.metrics import evaluate_videos
from avvp.models import build
from avvp.results import RESULTS
from avvp.tables import Table, markdown_table
from avvp.training import Precision, adam, predict, seeded, train_step

KIND = "training speed"
SCHEMA = 1
EXPERIMENTS = ("han/han", "ma/c", "mgn/mgn")
"""HAN, MA with its contrastive term, and MGN 3/3/6."""

PROFILE = Profile("bench", "measure steps", train=512, val=32, test=1_200)
"""Batches and networks as published; a step does not care how many videos there are besides."""

SEEDS = (1, 5, 20)
"""How many are trained together."""

MANY = 20
"""From so many seeds on two timings will do: on a processor a step takes seconds."""

MATRIX_ON_CPU, MATRIX = 2_048, 8_192
"""Rows and columns of the matrices whose product is timed."""


class Timing(NamedTuple):
    """What a call takes: medians in seconds, how many were timed, and what else went on."""

    seconds: float
    processor: float
    repeats: int
    load: float


def timed(
    call: Callable[[], object],
    *,
    device: torch.device,
    seconds: float,
    at_least: int = 3,
    warm_up: int = 1,
) -> Timing:
    """Time a call again and again.

    On an accelerator a call only queues its work. Each timing therefore takes as many calls as
    fill a twentieth of a second, and waits for the device at its end.

    Args:
        call: does the same amount of work every time.
        device: where it does it.
        seconds: to go on for.
        at_least: timings, even where these take longer.
        warm_up: calls beforehand that do not count.
    """
    for _ in range(warm_up):
        call()
    wait_for(device)
    calls = 1
    taken: list[tuple[float, float]] = []
    begun = time.perf_counter()
    while len(taken) < at_least or time.perf_counter() - begun < seconds:
        started, used = time.perf_counter(), time.process_time()
        for _ in range(calls):
            call()
        wait_for(device)
        each = (time.perf_counter() - started) / calls, (time.process_time() - used) / calls
        if not taken and calls == 1 and each[0] < 0.05:
            calls = min(1_000, 1 + int(0.05 / each[0]))
            continue
        taken.append(each)
    clock, processor = (median(column) for column in zip(*taken, strict=True))
    return Timing(clock, processor, len(taken) * calls, os.getloadavg()[0])


def _on_processor(device: torch.device) -> bool:
    return device.type == "cpu"


@exact_float32()
def matrix_rate(device: torch.device, precision: Precision, *, seconds: float = 1.0) -> float:
    """Operations a second of large matrix products, a multiplication and an addition being two."""
    size = MATRIX_ON_CPU if _on_processor(device) else MATRIX
    kind = getattr(torch, precision)
    left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    spent = timed(lambda: left @ right, device=device, seconds=seconds)
    return 2 * size**3 / _basis(spent, device)


def _basis(spent: Timing, device: torch.device) -> float:
    # What rates are taken from: see the top of the module.
    return spent.processor if _on_processor(device) else spent.seconds


def step_operations(experiment: Experiment, *, videos: int | None = None) -> int:
    """Multiplications and additions of matrix products in one step, forward and backward.

    Softmaxes, norms, activations and Adam, which go over each number once, are not counted.

    Args:
        experiment: what is trained, as published.
        videos: B; None: as published.

    Raises:
        AvvpError: the experiment trains nothing.
    """
    if experiment.training is None:
        raise AvvpError(f"{experiment.name} trains nothing: there is no step to count.")
    count = videos or experiment.training.batch_size
    profile = Profile("count", "count operations", train=count, val=1, test=1)
    step, _ = _alone(experiment, profile, "sim", torch.device("cpu"), "float32", batch_size=count)
    # The fused attention of a processor is not known to the counter; matrix products are.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def _alone(
    experiment: Experiment,
    profile: Profile,
    data: str,
    device: torch.device,
    precision: Precision,
    *,
    batch_size: int,
) -> tuple[Callable[[], Mapping[str, torch.Tensor]], torch.nn.Module]:
    """The step of one seed as :func:`avvp.training.fit` takes it, to be called, and its network."""
    here = experiment.at(profile)
    train = open_split(open_source(data, profile), "train", profile, device)
    network = seeded(1, lambda: build(here.model, **here.options)).to(device).train()
    optimizer = adam(
        network,
        learning_rate=here.training.learning_rate,
        weight_decay=here.training.weight_decay,
    )

    def wanted(batch: Batch) -> Targets:
        return weak_targets(batch.weak, visual_smoothing=here.objective.visual_smoothing)

    def endless() -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(1)
        while True:
            for batch in train.batches(batch_size=batch_size, generator=generator):
                if len(batch.index) == min(batch_size, len(train)):
                    yield batch

    batches = endless()

    def step() -> Mapping[str, torch.Tensor]:
        return train_step(
            network, next(batches), optimizer, here.objective, wanted, device, precision
        )

    return step, network


def bench(
    experiments: Sequence[str] = EXPERIMENTS,
    *,
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    seconds: float = 2.0,
    profile: Profile = PROFILE,
    tell: Callable[[str], object] = lambda told: None,
) -> dict[str, Any]:
    """Measure what the top of the module says.

    Args:
        experiments: their names.
        device: see :func:`avvp.devices.choose_device`.
        seeds: how many to train together, each number by itself; None: :data:`SEEDS`.
        seconds: how long each measurement goes on.
        profile: how much data.
        tell: is told what was measured, one sentence at a time.

    Returns:
        what :func:`write_bench` writes and :func:`bench_tables` shows.

    Raises:
        AvvpError: an experiment is unknown or trained alone, the device is not there, or the memory
            of the machine is too small.
    """
    chosen, begun = choose_device(device), time.perf_counter()
    step_entry = _step_apart if _on_processor(chosen) else _step_entry
    rates = {p: matrix_rate(chosen, p, seconds=seconds / 2) for p in get_args(Precision)}
    for precision, rate in rates.items():
        tell(f"matrix products, {precision}: {rate / 1e9:,.0f} billion operations a second")
    content: dict[str, Any] = {
        "kind": KIND,
        "schema": SCHEMA,
        "command": "avvp bench --json FILE",
        "commit": commit(),
        "device": describe_device(chosen),
        "processor": _processor(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "basis": "processor" if _on_processor(chosen) else "clock",
        "matrix_rates": rates,
        "processes": "a step" if _on_processor(chosen) else "one",
        "experiments": [],
        "steps": [],
        "parsing": [],
    }
    for name in experiments:
        (experiment,) = find_experiments(name)
        size = experiment.training.batch_size
        told = {
            "experiment": name,
            "title": experiment.title,
            "batch_size": size,
            "operations": step_operations(experiment),
        }
        content["experiments"].append(told)
        for precision in get_args(Precision):
            for count in (None, *(seeds or SEEDS)):
                entry = step_entry(experiment, count, chosen, precision, profile, seconds)
                done = (count or 1) * told["operations"] / entry.pop("basis")
                entry |= {"rate": done, "share": done / rates[precision]}
                content["steps"].append({"experiment": name, **entry})
                tell(
                    f"{experiment.title}, {_together(count)}, {precision}: "
                    f"{1e3 * entry['seconds']:,.1f} ms a step"
                )
        content["parsing"].append(
            {"experiment": name} | _parsing_entry(experiment, chosen, profile)
        )
    content["metrics"] = _metrics_entry(chosen, profile, seconds)
    content["seconds"] = round(time.perf_counter() - begun, 1)
    return content


def _step_apart(experiment: Experiment, count: int | None, *arguments: Any) -> dict[str, Any]:
    """:func:`_step_entry` in a process that has imported everything and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (threads,)) as pool:
        try:
            entry = pool.submit(_step_entry, experiment, count, *arguments).result()
            return entry | {"peak_memory": pool.submit(_peak_memory).result()}
        except BrokenProcessPool:
            raise AvvpError(
                f"The process that measured {experiment.name}, {_together(count)}, was killed, "
                "most likely for lack of memory; give fewer --seeds."
            ) from None


def _peak_memory() -> int:
    """Bytes that this process held at its peak: the system's own mark, which misses nothing."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss begins with what the parent held there; this mark begins anew.
        return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)[1])
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # which Windows lacks

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _step_entry(
    experiment: Experiment,
    count: int | None,
    device: torch.device,
    precision: Precision,
    profile: Profile,
    seconds: float,
) -> dict[str, Any]:
    """A step of ``count`` seeds together, or of one as it is trained alone (None)."""
    size = experiment.training.batch_size
    with PeakMemory(device) as memory:
        if count is None:
            step, _ = _alone(experiment, profile, "sim", device, precision, batch_size=size)
        else:
            members = range(1, count + 1)
            where = {"profile": profile, "device": str(device)}
            step = step_of(experiment, seeds=members, precision=precision, **where)
        # What a recorded step needs to settle, and what the first one allocates.
        spent = timed(
            step,
            device=device,
            seconds=seconds,
            at_least=2 if (count or 1) >= MANY else 3,
            warm_up=1 if _on_processor(device) else 8,
        )
    return {
        "seeds": count or 1,
        "together": count is not None,
        "precision": precision,
        **spent._asdict(),
        "videos_a_second": (count or 1) * size / _basis(spent, device),
        "peak_memory": memory.bytes,
        "basis": _basis(spent, device),
    }


def _parsing_entry(
    experiment: Experiment, device: torch.device, profile: Profile
) -> dict[str, Any]:
    """Parse, decide and score the test split once, as after a training."""
    here = experiment.at(profile)
    test = open_split(open_source("sim", profile), "test", profile, device)
    network = seeded(1, lambda: build(here.model, **here.options)).to(device)
    truth = test.true_audio.cpu(), test.true_visual.cpu()

    def parse_and_score() -> None:
        decided = decode(predict(network, test, precision="bfloat16"), gate=here.gate)
        evaluate_videos(*decided, *truth).ten()

    warm_up = 0 if _on_processor(device) else 1
    spent = timed(parse_and_score, device=device, seconds=0, at_least=1, warm_up=warm_up)
    return {"videos": len(test), "precision": "bfloat16", **spent._asdict()}


def _metrics_entry(device: torch.device, profile: Profile, seconds: float) -> dict[str, Any]:
    """The ten scores of the test split, its truth shifted by a video as the prediction."""
    test = open_split(open_source("sim", profile), "test", profile, device)
    truth = test.true_audio, test.true_visual
    decided = [mask.roll(1, dims=0) for mask in truth]
    spent = timed(
        lambda: evaluate_videos(*decided, *truth).ten(), device=device, seconds=seconds / 2
    )
    return {"videos": len(test), **spent._asdict()}


def _processor() -> str:
    """The processor by name, where the system tells it."""
    told = Path("/proc/cpuinfo")
    if told.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", told.read_text("utf-8"), re.MULTILINE)
        if found:
            return f"{found[1]}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _together(count: int | None) -> str:
    return "alone" if count is None else f"{count} seed{'s' * (count > 1)} together"


def write_bench(path: Path, content: Mapping[str, Any]) -> None:
    """Write what :func:`bench` measured, completely or not at all."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_benches(folder: Path = RESULTS / "bench") -> list[dict[str, Any]]:
    """What was measured on each device, in the order of the files' names.

    Raises:
        AvvpError: a file is damaged, or of another version.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise AvvpError(
                f"{path} is no complete JSON ({error}); run avvp bench again."
            ) from None
        if content.get("kind") == KIND:
            if content["schema"] != SCHEMA:
                raise AvvpError(
                    f"{path} has schema {content['schema']!r}, this avvp reads {SCHEMA}; run avvp "
                    "bench again."
                )
            found.append(content)
    return found


def bench_tables(content: Mapping[str, Any]) -> Table:
    """What was measured on one device: the time of steps, the share of the device, parsing."""
    known = {each["experiment"]: each for each in content["experiments"]}
    on_processor = content["basis"] == "processor"
    times, shares = [], []
    for step in content["steps"]:
        network = known[step["experiment"]]
        named = [
            network["title"],
            _together(step["seeds"] if step["together"] else None),
            step["precision"],
        ]
        times.append(
            [
                *named,
                f"{1e3 * step['seconds']:,.1f}",
                *([f"{1e3 * step['processor']:,.1f}"] if on_processor else []),
                f"{step['videos_a_second']:,.0f}",
                f"{step['load']:.1f}",
            ]
        )
        shares.append(
            [
                *named,
                f"{step['seeds'] * network['operations'] / 1e9:,.1f}",
                f"{step['rate'] / 1e9:,.0f}",
                f"{100 * step['share']:.0f}",
                f"{step['peak_memory'] / 1e9:.2f}",
            ]
        )
    named = ["Network", "Seeds", "Precision"]
    said = [
        f"Steps on {content['device']} ({content['processor']}), {content['seconds']:,.0f} seconds "
        "in all. Times are medians."
    ]
    if on_processor:
        said.append(
            "Videos a second are those of processor time, which other programs change much less "
            "than the clock; the load is what they and this one asked for."
        )
    if content.get("left_out"):  # of files up to November 2026
        said.append(content["left_out"])
    steps = markdown_table(
        [
            *named,
            "ms a step",
            *(["of the processor"] if on_processor else []),
            "Videos a second",
            "Load",
        ],
        times,
        " ".join(said),
    )
    rates = ", ".join(
        f"{rate / 1e12:,.2f} in {precision}" for precision, rate in content["matrix_rates"].items()
    )
    said = [
        "What the same steps use of the device. Operations, forward and backward, are those of "
        f"matrix products; large ones run at {rates} trillion operations a second there, which is "
        "100 %."
    ]
    if on_processor:
        # Files up to November 2026 measured all steps in one process.
        apart = content.get("processes") == "a step"
        said.append(f"Memory is the whole process's{', a process for each step' if apart else ''}.")
    used = markdown_table(
        [*named, "Billion operations a step", "a second", "%", "Peak memory (GB)"],
        shares,
        " ".join(said),
    )
    parsed = [
        [
            f"parse, decide, score: {known[each['experiment']]['title']}",
            f"{each['seconds']:,.2f}",
            f"{each['processor']:,.2f}",
            f"{each['load']:.1f}",
        ]
        for each in content["parsing"]
    ]
    metrics = content["metrics"]
    parsed.append(
        [
            "the ten scores alone",
            f"{metrics['seconds']:,.3f}",
            f"{metrics['processor']:,.3f}",
            f"{metrics['load']:.1f}",
        ]
    )
    scoring = markdown_table(
        ["What", "Seconds", "of the processor", "Load"],
        parsed,
        f"Scoring {metrics['videos']:,} test videos on the same device.",
    )
    return Table(f"{steps}\n\n{used}\n\n{scoring}")
