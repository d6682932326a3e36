"""``avvp sweep``: the methods in simulated worlds that differ in one parameter."""

import argparse
import time
from pathlib import Path

from avvp.commands.results import publish_lines
from avvp.results import RESULTS, RUNS


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``sweep``."""
    command = groups.add_parser("sweep", help=__doc__)
    command.add_argument(
        *("action",),
        nargs="?",
        choices=("run", "list", "publish"),
        default="run",
        help="train what is missing (default); say what is there; copy it to the committed folder",
    )
    command.add_argument("--worlds", metavar="PATTERN", default="*", help="such as 'sim-train-*'")
    command.add_argument("--seeds", type=int, metavar="N", help="seeds 1 to N (default: 3)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--runs", type=Path, default=RUNS, help="where new runs land")
    command.add_argument("--results", type=Path, default=RESULTS, help="the committed folder")
    command.set_defaults(run=_sweep)


def _sweep(options: argparse.Namespace) -> None:
    # torch takes seconds to import: only who trains waits for it.
    from avvp.sweep import progress, publish_sweep, sweep

    folders = {"runs": options.runs, "results": options.results}
    if options.action == "publish":
        for line in publish_lines(publish_sweep(**folders)):
            print(line)
        return
    told = progress(options.worlds, seeds=options.seeds, **folders)
    if options.action == "list":
        for entry in told:
            print(
                f"{entry.point.world:24s} {entry.runs - entry.missing:3d} of {entry.runs:3d} runs  "
                f"{', '.join(entry.point.experiments)}"
            )
    left = sum(entry.missing for entry in told)
    print(f"{left} of {sum(entry.runs for entry in told)} runs of the sweep are missing.")
    if options.action == "list":
        return
    made = sweep(options.worlds, seeds=options.seeds, device=options.device, **folders)
    for number, run in enumerate(made, start=1):
        print(
            f"{time.strftime('%H:%M:%S')}  {number} of {left}  {run.data} {run.experiment} seed "
            f"{run.seed}: Type@AV {run.metrics['segment/type_av']:.1f}, {run.seconds:.0f} s",
            flush=True,
        )
