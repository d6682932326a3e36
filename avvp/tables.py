"""Tables of the chapters, as Markdown: numbers of runs that happened, beside the printed ones.

Every line says where its numbers come from. An experiment that was not run shows the command that
runs it; nothing is left empty.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from avvp.errors import AvvpError
from avvp.experiments import (
    PROFILES,
    REGISTRY,
    Experiment,
    Profile,
    data_in_words,
    get_profile,
    is_current,
    open_source,
    rows_without_experiment,
)
from avvp.metrics import METRICS
from avvp.published import published, published_cells, published_items, published_rows
from avvp.results import RESULTS, RUNS, Estimate, Run, find_runs, summarise

KINDS = {
    "audio": "Audio",
    "visual": "Visual",
    "audio_visual": "Audio-visual",
    "type_av": "Type@AV",
    "event_av": "Event@AV",
}
"""The five scores of a level, in the order and by the names of the papers."""

PAPERS = {
    "mgn": "MGN",
    "mgn_abstract": "MGN's extended abstract",
    "mgn_supp": "MGN's supplement",
    "ma": "MA",
    "cross_modal": "Cross-Modal learning",
}
COMMITTED = ("full", "medium")
"""Profiles whose runs are committed: the first that has any is shown."""
NOT_PRINTED = "–"
NOT_RUN = "·"
THIS_BUILD = "this build: "
"""Before the source of a line whose runs belong to the profile and data of this build."""


class Table(str):
    """Markdown that a notebook shows as a table."""

    def _repr_markdown_(self) -> str:
        return str(self)


def markdown_table(columns: Sequence[str], lines: Iterable[Sequence[str]], caption: str) -> Table:
    """A table of text cells under its caption; a ``|`` in a cell is escaped."""
    rows = [columns, ["---"] * len(columns), *lines]
    if any(NOT_RUN in row for row in rows):
        caption += f" {NOT_RUN}: not run."
    written = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
    return Table(caption + "\n\n" + "\n".join(written) + "\n")


class Group(NamedTuple):
    """The seeds of one experiment that are shown together, or none."""

    profile: str
    runs: tuple[Run, ...]
    paths: tuple[Path, ...]

    @property
    def stale(self) -> bool:
        """Whether the registry, or the simulator, has changed since."""
        return any(run.stale or not is_current(run) for run in self.runs)


def _group(
    experiment: Experiment,
    profiles: Iterable[str],
    data: str,
    roots: Sequence[Path],
    fingerprint: str | None = None,
) -> Group:
    """The runs of the first profile that has any; current ones if there are any."""
    profiles = tuple(profiles)
    for profile in profiles:
        place = {"data": data, "profile": profile, "experiment": experiment.name}
        found = find_runs(roots, fingerprint=fingerprint, **place)
        current = {path: run for path, run in found.items() if is_current(run)}
        shown = current or found
        if shown:
            return Group(profile, tuple(shown.values()), tuple(shown))
    return Group(profiles[0], (), ())


def common_profiles(experiments: Sequence[str], *, results: Path = RESULTS) -> tuple[str, ...]:
    """Which committed profiles a table or a figure of several experiments shows, the first first.

    The first under which all of them have runs, of those that have any: a method at full scale
    beside another at medium would compare scales, not methods. Where there is none, all of
    :data:`COMMITTED`, and each experiment shows its own.
    """
    has = [
        {p for p in COMMITTED if find_runs([results], data="sim", profile=p, experiment=name)}
        for name in experiments
    ]
    has = [profiles for profiles in has if profiles]
    shared = [p for p in COMMITTED if has and all(p in profiles for profiles in has)]
    return (shared[0],) if shared else COMMITTED


def reproduce_command(experiment: Experiment, profile: str, data: str) -> str:
    """What makes the runs of an experiment, as code; ``data`` is ``"sim"`` or a path."""
    if "sweep" in experiment.profiles and profile not in experiment.profiles:
        return "`avvp sweep`"
    return f"`avvp reproduce --profile {profile} --only {experiment.name}" + (
        f" --data {data}`" if data != "sim" else "`"
    )


def _experiment(name: str) -> Experiment:
    if name not in REGISTRY:
        raise AvvpError(f"There is no experiment {name!r}; there are {', '.join(REGISTRY)}.")
    return REGISTRY[name]


def _number(estimate: Estimate) -> str:
    if estimate.half_width is None:
        return f"{estimate.mean:.1f}"
    # Where a column is narrow the line breaks before the sign.
    return f"{estimate.mean:.1f} ±\N{NO-BREAK SPACE}{estimate.half_width:.1f}"


def _seeds(count: int) -> str:
    return f"{count} seed" + "s" * (count > 1)


def data_world(run: Run) -> str:
    """What the numbers of a run are measured on, in words."""
    return data_in_words(run.data, simulated=run.simulated)


def result_table(
    experiments: Sequence[str],
    *,
    paper: str,
    table: str,
    level: str = "segment",
    metrics: Sequence[str] = tuple(KINDS),
    profile: str = "published",
    data: str = "sim",
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> Table:
    """Printed scores, committed runs, and what this build of the book ran.

    Each experiment has a line for its row in the paper's table, if it has one; a line for its
    committed runs (see :func:`common_profiles`), and one for those of a larger profile that not all
    of the table have; and, if the book is built with a profile that trains or with other data, a
    line for those runs.

    Args:
        experiments: names, in the order to show them in.
        paper, table: as in published.csv; an experiment without a row there has no printed line.
        level: ``"segment"`` or ``"event"``.
        metrics: keys of :data:`KINDS`.
        profile, data: of this build.
        runs, results: the two roots of runs.

    Raises:
        AvvpError: a name is unknown.
    """
    if not any((cell.paper, cell.table) == (paper, table) for cell in published_cells()):
        raise AvvpError(f"published.csv has no {table!r} of paper {paper!r}.")
    keys = [f"{level}/{metric}" for metric in metrics]
    for key in keys:
        if key not in METRICS:
            raise AvvpError(f"No metric is called {key!r}; there are {', '.join(METRICS)}.")
    here = get_profile(profile)
    committed = common_profiles(experiments, results=results)
    lines: list[list[str]] = []
    worlds: set[str] = set()
    stale = partial = larger = False
    for name in experiments:
        experiment = _experiment(name)
        for row in experiment.rows:
            if (row.paper, row.table) == (paper, table):
                printed = published(*row)
                cells = [f"{printed[k]:.1f}" if k in printed else NOT_PRINTED for k in keys]
                lines.append([experiment.title, "published, LLP", *cells])  # at its own size
        groups = _groups(experiment, here, data, runs, results, committed)
        shown = _and_larger(experiment, groups, results)
        larger |= len(shown) > len(groups)
        for origin, group, source in shown:
            if not group.runs:
                told = f"not run: {reproduce_command(experiment, group.profile, source)}"
                lines.append([experiment.label, told, *[NOT_RUN] * len(keys)])
                continue
            summary = summarise(group.runs)
            scores = summary.metrics
            partial |= len(scores) < len(METRICS)
            world = data_world(group.runs[0])
            worlds.add(world)
            stale |= group.stale
            told = f"{origin}{world}, {group.profile}, {_seeds(summary.runs)}"
            told += " (stale)" if group.stale else ""
            # A method of one modality has no other scores.
            cells = [_number(scores[k]) if k in scores else NOT_PRINTED for k in keys]
            lines.append([experiment.label, told, *cells])
    columns = ["Method", "Source", *(KINDS[metric] for metric in metrics)]
    caption = _caption(level, paper, table, worlds, stale)
    if larger:
        caption += " Methods are comparable under one profile; some have runs of a larger one too."
    if partial:
        caption += f" {NOT_PRINTED}: not printed, or the method does not parse that modality."
    return markdown_table(columns, lines, caption)


def _groups(
    experiment: Experiment,
    profile: Profile,
    data: str,
    runs: Path,
    results: Path,
    committed: Sequence[str] = COMMITTED,
) -> list[tuple[str, Group, str]]:
    """What to show of an experiment: committed runs, then this build's if it can have any."""
    shown = [("", _group(experiment, committed, "sim", [results]), "sim")]
    if profile.seeds:
        source = open_source(data, profile)
        if experiment.simulated_only and isinstance(source.origin, Path):
            return shown
        roots = [runs, results]
        own = _group(experiment, [profile.name], source.name, roots, source.of_runs)
        # The committed runs, built with their own profile, are not shown twice.
        if not own.runs or own.paths != shown[0][1].paths:
            shown.append((THIS_BUILD, own, data))
    return shown


