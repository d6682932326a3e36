"""``avvp reproduce``: train and score every experiment that is missing."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from avvp.results import RESULTS, RUNS

if TYPE_CHECKING:
    from avvp.fan_out import Reproduction


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``reproduce``."""
    command = groups.add_parser("reproduce", help=__doc__)
    command.add_argument("--profile", default="quick", help="smoke, quick, medium or full")
    command.add_argument(
        "--only",
        nargs="+",
        action="extend",
        metavar="PATTERN",
        help="experiments, such as 'han/*' 'ma/c*' (default: all that the profile trains)",
    )
    command.add_argument("--seeds", type=int, metavar="N", help="seeds 1 to N")
    command.add_argument("--data", default="sim", help="sim, or an .h5 file (default: %(default)s)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--backend", default="loky", help="sequential, loky, dask or ray")
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask (tcp://host:port) or Ray cluster"
    )
    command.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    command.add_argument(
        "--together",
        type=int,
        metavar="N",
        help="train up to N runs of one shape as one computation (default: on cuda all seeds of an "
        "experiment, elsewhere 1)",
    )
    command.add_argument("--runs", type=Path, default=RUNS, help="where new runs land")
    command.add_argument("--results", type=Path, default=RESULTS, help="where else to look")
    command.set_defaults(run=_reproduce)


def _reproduce(options: argparse.Namespace) -> int:
    # torch and scipy take seconds to import: only who trains waits for them.
    from avvp.fan_out import Stopped, reproduce

    try:
        done = reproduce(
            profile=options.profile,
            only=options.only,
            seeds=options.seeds,
            data=options.data,
            device=options.device,
            backend=options.backend,
            jobs=options.jobs,
            scheduler=options.scheduler,
            together=options.together,
            runs=options.runs,
            results=options.results,
        )
    except Stopped as error:
        _tell(error.done)
        raise
    _tell(done)
    return 1 if done.failed else 0


def _tell(done: "Reproduction") -> None:
    """Print what was made, and of all else why not."""
    counts = f"{len(done.made)} runs made, {done.present} were there, {len(done.failed)} failed"
    print(counts + (f", {len(done.not_run)} not run." if done.not_run else "."))
    for line in done.said:
        print(line)
    for name, reason in done.left_out.items():
        print(f"left out: {name}: {reason}")
    for job, reason in done.failed.items():
        print(f"failed: {job}: {reason}")
    for job, reason in done.not_run.items():
        print(f"not run: {job}: {reason}")
