"""The ``avvp`` command: each group of subcommands is one module of :mod:`avvp.commands`."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

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
    top.add_argument(
        "--with",
        dest="methods",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.py",
        help="first read methods of your own, such as examples/add_a_method.py",
    )
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
    _plain(top)
    return top


def _plain(command: argparse.ArgumentParser) -> None:
    """Take the marks of reStructuredText out of what ``--help`` says: much of it is docstrings."""

    def unmarked(text: str | None) -> str | None:
        return text and re.sub(":[a-z]+:`~?([^`]+)`", r"\1", text).replace("``", "")

    command.description = unmarked(command.description)
    command.epilog = unmarked(command.epilog)
    for action in command._actions:
        action.help = unmarked(action.help)
        if isinstance(action, argparse._SubParsersAction):
            for listed in action._choices_actions:
                listed.help = unmarked(listed.help)
            for inner in action.choices.values():
                _plain(inner)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one sentence on stderr and exit status 2."""
    options = parser().parse_args(arguments)
    try:
        for path in options.methods:
            # torch takes seconds to import: only who brings a method waits for it here.
            from avvp.own_methods import read_methods

            read_methods(path)
        return options.run(options) or 0
    except AvvpError as error:
        print(f"avvp: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        file = error.filename2 or error.filename  # of a rename, the file that was asked for
        place = f" ({file})" if file else ""
        reason = error.strerror or error  # a library may raise one without
        print(f"avvp: the operating system says: {reason}{place}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("avvp: interrupted; run the same command again to resume.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