def _and_larger(
    experiment: Experiment, groups: Sequence[tuple[str, Group, str]], results: Path
) -> list[tuple[str, Group, str]]:
    """What :func:`_groups` found and, behind the committed runs, those of a larger profile."""
    first = groups[0][1].profile
    larger = COMMITTED[: COMMITTED.index(first)] if first in COMMITTED else ()
    more = [_group(experiment, [name], "sim", [results]) for name in larger]
    known = {path for _, group, _ in groups for path in group.paths}
    shown = [("", group, "sim") for group in more if group.runs and not known & {*group.paths}]
    return [groups[0], *shown, *groups[1:]]


def _caption(level: str, paper: str, table: str, worlds: set[str], stale: bool) -> str:
    where = table if table != "text" else "the text"
    said = [
        f"F-scores in per cent at {level} level, beside {where} of {PAPERS[paper]}.",
        "Published: printed in the paper, measured on LLP.",
    ]
    if "simulated LLP" in worlds:
        said.append(
            "Simulated LLP: trained and scored here on simulated features; such a score tells how "
            "a method behaves in the simulation and reproduces no score on LLP."
        )
    said += [
        f"{world}: trained and scored here on that file."
        for world in sorted(worlds)
        if world != "simulated LLP"
    ]
    if worlds:
        said.append("Mean ± half a 95 % t interval over seeds; one seed has no interval.")
    if stale:
        said.append("Stale: made before the experiment or the simulator was last changed.")
    return " ".join(said)


