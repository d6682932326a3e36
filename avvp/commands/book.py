"""``avvp book``: train what a profile asks for, execute the chapters, render the book."""

import argparse
import time
from pathlib import Path

from avvp.errors import AvvpError


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the group ``book`` to the command line."""
    group = groups.add_parser("book", help=__doc__)
    actions = group.add_subparsers(required=True, metavar="ACTION")

    build = actions.add_parser("build", help="train what is missing, execute what changed, render")
    build.add_argument(
        "--profile", default="published", help="published (default), smoke, quick, medium or full"
    )
    build.add_argument("--data", default="sim", help="sim, or an .h5 file (default: %(default)s)")
    build.add_argument(
        "--seeds", type=int, help="runs of every experiment (default: the profile's)"
    )
    build.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    build.add_argument("--force", action="store_true", help="execute unchanged chapters too")
    build.add_argument("--jobs", type=int, default=2, help="runs, then chapters, at a time")
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
    # These take seconds to import: only who makes a book waits for them.
    from avvp.devices import choose_device
    from avvp.experiments import get_profile, open_source
    from avvp.fan_out import reproduce
    from avvp.results import HOME

    profile = get_profile(options.profile)
    for name in ("seeds", "jobs"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise AvvpError(f"--{name} is {value}; it must be at least 1.")
    chosen = choose_device(options.device)
    open_source(options.data, profile)
    bookmaking = _bookmaking()
    parameters = {
        "profile": profile.name,
        "data": _whole(options.data),
        "seeds": options.seeds or max(profile.seeds, 1),
        "device": options.device,
    }
    started = time.monotonic()
    if profile.seeds:
        # Two small runs side by side keep two cores busier than one run that waits for both.
        made = reproduce(**parameters, jobs=options.jobs if chosen.type == "cpu" else 1)
        if made.failed:
            reasons = "; ".join(
                f"{job}: {reason}" for job, reason in (made.failed | made.not_run).items()
            )
            raise AvvpError(f"Some experiments failed, so the book was not made: {reasons}")
        print(f"{time.monotonic() - started:7.1f} s  {len(made.made)} runs, {made.present} kept")
    executed = bookmaking.execute_chapters(HOME, parameters, force=options.force, jobs=options.jobs)
    for record in bookmaking.read_records(HOME):
        note = "" if record.chapter in executed else " (unchanged: kept)"
        print(f"{record.seconds:7.1f} s  {record.chapter}{note}")
    front = bookmaking.render(HOME)
    print(f"{time.monotonic() - started:7.1f} s  in all. Open {front}")


def _execute(options: argparse.Namespace) -> None:
    from avvp.atomic import check_file
    from avvp.results import HOME

    bookmaking = _bookmaking()
    sources = {source.stem: source for source in bookmaking.chapters(HOME)}
    if options.chapter not in sources:
        raise AvvpError(
            f"There is no chapter {options.chapter!r}; there are: {', '.join(sources)}."
        )
    # Before minutes of cells.
    check_file(options.out)
    source = sources[options.chapter]
    parameters = bookmaking.checked_parameters(
        bookmaking.read_chapter(source), dict(options.parameter), options.chapter
    )
    notebook = bookmaking.execute(source, _checked(parameters), root=HOME)
    bookmaking.write_notebook(notebook, options.out)
    print(f"wrote {options.out}")


def _checked(parameters: dict[str, str | int]) -> dict[str, str | int]:
    """Parameters of a chapter whose values mean something, the data by its whole path."""
    from avvp.devices import choose_device
    from avvp.experiments import get_profile, open_source

    profile = get_profile(parameters.get("profile", "published"))
    if parameters.get("seeds", 1) < 1:
        raise AvvpError(f"seeds is {parameters['seeds']}; it must be at least 1.")
    choose_device(parameters.get("device", "auto"))
    if "data" not in parameters:
        return parameters
    open_source(parameters["data"], profile)
    return parameters | {"data": _whole(parameters["data"])}


def _whole(data: str) -> str:
    """``data`` for a chapter: its working folder is the repository, not that of the command."""
    from avvp.worlds import is_world

    return data if is_world(data) else str(Path(data).resolve())
