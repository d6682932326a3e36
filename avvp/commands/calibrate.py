"""``avvp calibrate``: fit the simulator to HAN's published row, by the rules of the design."""

import argparse
import json
from pathlib import Path


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``calibrate``."""
    command = groups.add_parser("calibrate", help=__doc__)
    command.add_argument("action", choices=("search", "confirm"))
    command.add_argument("--folder", type=Path, default=Path("results/calibration"))
    command.add_argument("--trials", type=int, default=1, help="trials to add (search)")
    command.add_argument("--worker", type=int, default=0, help="number of this process (search)")
    command.add_argument("--point", type=json.loads, help="parameters, as JSON")
    command.add_argument("--device", default="auto")
    command.set_defaults(run=_calibrate)


def _calibrate(options: argparse.Namespace) -> None:
    # scikit-learn takes a second to import: only who calibrates waits for it.
    from avvp.calibration import confirm, nearest, read_log, search

    if options.action == "search":
        search(
            options.folder,
            trials=options.trials,
            worker=options.worker,
            point=options.point,
            device=options.device,
        )
        return
    logs = [read_log(options.folder / f"{name}.jsonl") for name in ("trials", "confirmations")]
    point = options.point or _searched(nearest(*logs)["config"])
    confirm(options.folder, point, device=options.device)


def _searched(config: dict) -> dict[str, float]:
    from avvp.calibration import SEARCHED

    return {name: config[name] for name in SEARCHED}
