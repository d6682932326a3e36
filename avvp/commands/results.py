"""``avvp results``: list, publish and complete runs, score them further, mark outgrown ones."""

import argparse
from pathlib import Path

from avvp.errors import AvvpError
from avvp.results import (
    RESULTS,
    RUNS,
    Published,
    Run,
    find_runs,
    mark_stale,
    publish,
    read_arrays,
)


def add_commands(groups: argparse._SubParsersAction) -> None:
    """Add the group ``results`` to the command line."""
    group = groups.add_parser("results", help=__doc__)
    actions = group.add_subparsers(required=True, metavar="ACTION")
    for name, action, told in (
        ("list", _list, "every run, one a line"),
        ("publish", _publish, "copy medium and full runs to the folder that is committed"),
        ("mark-stale", _mark_stale, "mark committed runs that the registry has outgrown"),
    ):
        command = actions.add_parser(name, help=told)
        command.add_argument(
            *("pattern",),
            nargs=None if name == "publish" else "?",
            default="*",
            help="experiments, such as 'han/*'",
        )
        command.add_argument("--data", default="*", help="name of the data, such as sim")
        command.add_argument("--runs", type=Path, default=RUNS, help="the folder of all runs")
        command.add_argument("--results", type=Path, default=RESULTS, help="the committed folder")
        command.set_defaults(run=action)
    command = actions.add_parser("complete", help="add arrays that finished runs lack, untrained")
    command.add_argument("--only", metavar="PATTERN", default="*", help="experiments: 'han/*'")
    command.add_argument("--profile", default="*", help="of these profiles only: medium")
    command.add_argument("--data", default="sim", help="sim, or an .h5 file (default: %(default)s)")
    command.add_argument("--lacking", metavar="ARRAY", help="only runs that do not have this array")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--runs", type=Path, default=RUNS, help="runs and their weights")
    command.add_argument(
        "--results",
        type=Path,
        help="complete the copies of those runs in this folder; --runs is then only read",
    )
    command.set_defaults(run=_complete)
    command = actions.add_parser(
        "detection", help="score finished runs by PSDS, with sed_scores_eval: a minute each"
    )
    command.add_argument("pattern", nargs="+", help="experiments, such as 'han/*'")
    command.add_argument("--profile", default="medium", help="default: %(default)s")
    command.add_argument("--data", default="sim", help="sim, or an .h5 file (default: %(default)s)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--runs", type=Path, default=RUNS, help="runs and their weights")
    command.add_argument(
        "--results", type=Path, default=RESULTS, help="the folder of the file detection.json"
    )
    command.set_defaults(run=_detection)


def _list(options: argparse.Namespace) -> None:
    from avvp.experiments import REGISTRY, is_current
    from avvp.metrics import main_metric

    def state_of(run: Run) -> str:
        if is_current(run):
            return ""
        if run.experiment not in REGISTRY:
            return "not in the registry"
        return "stale, marked" if run.stale else "stale"

    roots = (options.results, options.runs)
    found = [find_runs(root, data=options.data, experiment=options.pattern) for root in roots]
    if not any(found):
        print(f"no run of {options.pattern} on {options.data} in {roots[0]} and {roots[1]}")
    for runs in found:
        for path, run in runs.items():
            main = main_metric(run.metrics)
            told = "Type@AV" if main == "segment/type_av" else main
            print(
                f"{path}  {told} {run.metrics[main]:.1f}  {run.seconds:.0f} s  "
                f"{run.commit[:7]}  {state_of(run)}".rstrip()
            )


def _publish(options: argparse.Namespace) -> None:
    from avvp.experiments import is_current

    done = publish(
        options.pattern,
        current=is_current,
        runs=options.runs,
        results=options.results,
        data=options.data,
    )
    if not any(done):
        raise AvvpError(
            f"{options.runs} has no medium or full run of {options.pattern!r} to publish; make one "
            "with: avvp reproduce --profile medium."
        )
    for line in publish_lines(done):
        print(line)


def publish_lines(done: Published) -> list[str]:
    """What was copied, what was not and why, and how many of each."""
    return [
        *map(str, done.copied),
        *(f"skipped: {path}: {reason}" for path, reason in done.skipped.items()),
        f"{len(done.copied)} runs published, {len(done.present)} were there, "
        f"{len(done.skipped)} skipped.",
    ]


def _mark_stale(options: argparse.Namespace) -> None:
    from avvp.experiments import is_current

    found = find_runs(options.results, data=options.data, experiment=options.pattern)
    outgrown = [path for path, run in found.items() if not (run.stale or is_current(run))]
    for path in outgrown:
        mark_stale(path)
        print(path)
    print(f"{len(outgrown)} of {len(found)} runs marked stale.")


def _complete(options: argparse.Namespace) -> int:
    from avvp.completion import complete
    from avvp.worlds import is_world

    source = options.data if is_world(options.data) else Path(options.data).name
    root = options.results or options.runs
    found = find_runs(root, data=source, profile=options.profile, experiment=options.only)
    if options.lacking:
        found = [path for path in found if options.lacking not in read_arrays(path)]
    failed = 0
    for path in found:
        try:
            added = complete(path, data=options.data, device=options.device, runs=options.runs)
            print(f"{path}  {len(added)} arrays added", flush=True)
        except AvvpError as error:
            failed += 1
            print(f"failed: {error}", flush=True)
    print(f"{len(found) - failed} of {len(found)} runs are complete.")
    return 1 if failed else 0


def _detection(options: argparse.Namespace) -> None:
    from avvp.detection import add_detection, detection, detection_path, read_detection
    from avvp.experiments import predict_again
    from avvp.results import read_arrays

    source = "sim" if options.data == "sim" else Path(options.data).name
    out = detection_path(data=source, profile=options.profile, results=options.results)
    place = {"data": source, "profile": options.profile}
    found = {}
    for pattern in options.pattern:
        found |= find_runs(options.runs, **place, experiment=pattern)
    if not found:
        raise AvvpError(f"{options.runs} has no {options.profile} run of these experiments.")
    for path, done in found.items():
        if read_detection(out, done) is not None:
            continue
        again = predict_again(
            done, read_arrays(path), data=options.data, device=options.device, runs=options.runs
        )
        truth = again.videos.true_audio.cpu(), again.videos.true_visual.cpu()
        scores = detection(again.parsing, again.videos.ids, *truth, gate=again.gate)
        add_detection(out, done, scores)
        told = ", ".join(
            f"{name} PSDS {x.psds_1:.1f}, {x.psds_2:.1f}" for name, x in scores.items()
        )
        print(f"{path}  {told}", flush=True)
    print(f"{out} has {len(found)} of these runs.")
