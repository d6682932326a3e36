"""``avvp reference-lines``: score label-only predictors on LLP's annotations."""

import argparse
from pathlib import Path

from avvp.atomic import check_file
from avvp.data.annotations import read_annotations
from avvp.reference_lines import LINES, measure, write_lines


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add ``reference-lines`` to the command line."""
    command = groups.add_parser("reference-lines", help=__doc__, description=__doc__)
    command.add_argument("--annotations", type=Path, required=True, help="folder of the CSV files")
    command.add_argument("--out", type=Path, required=True, help="JSON file to write")
    command.set_defaults(run=_reference_lines)


def _reference_lines(options: argparse.Namespace) -> None:
    check_file(options.out)
    measured = measure(read_annotations(options.annotations))
    write_lines(options.out, measured)
    for split, content in measured["splits"].items():
        print(f"{split}, {content['videos']} videos: Type@AV at segment and at event level")
        for name, ten in content["lines"].items():
            print(f"  {ten['segment/type_av']:5.1f}  {ten['event/type_av']:5.1f}  {LINES[name]}")
    print(f"wrote {options.out}")
