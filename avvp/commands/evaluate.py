"""``avvp evaluate``: score the predictions of any system, or a trained network."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avvp.commands.export import add_checkpoint, predict_checkpoint
from avvp.errors import AvvpError

if TYPE_CHECKING:
    from torch import Tensor

    from avvp.data.videos import Videos
    from avvp.exchange import Predictions, Tally
    from avvp.metrics import Scores

HEADINGS = ("audio", "visual", "audio-visual", "Type@AV", "Event@AV")


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``evaluate``."""
    command = groups.add_parser(
        "evaluate",
        help=__doc__,
        description="Score the events that a system found, listed in audio.tsv and visual.tsv with "
        "the columns filename, onset, offset, event_label, against annotations. A second is on if "
        "the events of a class cover at least half of it. Or score a network of an experiment.",
    )
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--predictions", type=Path, metavar="DIR", help="what a system found")
    add_checkpoint(command, which)
    command.add_argument(
        "--format", default="dcase", help="dcase (default), audacity, webvtt, csv or parquet"
    )
    command.add_argument(
        "--modality", choices=("audio", "visual"), help="of a system that parses this one alone"
    )
    command.add_argument(
        "--annotations", type=Path, metavar="DIR", help="folder of LLP's CSV files; or --data"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from avvp.metrics import evaluate

    tallies: dict[str, Tally] = {}
    if options.checkpoint:
        from avvp.events import decode

        if options.annotations is not None:
            raise AvvpError("--checkpoint is scored on the videos of --data, not on --annotations.")
        if not options.checkpoint.exists():
            raise AvvpError(f"{options.checkpoint} is not there; name a file of weights.")
        seen = predict_checkpoint(options)
        ids, truth = seen.videos.ids, _truth(options, seen.videos)
        decided = decode(seen.parsing, threshold=seen.thresholds, gate=seen.gate)
    else:
        ids, truth = _annotated(options)
        predicted = _read(options, ids)
        decided, tallies = (predicted.audio, predicted.visual), predicted.tallies
    scores = evaluate(*decided, *truth)
    if options.json:
        content = {
            "split": options.split,
            "videos": len(ids),
            "events": {modality: tally._asdict() for modality, tally in tallies.items()},
            "metrics": scores,
        }
        print(json.dumps(content, indent=1))
        return
    print(f"{len(ids)} videos of the {options.split} split")
    for modality, tally in tallies.items():
        print(
            f"{modality}: {tally.read} events read, {tally.merged} of them merged into others, "
            f"{tally.short} too short to mark a second"
        )
    print(*_table(scores), sep="\n")


def _annotated(options: argparse.Namespace) -> tuple[Sequence[str], tuple["Tensor", "Tensor"]]:
    """The names of the videos that are to be scored, and what is heard and seen in them."""
    if (options.annotations is None) == (options.data is None):
        raise AvvpError("name what the predictions are scored against: --annotations or --data.")
    if options.annotations is not None:
        from avvp.data.annotations import read_annotations

        split = read_annotations(options.annotations)[options.split]
        return split.ids, (split.audio, split.visual)
    from avvp.data import load
    from avvp.experiments import get_profile, open_source

    profile = get_profile(options.profile)
    source, limit = open_source(options.data, profile), getattr(profile, options.split)
    videos = load(source.origin, options.split, limit=limit)
    return videos.ids, _truth(options, videos)


def _truth(options: argparse.Namespace, videos: "Videos") -> tuple["Tensor", "Tensor"]:
    if videos.true_audio is None or videos.true_visual is None:
        raise AvvpError(
            f"{options.data}: the {options.split} split has no annotated seconds to score with."
        )
    return videos.true_audio.cpu(), videos.true_visual.cpu()


def _read(options: argparse.Namespace, ids: Sequence[str]) -> "Predictions":
    from avvp.exchange import BOTH, read_predictions

    return read_predictions(
        options.predictions,
        ids,
        form=options.format,
        modalities=(options.modality,) if options.modality else BOTH,
        told=f"the {options.split} split",
    )


def _table(scores: "Scores") -> list[str]:
    from avvp.metrics import LEVELS, METRICS

    lines = ["", f"{'F-score, %':<10}" + "".join(f"{heading:>14}" for heading in HEADINGS)]
    for level in LEVELS:
        names = [name for name in METRICS if name.startswith(level)]
        cells = [f"{scores[name]:.2f}" if name in scores else "–" for name in names]
        lines.append(f"{level:<10}" + "".join(f"{cell:>14}" for cell in cells))
    return lines
