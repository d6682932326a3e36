"""``avvp bench``: measure how fast networks train on this device, alone and several together."""

import argparse
import math
import sys
from pathlib import Path


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``bench``."""
    command = groups.add_parser("bench", help=__doc__)
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        metavar="N",
        help="how many to train together (default: 1 5 20)",
    )
    command.add_argument(
        "--seconds", type=float, default=2.0, help="for each measurement (default: %(default)s)"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    command.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> None:
    from avvp.atomic import check_file
    from avvp.bench import bench, bench_tables, write_bench
    from avvp.errors import AvvpError

    if options.seeds and min(options.seeds) < 1:
        raise AvvpError(f"--seeds is {min(options.seeds)}; it must be at least 1.")
    if not 0 <= options.seconds < math.inf:
        raise AvvpError(f"--seconds is {options.seconds:g}; it must be a number from 0 on.")
    if options.json:
        check_file(options.json)
    content = bench(
        device=options.device,
        seeds=options.seeds,
        seconds=options.seconds,
        tell=lambda told: print(told, file=sys.stderr, flush=True),
    )
    print(bench_tables(content))
    if options.json:
        write_bench(options.json, content)
