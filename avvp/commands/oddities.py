"""``avvp oddities``: count the oddities of LLP's annotations, and what they do to scores."""

import argparse
from pathlib import Path

from avvp.atomic import check_file
from avvp.data.annotations import read_annotations
from avvp.oddities import measure_oddities, write_oddities


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add ``oddities`` to the command line."""
    command = groups.add_parser("oddities", help=__doc__, description=__doc__)
    command.add_argument("--annotations", type=Path, required=True, help="folder of the CSV files")
    command.add_argument("--out", type=Path, required=True, help="JSON file to write")
    command.set_defaults(run=_oddities)


def _oddities(options: argparse.Namespace) -> None:
    check_file(options.out)
    measured = measure_oddities(read_annotations(options.annotations))
    write_oddities(options.out, measured)
    for split, content in measured["splits"].items():
        print(
            f"{split}, {content['videos']} videos: rows {content['rows']}, events "
            f"{content['events']}, (video, class) pairs {content['pairs']}"
        )
    print(f"wrote {options.out}")
