"""The first epochs of a training by precision: ``python benchmarks/first_epochs.py NAME DIR``.

A training that fails in its first epochs need not be paid for to the end to see what in bfloat16
does it. This begins an experiment, with the schedule of the whole training of profile full, in
float32, in bfloat16, and in bfloat16 with the softmax of every attention in float32, as a GPU has
it. It stops after some epochs and writes for each precision and seed the joint loss and the
validation score by epoch, and how large what the front end makes of both modalities has become.
DIR keeps the checkpoints: the same command goes on where it was cut off, and with more ``--epochs``
where it stopped.
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
from avvp.experiments import (
    commit,
    find_experiments,
    get_profile,
    open_source,
    open_split,
    run,
    weights_path,
)
from avvp.models import build, layers
from avvp.registry import Override
from avvp.training import CHECKPOINT

CPU = torch.device("cpu")
COLUMNS = ("video", "val/segment/type_av")
PRECISIONS = {
    "float32": ("float32", False),
    "bfloat16": ("bfloat16", False),
    "bfloat16, softmax in float32": ("bfloat16", True),
}
"""How it is told -> the precision of the training, and whether softmaxes are widened."""


def place(name: str, told: str, seed: int, folder: Path) -> dict[str, Any]:
    """What :func:`avvp.experiments.run` takes to train it."""
    (experiment,) = find_experiments(name)
    precision, _ = PRECISIONS[told]
    change = Override("training.precision", precision, "to see what it does")
    experiment = replace(experiment, overrides={"full": (change,)})
    runs = folder / told.replace(", ", "-").replace(" ", "-")
    return {"experiment": experiment, "profile": get_profile("full"), "seed": seed, "runs": runs}


def read_epochs(where: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint after the last epoch that is done, or None."""
    source = open_source("sim", where["profile"])
    file = weights_path(source=source, **where).parent / CHECKPOINT
    return read_checkpoint(file) if file.is_file() else None


@torch.no_grad()
def sizes(where: dict[str, Any], weights: dict[str, torch.Tensor]) -> dict[str, float]:
    """Root mean square of what the front end makes of each modality of the validation videos."""
    network = build(where["experiment"].model, **where["experiment"].options).eval()
    network.load_state_dict(weights)
    source = open_source("sim", where["profile"])
    squares = torch.zeros(2, dtype=torch.float64)
    split = open_split(source, "val", where["profile"], CPU)
    for batch in split.batches(batch_size=64):
        both = network.front_end(*batch[1:4])
        squares += torch.stack([x.double().square().mean(dim=(1, 2)).sum() for x in both])
    heard, seen = (squares / len(split)).sqrt().tolist()
    return {"audio": heard, "visual": seen}


def train(told: str, where: dict[str, Any]) -> None:
    """Train it to the end; whoever started this process ends it before."""
    if PRECISIONS[told][1]:
        layers.on_gpu = lambda device: True  # what `layers.widened` asks
    run(**where, progress=False)


def begin(name: str, told: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one seed in one precision for so many epochs; what they did."""
    where = place(name, told, seed, options.folder)
    command = [sys.executable, __file__, name, str(options.folder), "--train", told]
    child = subprocess.Popen([*command, "--seeds", str(seed)])
    try:
        # In the middle of an epoch the network is that of no epoch: wait for the end of one.
        while (state := read_epochs(where)) is None or (
            len(state["state"]["history"]) < options.epochs
        ):
            if child.poll() is not None:
                raise SystemExit(f"Seed {seed} of {name} in {told} ended by itself.")
            time.sleep(0.5)
    finally:
        child.terminate()
        child.wait()
    done = state["state"]["history"][: options.epochs]
    columns = {key: [epoch[key] for epoch in done] for key in COLUMNS}
    return columns | {"front_end": sizes(where, state["network"])}


def main() -> None:
    """Begin each training, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of an experiment, such as cross_modal/gcaa")
    parser.add_argument("folder", type=Path, help="for checkpoints")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the epochs of all seeds")
    parser.add_argument("--train", choices=list(PRECISIONS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    if options.train:
        train(options.train, place(options.name, options.train, options.seeds[0], options.folder))
        return
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for told in PRECISIONS:
        found[told] = {}
        for seed in options.seeds:
            found[told][seed] = begin(options.name, told, seed, options)
            print(f"{told}, seed {seed}: {found[told][seed]}", flush=True)
    content = {
        "schema": 2,
        "command": "python benchmarks/first_epochs.py NAME DIR --seeds N... --epochs N --json FILE",
        "experiment": options.name,
        "profile": "full",
        "data": "simulated",
        "commit": commit(),
        "device": describe_device(CPU),
        "versions": {"avvp": avvp.__version__, "torch": torch.__version__},
        "precisions": found,
    }
    if options.json:
        write_text(options.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
