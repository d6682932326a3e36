"""``avvp book``: execute the chapters and render the book."""

import argparse
import time
from pathlib import Path

from avvp.errors import AvvpError
from avvp.results import HOME

PROFILES = ("published", "smoke", "quick", "medium", "full")


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the group ``book`` to the command line."""
    group = groups.add_parser("book", help=__doc__)
    actions = group.add_subparsers(required=True, metavar="ACTION")

    build = actions.add_parser("build", help="execute what changed and render every page")
    build.add_argument("--profile", default="published", help=", ".join(PROFILES))
    build.add_argument("--data", default="sim", help="sim, or an .h5 file (default: %(default)s)")
    build.add_argument("--seeds", type=int, default=1, help="runs of every experiment")
    build.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    build.add_argument("--force", action="store_true", help="execute unchanged chapters too")
    build.add_argument("--jobs", type=int, default=2, help="chapters executed at a time")
    build.set_defaults(run=_build)

    execute = actions.add_parser("execute", help="execute one chapter and write a notebook")
    execute.add_argument("chapter", help="its name, such as 05_han")
    execute.add_argument("--out", type=Path, required=True, metavar="FILE.ipynb")
    execute.add_argument(
        *("-p", "--parameter"),
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="replaces a value of the parameters cell",
    )
    execute.set_defaults(run=_execute)


def _bookmaking():
    try:
        from avvp import bookmaking
    except ModuleNotFoundError as error:
        raise AvvpError(
            f"Making the book needs the package {error.name}, which is not installed; "
            "run: pip install -e '.[book]'."
        ) from None
    return bookmaking


def _build(options: argparse.Namespace) -> None:
    if options.profile not in PROFILES:
        raise AvvpError(
            f"There is no profile {options.profile!r}; choose one of {', '.join(PROFILES)}."
        )
    if options.data != "sim" and not Path(options.data).is_file():
        raise AvvpError(
            f"There is no file {options.data}; --data is 'sim' or an .h5 file that "
            "'avvp data import' or 'avvp data simulate' wrote."
        )
    for name in ("seeds", "jobs"):
        if getattr(options, name) < 1:
            raise AvvpError(f"--{name} is {getattr(options, name)}; it must be at least 1.")
    bookmaking = _bookmaking()
    parameters = {
        "profile": options.profile,
        # A chapter's working folder is the repository, not where this command was given.
        "data": "sim" if options.data == "sim" else str(Path(options.data).resolve()),
        "seeds": options.seeds,
        "device": options.device,
    }
    started = time.monotonic()
    executed = bookmaking.execute_chapters(HOME, parameters, force=options.force, jobs=options.jobs)
    known = {record.chapter: record.seconds for record in bookmaking.read_records(HOME)}
    for chapter, seconds in known.items():
        note = "" if chapter in executed else " (unchanged: kept)"
        print(f"{seconds:7.1f} s  {chapter}{note}")
    front = bookmaking.render(HOME)
    print(f"{time.monotonic() - started:7.1f} s  in all. Open {front}")


def _execute(options: argparse.Namespace) -> None:
    bookmaking = _bookmaking()
    sources = {source.stem: source for source in bookmaking.chapters(HOME)}
    if options.chapter not in sources:
        raise AvvpError(
            f"There is no chapter {options.chapter!r}; there are: {', '.join(sources)}."
        )
    notebook = bookmaking.execute(sources[options.chapter], dict(options.parameter), root=HOME)
    bookmaking.write_notebook(notebook, options.out)
