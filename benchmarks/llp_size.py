"""What the book takes on a data set of LLP's size: ``python benchmarks/llp_size.py DIR``.

Nobody may hand out LLP's features, so this makes a stand-in: 11,849 videos in the released layout
with features of the simulator. Then it does in DIR, in a copy of the repository, what a reader does
with the real ones, and measures each step: import, check, one experiment of profile full, every
experiment for a moment, and the book. It exits with status 1 if a chapter fails, or
if a table does not show this build's runs or says that they come from elsewhere.

``avvp data import`` cannot know that features are made up: what the book says about this file is
what it would say about LLP's. So the file and all runs on it stay in DIR, to be deleted; what the
steps cost goes to ``--json``. It wants 11 GB of disk and, on two cores, an hour; cut off, it goes
on after the last step that was done.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import psutil
import torch

from avvp.atomic import write_text
from avvp.bookmaking import chapters, table_rows
from avvp.data.annotations import read_annotations
from avvp.data.features import FOLDERS
from avvp.data.simulate import SPLITS, SimulatorConfig
from avvp.data.stand_in import write_stand_in
from avvp.data.store import describe
from avvp.devices import describe_device
from avvp.experiments import REGISTRY, commit
from avvp.tables import THIS_BUILD

ROOT = Path(__file__).resolve().parents[1]
LINEAR = "reference/linear"
"""The largest training of profile full that a processor does in minutes."""


def measured(arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run ``avvp`` in a copy of the repository; what that took, all its processes together.

    Raises:
        SystemExit: the command failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    used, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    loads = [os.getloadavg()[0]]
    process = psutil.Popen(
        [sys.executable, "-m", "avvp.cli", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peak = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.2):
            peak = max(peak, resident_bytes(process))
            loads.append(os.getloadavg()[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    over.set()
    watcher.join()
    seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"avvp {' '.join(arguments)} failed:\n{output[-4000:]}")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime
    step = {
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "peak_memory": peak,
        "load": round(sum(loads) / len(loads), 2),
    }
    print(f"avvp {' '.join(arguments)}: {step}", flush=True)
    return step


def resident_bytes(process: psutil.Process) -> int:
    """Of a process and all that it started."""
    total = 0
    for each in (process, *descendants(process)):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """All processes that it started, and that these started."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def copy_repository(target: Path) -> None:
    """Copy what git carries, so that runs on made-up features stay out of the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def bytes_of(folder: Path) -> int:
    """All files of a folder together."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> int:
    """Make the stand-in, run the steps on it, and read the chapters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty or new folder with room for 11 GB")
    parser.add_argument("--annotations", type=Path, help="LLP's tables (default: drawn labels)")
    parser.add_argument("--json", type=Path, help="where to write what the steps took")
    options = parser.parse_args()
    folder = options.folder.resolve()
    file, copy = folder / "stand-in.h5", folder / "avvp"
    copy_repository(copy)
    labels = str(options.annotations.resolve()) if options.annotations else "sampled"
    annotations = options.annotations or folder / "annotations"
    features = folder / "features"
    notes = folder / "steps.json"
    known = json.loads(notes.read_text("utf-8")) if notes.is_file() else {}

    def step(name: str, *arguments: str) -> None:
        if name not in known:
            known[name] = measured(arguments, copy)
            write_text(notes, json.dumps(known))

    if "import" not in known:
        write_stand_in(folder, SimulatorConfig(labels=labels))
        known["bytes"] = {name: bytes_of(features / name) for name, _ in FOLDERS.values()}
    tables = ("--annotations", str(annotations.resolve()), "--features", str(features))
    step("import", "data", "import", *tables, "--out", str(file))
    shutil.rmtree(features, ignore_errors=True)
    step("info", "data", "info", str(file))
    one = ("--only", LINEAR, "--seeds", "1")
    step("linear", "reproduce", "--profile", "full", *one, "--data", str(file))
    smoke = ("--profile", "smoke", "--data", str(file))
    step("smoke", "reproduce", *smoke, "--jobs", "2")
    step("book", "book", "build", *smoke)

    left_out = sorted(
        name
        for name, each in REGISTRY.items()
        if each.simulated_only or not each.trained_by("smoke")
    )
    lines, wanting = 0, []
    for source in chapters(copy):
        rows = table_rows(nbformat.read(copy / "book" / f"{source.stem}.ipynb", as_version=4))
        lines += sum(f"{THIS_BUILD}{file.name}, " in cell for row in rows for cell in row)
        wanting += [
            f"{source.stem}: {' | '.join(row[:2])}"
            for row in rows
            for cell in row
            if str(file) in cell and not any(f"--only {name} " in cell for name in left_out)
        ]
    print(f"{lines} lines of tables show runs of this build; {len(wanting)} do not:")
    print("\n".join(wanting))
    told = describe(file, check=False)
    content = {
        "schema": 1,
        "command": "python benchmarks/llp_size.py DIR --annotations DIR --json FILE",
        "commit": commit(),
        "device": describe_device(torch.device("cpu")),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "features": "simulated",
        "annotations": read_annotations(annotations).provenance,
        "videos": {split: told.splits[split].videos for split in SPLITS},
        "bytes": {**known.pop("bytes"), "file": file.stat().st_size},
        "steps": known,
        "book": {"chapters": len(chapters(copy)), "lines": lines, "left_out": left_out},
    }
    if options.json and not wanting:
        write_text(options.json, json.dumps(content, indent=1) + "\n")
    return int(bool(wanting))


if __name__ == "__main__":
    sys.exit(main())
