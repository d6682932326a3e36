"""``avvp calibrate``: fit the simulator to HAN's published row, by the rules of the design."""

import argparse
import json
from pathlib import Path

from avvp.errors import AvvpError


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``calibrate``."""
    command = groups.add_parser("calibrate", help=__doc__)
    command.add_argument("action", choices=("search", "confirm"))
    command.add_argument("--folder", type=Path, default=Path("results/calibration"))
    command.add_argument("--trials", type=int, default=1, help="trials to add (search)")
    command.add_argument("--worker", type=int, default=0, help="number of this process (search)")
    command.add_argument("--point", metavar="JSON", help="parameters, as a JSON object")
    command.add_argument("--device", default="auto")
    command.set_defaults(run=_calibrate)


def _calibrate(options: argparse.Namespace) -> None:
    # scikit-learn takes a second to import: only who calibrates waits for it.
    from avvp.calibration import confirm, nearest, read_log, search

    named = None if options.point is None else _read_point(options.point)
    if options.action == "search":
        search(
            options.folder,
            trials=options.trials,
            worker=options.worker,
            point=named,
            device=options.device,
        )
        return
    logs = [read_log(options.folder / f"{name}.jsonl") for name in ("trials", "confirmations")]
    if named is None and not logs[0]:
        raise AvvpError(
            f"{options.folder / 'trials.jsonl'} has no trial to confirm; search first, or name a "
            "point with --point."
        )
    point = named or _searched(nearest(*logs)["config"])
    confirm(options.folder, point, device=options.device)


def _read_point(text: str) -> dict[str, float]:
    from avvp.calibration import SEARCHED

    try:
        point = json.loads(text)
    except (ValueError, RecursionError):
        point = None

    def fits(name: str, value: object) -> bool:
        if name not in SEARCHED or type(value) not in (int, float):
            return False
        low, high = SEARCHED[name]
        return low <= value <= high

    if not isinstance(point, dict) or not point or not all(fits(*pair) for pair in point.items()):
        ranges = (f"{name} ({low:g} to {high:g})" for name, (low, high) in SEARCHED.items())
        raise AvvpError(
            f"--point is {' '.join(text.split())}; it must be a JSON object with numbers for some "
            f"of {', '.join(ranges)}."
        )
    return point


def _searched(config: dict) -> dict[str, float]:
    from avvp.calibration import SEARCHED

    return {name: config[name] for name in SEARCHED}
