"""The first epochs of a training in float32: ``python benchmarks/first_epochs.py NAME DIR``.

A training that fails in its first epochs need not be paid for to the end to see whether the
precision does it. This begins an experiment of profile full in float32, with the schedule of the
whole training, stops after some epochs, and writes the joint loss and the validation score of each
to ``--json``. DIR keeps the checkpoints: the same command goes on where it was cut off, and with
more ``--epochs`` where it stopped.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import avvp
from avvp.atomic import write_text
from avvp.checkpoints import read_checkpoint
from avvp.devices import describe_device
from avvp.experiments import commit, find_experiments, get_profile, open_source, run, weights_path
from avvp.training import CHECKPOINT

COLUMNS = ("video", "val/segment/type_av")
PRECISION = "float32"


def place(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """What :func:`avvp.experiments.run` takes to train it, precision apart as profile full does."""
    (experiment,) = find_experiments(name)
    profile = replace(get_profile("full"), precision=PRECISION)
    return {"experiment": experiment, "profile": profile, "seed": seed, "runs": folder}


def history(name: str, seed: int, folder: Path) -> list[dict[str, float]]:
    """The epochs that are done."""
    where = place(name, seed, folder)
    source = open_source("sim", where["profile"])
    file = weights_path(where.pop("experiment"), source=source, **where).parent / CHECKPOINT
    return read_checkpoint(file)["state"]["history"] if file.is_file() else []


def main() -> None:
    """Train each seed for so many epochs, and write what they did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of an experiment, such as cross_modal/gcaa")
    parser.add_argument("folder", type=Path, help="for checkpoints")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the epochs of all seeds")
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train is not None:
        run(**place(options.name, options.train, options.folder), progress=False)
        return
    seeds = {}
    for seed in options.seeds:
        started = time.monotonic()
        command = [sys.executable, __file__, options.name, str(options.folder)]
        child = subprocess.Popen([*command, "--train", str(seed)])
        try:
            while len(done := history(options.name, seed, options.folder)) < options.epochs:
                if child.poll() is not None:
                    raise SystemExit(
                        f"seed {seed} of {options.name} ended after {len(done)} epochs."
                    )
                time.sleep(1)
        finally:
            child.terminate()
            child.wait()
        seeds[seed] = {key: [epoch[key] for epoch in done[: options.epochs]] for key in COLUMNS}
        print(f"seed {seed}, {time.monotonic() - started:.0f} s: {seeds[seed]}", flush=True)
    content = {
        "schema": 1,
        "command": "python benchmarks/first_epochs.py NAME DIR --seeds N... --epochs N --json FILE",
        "experiment": options.name,
        "profile": "full",
        "data": "simulated",
        "precision": PRECISION,
        "commit": commit(),
        "device": describe_device(torch.device("cpu")),
        "versions": {"avvp": avvp.__version__, "torch": torch.__version__},
        "seeds": seeds,
    }
    if options.json:
        write_text(options.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
