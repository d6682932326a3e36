"""The ``avvp`` command: each group of subcommands is one module of :mod:`avvp.commands`."""

import argparse
import sys
from collections.abc import Sequence

from avvp import __version__
from avvp.commands import (
    bench,
    book,
    calibrate,
    data,
    evaluate,
    export,
    oddities,
    pack,
    predict,
    reference_lines,
    reproduce,
    results,
    sweep,
)
from avvp.errors import AvvpError


def parser() -> argparse.ArgumentParser:
    """The whole command line, as one parser."""
    top = argparse.ArgumentParser(prog="avvp", description=__doc__)
    top.add_argument("--version", action="version", version=f"avvp {__version__}")
    groups = top.add_subparsers(dest="group", required=True, metavar="COMMAND")
    for module in (
        bench,
        book,
        calibrate,
        data,
        evaluate,
        oddities,
        export,
        pack,
        predict,
        reference_lines,
        reproduce,
        results,
        sweep,
    ):
        module.add_commands(groups)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one sentence on stderr and exit status 2."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except AvvpError as error:
        print(f"avvp: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        print(f"avvp: the operating system says: {error.strerror}{place}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("avvp: interrupted; run the same command again to resume.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
