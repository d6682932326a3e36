"""``avvp pack``: write a run's network and its model card to a folder that can be shared."""

import argparse
from pathlib import Path

from avvp.errors import AvvpError


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``pack``."""
    command = groups.add_parser("pack", help=__doc__, description=__doc__)
    command.add_argument("done", type=Path, metavar="RUN.json", help="runs/.../seed-1.json")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    command.add_argument("--data", help="the .h5 file that the run was made on, if it was one")
    command.add_argument("--runs", type=Path, help="where the run's weights are, if not beside it")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.set_defaults(run=_pack)


def _pack(options: argparse.Namespace) -> None:
    from avvp.model_card import pack
    from avvp.results import read_run, root_of
    from avvp.worlds import is_world

    done = read_run(options.done)
    data = options.data or done.data
    if not is_world(data) and not Path(data).exists():
        raise AvvpError(f"{options.done} was made on {done.data}; say where that is with --data.")
    runs = options.runs or root_of(options.done, done)
    print(f"wrote {pack(options.done, options.out, data=data, device=options.device, runs=runs)}")
