"""``avvp export``: write what a trained network finds as event lists, label tracks or tables."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from avvp.errors import AvvpError

if TYPE_CHECKING:
    from avvp.experiments import Predicted


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``export``."""
    command = groups.add_parser("export", help=__doc__, description=__doc__)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--run",
        dest="done",
        type=Path,
        metavar="FILE.json",
        help="a run: runs/sim/quick/han/han/seed-1.json",
    )
    add_checkpoint(command, which)
    command.add_argument("--runs", type=Path, help="where the run's weights are, if not beside it")
    command.add_argument(
        "--format", required=True, help="dcase, audacity, webvtt, csv or parquet", metavar="FORMAT"
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    command.add_argument(
        "--probabilities",
        action="store_true",
        help="write the scores of every second too: the smaller of a segment's probability and of "
        "its video's, which is what decides (dcase, csv and parquet)",
    )
    command.set_defaults(run=_export)


def add_checkpoint(
    command: argparse.ArgumentParser, which: argparse._MutuallyExclusiveGroup
) -> None:
    """Add what says which network sees which videos."""
    which.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="weights, such as a run's selected.pt"
    )
    command.add_argument(
        "--experiment", metavar="NAME", help="with --checkpoint: what it was trained as, han/han"
    )
    command.add_argument("--data", metavar="FILE.h5", help="the videos: an .h5 file, or sim")
    command.add_argument(
        "--profile",
        default="full",
        help="with --checkpoint: of the network, and how many videos of --data (default: full)",
    )
    command.add_argument("--split", choices=("val", "test"), default="test")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def predict_checkpoint(options: argparse.Namespace) -> "Predicted":
    """The split of ``--data`` as the network of ``--checkpoint`` sees it."""
    from avvp.experiments import find_experiments, get_profile, predict_with

    for name in ("experiment", "data"):
        if getattr(options, name) is None:
            raise AvvpError(f"--checkpoint needs --{name}: avvp {options.group} --help.")
    experiment, *more = find_experiments(options.experiment)
    if more:
        raise AvvpError(f"{options.experiment!r} are {1 + len(more)} experiments; name one.")
    return predict_with(
        experiment,
        options.checkpoint,
        profile=get_profile(options.profile),
        data=options.data,
        split=options.split,
        device=options.device,
    )


def _predict_run(options: argparse.Namespace) -> "Predicted":
    from avvp.experiments import predict_again
    from avvp.results import read_arrays, read_run, root_of
    from avvp.worlds import is_world

    if options.experiment is not None or options.split != "test":
        raise AvvpError(
            "--run says which experiment it is, of whose test split; --experiment and --split go "
            "with --checkpoint."
        )
    done = read_run(options.done)
    data = options.data or done.data
    if not is_world(data) and not Path(data).exists():
        raise AvvpError(f"{options.done} was made on {done.data}; say where that is with --data.")
    runs = options.runs or root_of(options.done, done)
    return predict_again(
        done, read_arrays(options.done), data=data, device=options.device, runs=runs
    )


def _export(options: argparse.Namespace) -> None:
    from avvp.events import decision_scores, decode
    from avvp.exchange import BOTH, Predictions, check_target, write_predictions

    # Before anything is computed.
    check_target(options.out, form=options.format, scores=options.probabilities)
    seen = predict_checkpoint(options) if options.checkpoint else _predict_run(options)
    audio, visual = decode(seen.parsing, threshold=seen.thresholds, gate=seen.gate)
    predictions = Predictions(tuple(seen.videos.ids), audio, visual, {})
    scores = None
    if options.probabilities:
        pairs = zip(BOTH, decision_scores(seen.parsing, gate=seen.gate), strict=True)
        scores = {modality: score for modality, score in pairs if score is not None}
    write_predictions(options.out, predictions, form=options.format, scores=scores)
    told = " and ".join(predictions.masks())
    print(f"wrote {options.out}: {told} events of {len(predictions.ids)} videos, {options.format}")
