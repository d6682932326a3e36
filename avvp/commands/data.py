"""``avvp data``: import, simulate, describe, download and extract data."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

_EXTRACT = """\
Make the three feature folders of the benchmark, vggish, res152 and r2plus1d_18, from video files.
The networks are VGGish, ResNet-152 and R(2+1)D-18; weights that are not in DIR are fetched into
it. Videos whose features are there are not done again.
"""
_EXTRACT_RULES = """\
A clip should last ten seconds, with sound and images; what is done to others:
  9.5 to 10.5 s        taken whole, 80 frames spread over it, as the released features were
  longer               its first ten seconds; cut it into pieces to have the rest
  shorter              the last frame is repeated, silence follows
  no sound, or partly  silence
  no images            refused
  other frame rates    frames are repeated or dropped, to eight a second, as ffmpeg does it
  damaged              refused: unreadable, or it breaks off before the end that it announces
One that is refused does not stop the others; the exit status is 2 then. Features are named by the
file: clip.mp4 gives clip.npy, and ID_START_END.mp4, as in LLP's tables, gives ID.npy.
"""


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the group ``data`` to the command line."""
    group = groups.add_parser("data", help=__doc__, description=__doc__)
    actions = group.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("import", help="make one .h5 file of LLP's labels and features")
    action.add_argument("--annotations", type=Path, required=True, help="folder of the CSV files")
    action.add_argument(
        "--features", type=Path, required=True, help="folder of vggish, res152 and r2plus1d_18"
    )
    action.add_argument("--out", type=Path, required=True, metavar="FILE.h5")
    action.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out videos whose feature files are missing or damaged",
    )
    action.set_defaults(run=_import)

    action = actions.add_parser("simulate", help="make one .h5 file of simulated data")
    action.add_argument("--profile", default="quick", help="smoke, quick, medium or full")
    action.add_argument("--seed", type=int, default=0, metavar="N", help="of the data (default: 0)")
    action.add_argument("--labels", type=Path, metavar="DIR", help="use LLP's labels, from its CSV")
    action.add_argument("--out", type=Path, required=True, metavar="FILE.h5")
    action.set_defaults(run=_simulate)

    action = actions.add_parser("info", help="describe and check an .h5 file")
    action.add_argument("file", type=Path, metavar="FILE.h5")
    action.add_argument("--no-check", action="store_true", help="do not read every video")
    action.set_defaults(run=_info)

    action = actions.add_parser("download", help="fetch LLP's labels, and features from a mirror")
    action.add_argument("--out", type=Path, required=True, metavar="DIR")
    action.add_argument("--annotations", metavar="URL", help="of the CSV files, if not HAN's")
    action.add_argument("--features", metavar="URL", help="of a mirror that lists SHA256SUMS")
    action.set_defaults(run=_download)

    action = actions.add_parser(
        "extract",
        help="make the released kinds of features from your own videos",
        description=_EXTRACT,
        epilog=_EXTRACT_RULES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("videos", type=Path, metavar="VIDEO_DIR", help="the files in it are taken")
    action.add_argument("--out", type=Path, required=True, metavar="FEATURES_DIR")
    action.add_argument(
        "--weights", type=Path, required=True, metavar="DIR", help="of the networks (660 MB)"
    )
    action.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    action.set_defaults(run=_extract)

    action = actions.add_parser("statistics", help="count the labels of LLP, for the simulator")
    action.add_argument("--annotations", type=Path, required=True, help="folder of the CSV files")
    action.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    action.set_defaults(run=_statistics)


# Each handler imports what it needs: 'avvp --help' does not wait for torch.


def _import(options: argparse.Namespace) -> None:
    from avvp.data.features import FeatureProblems, import_features

    try:
        report = import_features(
            options.annotations,
            options.features,
            options.out,
            allow_missing=options.allow_missing,
        )
    except FeatureProblems as error:
        _print_problems(error.problems)
        raise
    _print_problems(report.problems)
    counts = ", ".join(f"{name} {count}" for name, count in report.videos.items())
    print(f"wrote {report.path}: {counts} videos, fingerprint {report.fingerprint[:16]}")
    if report.resumed:
        print(f"{report.resumed} videos were done by an earlier import that was interrupted")
    left_out = len({problem.video for problem in report.problems})
    if left_out:
        print(f"{left_out} videos were left out; the files above are why")
    if report.idle:
        file, row, kind, video, detail = report.idle[0]
        print(
            f"rows of the annotations that mark no second: {len(report.idle)}, the first being "
            f"{file}, row {row}, {video}: {detail} ({kind})"
        )


def _print_problems(problems: Sequence[Any]) -> None:
    for video, file, problem in problems:
        print(f"{file} {problem} (video {video})")


def _simulate(options: argparse.Namespace) -> None:
    from tqdm.auto import tqdm

    from avvp.atomic import check_file
    from avvp.data.annotations import read_annotations
    from avvp.data.simulate import PROFILE_SIZES, SPLITS, VERSION, SimulatorConfig, simulate
    from avvp.data.store import check_name
    from avvp.data.store_writer import write_videos
    from avvp.errors import AvvpError

    check_name(options.out)  # before anything is simulated
    check_file(options.out)
    if options.profile not in PROFILE_SIZES:
        raise AvvpError(
            f"no profile is called {options.profile!r}; choose one of {', '.join(PROFILE_SIZES)}."
        )
    config = SimulatorConfig(
        **PROFILE_SIZES[options.profile],
        seed=options.seed,
        labels="sampled" if options.labels is None else str(options.labels),
    )
    settings = asdict(config)
    provenance = {"source": "simulated", "simulator": VERSION, "settings": settings}
    if options.labels is not None:
        settings["labels"] = "LLP"  # and not where they lie on this machine
        provenance["annotations"] = read_annotations(options.labels).provenance
    splits = {
        split: simulate(config, split) for split in tqdm(SPLITS, desc="simulate", unit="split")
    }
    fingerprint = write_videos(options.out, splits, provenance)
    counts = ", ".join(f"{name} {len(videos)}" for name, videos in splits.items())
    print(f"wrote {options.out}: {counts} videos, fingerprint {fingerprint[:16]}")


def _info(options: argparse.Namespace) -> None:
    from avvp.data.store import describe

    check = not options.no_check
    for line in info_lines(describe(options.file, check=check, progress=check), checked=check):
        print(line)


def info_lines(told: Any, *, checked: bool) -> list[str]:
    """A screenful about a :class:`avvp.data.store.Description`."""
    from avvp.data import annotations
    from avvp.data.store import FEATURES, VIDEO_BYTES
    from avvp.events import LABELS, SEGMENTS

    provenance = told.provenance
    verdict = "every video is as it was written" if checked else "videos not read"
    lines = [
        f"{told.path}  {told.bytes / 1e9:.3f} GB, schema version {told.schema_version}",
        f"source       {provenance.get('source', 'unknown')}",
        f"fingerprint  {told.fingerprint[:16]} ({verdict})",
    ]
    # A file that somebody wrote with `write_videos` has there what they liked.
    match provenance.get("annotations"):
        case {"sha256": {annotations.AUDIO_FILE: str(audio)}, "audio_version": version}:
            lines.append(f"annotations  {version} audio file, SHA-256 {audio[:16]}")
    match provenance.get("left_out"):
        case {**left_out} if left_out:
            video, reason = next(iter(left_out.items()))
            lines.append(f"left out     {len(left_out)} videos, such as {video}: {reason}")
    match provenance:
        case {"simulator": version, "settings": {"seed": seed, "labels": labels}}:
            lines.append(f"simulator    version {version}, data seed {seed}, labels {labels}")
    shapes = ", ".join(f"{name} ({SEGMENTS}, {width})" for name, width in FEATURES.items())
    lines += [f"a video      {shapes}, float32", ""]
    lines.append(f"{'split':<8}{'videos':>8}{'features':>12}  {'seconds annotated':<19}fingerprint")
    for name, split in told.splits.items():
        lines.append(
            f"{name:<8}{split.videos:>8}{split.videos * VIDEO_BYTES / 1e6:>9.1f} MB  "
            f"{'yes' if split.annotated else 'no':<19}{split.fingerprint}"
        )
    names = list(told.splits)
    half = f"{'videos with label':<22}" + "".join(f"{name:>6}" for name in names)
    lines += ["", f"{half}    {half}"]
    cells = [
        f"{label:<22}" + "".join(f"{told.splits[s].class_counts[c]:>6}" for s in names)
        for c, label in enumerate(LABELS)
    ]
    middle = (len(cells) + 1) // 2
    for n in range(middle):
        other = cells[middle + n] if middle + n < len(cells) else ""
        lines.append(f"{cells[n]}    {other}".rstrip())
    return lines


def _download(options: argparse.Namespace) -> None:
    from avvp.data.annotations import read_annotations
    from avvp.data.download import download_annotations, download_features

    annotations, features = options.out / "annotations", options.out / "features"
    download_annotations(annotations, url=options.annotations)
    version = read_annotations(annotations).audio_version
    print(f"{annotations}: {version} version of the audio file")
    if options.features is None:
        print(
            "no features: name a mirror with --features, or simulate them with 'avvp data simulate'"
        )
        return
    paths = download_features(features, url=options.features)
    print(f"{features}: {len(paths)} files")


def _extract(options: argparse.Namespace) -> None:
    from avvp.atomic import check_folder
    from avvp.errors import AvvpError
    from avvp.extraction.extract import extract_folder, find_videos, load_networks

    count = len(find_videos(options.videos))  # before 660 MB are fetched
    check_folder(options.out)
    networks = load_networks(options.weights, device=options.device)
    report = extract_folder(options.videos, options.out, networks)
    for line in (*report.notes, *report.problems):
        print(line)
    there = f", {report.resumed} were there" if report.resumed else ""
    print(f"{options.out}: features of {report.made} videos were made{there}")
    if report.problems:
        raise AvvpError(
            f"{len(report.problems)} of {count} videos in {options.videos} gave no features; the "
            "lines above name each and say why."
        )


def _statistics(options: argparse.Namespace) -> None:
    from avvp.atomic import check_file
    from avvp.data.annotations import read_annotations
    from avvp.data.statistics import measure, write_statistics

    check_file(options.out)
    write_statistics(options.out, measure(read_annotations(options.annotations)))
    print(f"wrote {options.out}")
