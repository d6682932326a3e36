"""``avvp data``: import, simulate, describe and download data."""

import argparse
from pathlib import Path

from avvp.data.annotations import read_annotations
from avvp.data.statistics import measure, write_statistics


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the group ``data`` to the command line."""
    group = groups.add_parser("data", help=__doc__, description=__doc__)
    actions = group.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("statistics", help="count the labels of LLP, for the simulator")
    action.add_argument("--annotations", type=Path, required=True, help="folder of the CSV files")
    action.add_argument("--out", type=Path, required=True, help="JSON file to write")
    action.set_defaults(run=_statistics)


def _statistics(options: argparse.Namespace) -> None:
    write_statistics(options.out, measure(read_annotations(options.annotations)))
    print(f"wrote {options.out}")
