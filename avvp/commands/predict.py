"""``avvp predict``: what is heard and seen in a clip, by a packed network."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from avvp.errors import AvvpError

if TYPE_CHECKING:
    from avvp.models.pretrained import Pretrained
    from avvp.prediction import ParsedClip

FORMATS = {"tsv": "dcase", "webvtt": "webvtt", "audacity": "audacity", "json": None}
"""What ``--format`` means to :func:`avvp.exchange.write_predictions`."""


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the command ``predict``."""
    command = groups.add_parser("predict", help=__doc__, description=__doc__)
    command.add_argument(
        "source", type=Path, metavar="CLIP_OR_FEATURES", help="a video, or a folder of features"
    )
    command.add_argument(
        "--checkpoint", type=Path, required=True, metavar="FILE", help="what `avvp pack` wrote"
    )
    command.add_argument(
        "--weights", type=Path, metavar="DIR", help="for a video: of the feature networks"
    )
    command.add_argument(
        "--format", choices=FORMATS, help="tsv, json, webvtt or audacity, written to --out"
    )
    command.add_argument("--out", type=Path, help="a new folder; of json, a file")
    command.add_argument(
        "--figure", type=Path, metavar="FILE", help="draw the timeline: .svg, .png"
    )
    command.add_argument("--html", type=Path, metavar="FILE", help="a page that plays the video")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> None:
    _check(options)
    from avvp.devices import choose_device
    from avvp.models.pretrained import read_pretrained
    from avvp.prediction import parse_clip, read_features, table

    trained = read_pretrained(options.checkpoint, device=choose_device(options.device))
    thumbnails: tuple[bytes, ...] = ()
    if options.source.is_dir():
        features = read_features(options.source)
        if len(features) > 1 and options.figure:
            raise AvvpError(f"{options.source} holds {len(features)} clips; --figure is for one.")
        clips = [parse_clip(trained, name, arrays) for name, arrays in features.items()]
    else:
        clip, thumbnails = _from_video(options, trained)
        clips = [clip]
    for clip in clips:
        print(table(clip))
    if options.format:
        _write(options, clips)
    if options.figure:
        _draw(options.figure, clips[0], thumbnails)
    if options.html:
        from avvp.atomic import write_text
        from avvp.clip_page import clip_page

        about = f"Parsed by {trained.experiment} ({options.checkpoint})."
        write_text(options.html, clip_page(clips[0], options.source, about=about))
        print(f"wrote {options.html}")


def _check(options: argparse.Namespace) -> None:
    """Say what cannot work before anything is computed."""
    from avvp.atomic import check_file

    if not options.source.exists():
        raise AvvpError(f"{options.source} is not there; name a video or a folder of features.")
    if bool(options.format) != bool(options.out):
        raise AvvpError("--format and --out go together: what to write, and where.")
    if options.source.is_dir() and options.html:
        raise AvvpError("--html needs the video; a folder of features has nothing to play.")
    if options.source.is_file() and options.weights is None:
        raise AvvpError(
            "a video needs --weights DIR, the folder of the three feature networks (those that are "
            "missing are fetched into it)."
        )
    if options.figure and options.figure.suffix not in (".svg", ".png", ".pdf"):
        raise AvvpError(f"{options.figure} does not end with .svg, .png or .pdf.")
    if options.format and FORMATS[options.format]:
        from avvp.exchange import check_target

        check_target(options.out, form=FORMATS[options.format], scores=False)
    files = [options.figure, options.html, options.out if options.format == "json" else None]
    for path in filter(None, files):
        check_file(path)


def _from_video(
    options: argparse.Namespace, trained: "Pretrained"
) -> tuple["ParsedClip", tuple[bytes, ...]]:
    from avvp.extraction.clips import read_clip
    from avvp.extraction.extract import compute, inputs_of, load_networks
    from avvp.prediction import parse_clip

    clip = read_clip(options.source)
    networks = load_networks(options.weights, device=options.device)
    parsed = parse_clip(trained, options.source.name, compute(inputs_of(clip), networks))
    for note in clip.notes:
        print(f"{options.source.name} {note}")
    seconds = len(clip.sampled) // 10
    return parsed, tuple(clip.frames[n] for n in clip.sampled[seconds // 2 :: seconds])


def _write(options: argparse.Namespace, clips: list["ParsedClip"]) -> None:
    from avvp.atomic import write_text
    from avvp.exchange import write_predictions
    from avvp.prediction import as_json, together

    if options.format == "json":
        write_text(options.out, json.dumps([as_json(clip) for clip in clips], indent=1) + "\n")
    else:
        write_predictions(options.out, together(clips), form=FORMATS[options.format])
    print(f"wrote {options.out}")


def _draw(path: Path, clip: "ParsedClip", thumbnails: tuple[bytes, ...]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from avvp.atomic import atomic_path
    from avvp.figures import use_style
    from avvp.figures.clip import clip_timeline

    use_style()
    figure = clip_timeline(clip, thumbnails)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:])
    print(f"wrote {path}")
