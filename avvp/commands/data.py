"""``avvp data``: import, simulate, describe and download data."""

import argparse


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the group ``data`` to the command line."""
    group = groups.add_parser("data", help=__doc__)
    group.add_subparsers(required=True, metavar="ACTION")