def experiments_of(paper: str, table: str, *, level: str) -> list[str]:
    """The experiments that regenerate a printed table, in the order of its rows.

    A row with two settings that are one experiment counts once, and so does a row whose numbers are
    no scores of ``level``.
    """
    names: dict[str, None] = {}
    for row in published_rows(paper, table):
        if not any(key.startswith(f"{level}/") for key in published(*row)):
            continue
        names |= dict.fromkeys(n for n, experiment in REGISTRY.items() if row in experiment.rows)
    return list(names)


def item_table() -> Table:
    """Every printed table and figure, and where this book has it."""
    lines = []
    for item in published_items():
        made = ", ".join(f"{{numref}}`{name}`" for name in item.figures) or "tables"
        lines.append(
            [item.id, PAPERS[item.paper], item.place, item.what, f"{{doc}}`{item.chapter}`: {made}"]
        )
    columns = ["Item", "Paper", "Place", "What it shows", "Here"]
    return markdown_table(columns, lines, "Printed tables and figures, and where they are here.")


def provenance_table(
    experiments: Sequence[str],
    *,
    profile: str = "published",
    data: str = "sim",
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> Table:
    """Where the numbers of :func:`result_table` come from: one line a group of seeds.

    Raises:
        AvvpError: a name is unknown.
    """
    here = get_profile(profile)
    committed = common_profiles(experiments, results=results)
    lines = []
    for name in experiments:
        experiment = _experiment(name)
        groups = _groups(experiment, here, data, runs, results, committed)
        for _, group, source in _and_larger(experiment, groups, results):
            if not group.runs:
                told = f"not run: {reproduce_command(experiment, group.profile, source)}"
                lines.append([experiment.label, told, *[NOT_RUN] * 7])
                continue
            lines.append(
                [
                    experiment.label,
                    f"{data_world(group.runs[0])}, {group.profile}",
                    ", ".join(str(run.seed) for run in group.runs),
                    f"{summarise(group.runs).seconds:,.0f}",
                    f"{max(run.peak_memory for run in group.runs) / 1e9:.1f}",
                    f"{group.runs[0].parameters:,}",
                    _distinct(_short(run.commit) for run in group.runs),
                    _distinct(run.device for run in group.runs),
                    _distinct(
                        ", ".join(f"{k} {v}" for k, v in run.versions.items()) for run in group.runs
                    ),
                ]
            )
    columns = ["Method", "Source", "Seeds", "Seconds a run", "Peak memory (GB)", "Parameters"]
    columns += ["Commit", "Device", "Versions"]
    # What is the same in all lines is said once, so that the table fits a page.
    same = []
    for column in ("Versions", "Device"):
        place = columns.index(column)
        values = {line[place] for line in lines} - {NOT_RUN}
        if len(values) == 1:
            same.insert(0, *values)
            for row in (columns, *lines):
                del row[place]
    caption = "What made the numbers above" + ": " * bool(same) + "; ".join(same) + "."
    return markdown_table(columns, lines, caption)


def _short(commit: str) -> str:
    sha, dash, dirty = commit.partition("-")
    return sha[:7] + dash + dirty


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def status_table(
    profile: str = "published", *, data: str = "sim", runs: Path = RUNS, results: Path = RESULTS
) -> Table:
    """Every experiment of the registry: what the profile changes, and which runs there are.

    Raises:
        AvvpError: there is no such profile or data.
    """
    here = get_profile(profile)
    lines = []
    for experiment in REGISTRY.values():
        changes = _distinct(
            f"{change.field} {change.published} → {change.here} ({change.reason})"
            for change in experiment.changes(here)
        )
        cells = []
        for origin, group, source in _groups(experiment, here, data, runs, results):
            if not group.runs:
                command = reproduce_command(experiment, group.profile, source)
                if command not in cells:  # which makes the committed runs and this build's alike
                    cells.append(f"{origin}{command}")
                continue
            summary = summarise(group.runs)
            told = f"{origin}{data_world(group.runs[0])}, {group.profile}, {_seeds(summary.runs)}, "
            told += f"{summary.seconds:,.0f} s each"
            cells.append(told + (", stale" if group.stale else ""))
        lines.append(
            [
                # One column: the names of experiments do not break, and would take half the page.
                f"{experiment.label} `{experiment.name}`",
                "yes" if experiment.core else "no",
                changes or "nothing",
                "; ".join(cells),
            ]
        )
    columns = ["Experiment", "Core", f"Changed by {profile}", "Runs, or how to make them"]
    return markdown_table(
        columns, lines, f"Every experiment of the registry, with profile {profile}."
    )


def profile_table() -> Table:
    """The profiles: how much of everything."""
    lines = []
    for profile in PROFILES.values():
        trained = [
            f"{profile.train:,} / {profile.val:,} / {profile.test:,}",
            f"at most {profile.epochs}" if profile.epochs else "as published",
            str(profile.seeds),
            "core" if profile.core_only else "all",
        ]
        cells = trained if profile.seeds else ["none"] * len(trained)
        lines.append([profile.name, *cells, profile.purpose])
    columns = ["Profile", "Train / val / test videos", "Epochs", "Seeds", "Experiments", "For"]
    return markdown_table(columns, lines, "Profiles: how much is trained.")


def coverage_table() -> Table:
    """How many printed rows with scores the registry regenerates, by paper and table."""
    scored = dict.fromkeys(
        cell.place for cell in published_cells() if cell.key in METRICS and cell.unit == "F1 %"
    )
    printed = Counter((row.paper, row.table) for row in scored)
    left = rows_without_experiment()
    lines = []
    for (paper, table), count in printed.items():
        absent = [row for row in left if (row.paper, row.table) == (paper, table)]
        names = "; ".join(row.in_words for row in absent)
        lines.append([PAPERS[paper], table, str(count), str(count - len(absent)), names or "none"])
    columns = ["Paper", "Table", "Rows printed", "Regenerated", "Without an experiment"]
    return markdown_table(
        columns, lines, "Printed rows with F-scores, and those that have an experiment."
    )


def rows_with_runs_table(
    *, profile: str = "published", data: str = "sim", runs: Path = RUNS, results: Path = RESULTS
) -> Table:
    """How many printed rows with scores have an experiment, committed runs, runs of this build.

    Raises:
        AvvpError: there is no such profile or data.
    """
    here = get_profile(profile)
    maker = {row: e for e in REGISTRY.values() for row in e.rows}
    scored = dict.fromkeys(
        cell.place for cell in published_cells() if cell.key in METRICS and cell.unit == "F1 %"
    )
    lines: dict[tuple[str, str], Counter[str]] = {}
    for row in scored:
        count = lines.setdefault((row.paper, row.table), Counter())
        count["printed"] += 1
        if row not in maker:
            continue
        count["with an experiment"] += 1
        for origin, group, _ in _groups(maker[row], here, data, runs, results):
            count[origin or "committed"] += bool(group.runs)
    columns = ["Paper", "Table", "Rows printed", "With an experiment", "With committed runs"]
    kinds = ["printed", "with an experiment", "committed"]
    if here.seeds:
        told = open_source(data, here).in_words
        columns.append(f"With runs of this build ({told}, {here.name})")
        kinds.append(THIS_BUILD)
    return markdown_table(
        columns,
        [
            [PAPERS[paper], table, *(str(count[kind]) for kind in kinds)]
            for (paper, table), count in lines.items()
        ],
        "Printed rows with F-scores. Committed runs are on simulated LLP.",
    )


class Drawn(NamedTuple):
    """The seeds that a figure shows, and in words what they are (or how to make them)."""

    told: str
    runs: tuple[Run, ...]
    paths: tuple[Path, ...]


def runs_to_draw(
    experiment: str,
    *,
    profile: str = "published",
    data: str = "sim",
    beside: Sequence[str] = (),
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> Drawn:
    """The runs behind a figure: one group of those that :func:`result_table` lists.

    Committed runs come first, then those of this build; with other data it is the other way round.
    ``beside`` names the experiments that the same figure shows: see :func:`common_profiles`.

    Raises:
        AvvpError: a name is unknown.
    """
    here = _experiment(experiment)
    committed = common_profiles([experiment, *beside], results=results)
    groups = _groups(here, get_profile(profile), data, runs, results, committed)
    groups = groups if data == "sim" else groups[::-1]
    for _, group, _ in groups:
        if group.runs:
            told = f"{data_world(group.runs[0])}, {group.profile}, {_seeds(len(group.runs))}"
            return Drawn(told + ", stale" * group.stale, group.runs, group.paths)
    _, group, source = groups[-1]
    command = reproduce_command(here, group.profile, source).strip("`")
    return Drawn(f"not run yet: {command}", (), ())
