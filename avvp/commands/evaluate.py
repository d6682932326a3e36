"""``avvp evaluate``: score the predictions of any system."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from avvp.errors import AvvpError

if TYPE_CHECKING:
    from avvp.exchange import Predictions
    from avvp.metrics import Scores

HEADINGS = ("audio", "visual", "audio-visual", "Type@AV", "Event@AV")


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``evaluate``."""
    command = groups.add_parser(
        "evaluate",
        help=__doc__,
        description="Score the events that a system found, listed in audio.tsv and visual.tsv with "
        "the columns filename, onset, offset, event_label. A second is on if the events of a class "
        "cover at least half of it.",
    )
    command.add_argument("--predictions", type=Path, required=True, metavar="DIR")
    command.add_argument(
        "--format", default="dcase", help="dcase (default), audacity, webvtt, csv or parquet"
    )
    command.add_argument(
        "--modality", choices=("audio", "visual"), help="of a system that parses this one alone"
    )
    truth = command.add_mutually_exclusive_group(required=True)
    truth.add_argument("--annotations", type=Path, metavar="DIR", help="folder of LLP's CSV files")
    truth.add_argument("--data", metavar="FILE.h5", help="or a file of avvp data import, or sim")
    command.add_argument("--split", choices=("val", "test"), default="test")
    command.add_argument(
        "--profile", default="full", help="how many videos of --data (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from avvp.exchange import BOTH, read_predictions
    from avvp.metrics import evaluate

    if options.annotations is not None:
        from avvp.data.annotations import read_annotations

        split = read_annotations(options.annotations)[options.split]
        ids, truth = split.ids, (split.audio, split.visual)
    else:
        from avvp.data import load
        from avvp.experiments import get_profile, open_source

        profile = get_profile(options.profile)
        source, limit = open_source(options.data, profile), getattr(profile, options.split)
        videos = load(source.origin, options.split, limit=limit)
        ids, truth = videos.ids, (videos.true_audio, videos.true_visual)
        if None in truth:
            raise AvvpError(
                f"{options.data}: the {options.split} split has no annotated seconds to score with."
            )
    modalities = (options.modality,) if options.modality else BOTH
    predicted = read_predictions(
        options.predictions,
        ids,
        form=options.format,
        modalities=modalities,
        told=f"the {options.split} split",
    )
    scores = evaluate(predicted.audio, predicted.visual, *truth)
    if options.json:
        print(json.dumps(_content(options.split, predicted, scores), indent=1))
    else:
        for line in _lines(options.split, predicted, scores):
            print(line)


def _content(split: str, predicted: "Predictions", scores: "Scores") -> dict[str, object]:
    events = {modality: tally._asdict() for modality, tally in predicted.tallies.items()}
    return {"split": split, "videos": len(predicted.ids), "events": events, "metrics": scores}


def _lines(split: str, predicted: "Predictions", scores: "Scores") -> list[str]:
    from avvp.metrics import LEVELS, METRICS

    lines = [f"{len(predicted.ids)} videos of the {split} split"]
    for modality, tally in predicted.tallies.items():
        lines.append(
            f"{modality}: {tally.read} events read, {tally.merged} of them merged into others, "
            f"{tally.short} too short to mark a second"
        )
    lines += ["", f"{'F-score, %':<10}" + "".join(f"{heading:>14}" for heading in HEADINGS)]
    for level in LEVELS:
        names = [name for name in METRICS if name.startswith(level)]
        cells = [f"{scores[name]:.2f}" if name in scores else "–" for name in names]
        lines.append(f"{level:<10}" + "".join(f"{cell:>14}" for cell in cells))
    return lines
