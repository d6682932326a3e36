"""Where papers, released code and annotations differ, and what each difference is worth.

``package_data/differences.csv`` lists them in our own words, one row a difference. Its column
``measure`` says how the consequence is found, and ``of`` what it is found in:

=================  ====================================================================
``runs``           two experiments: the first minus the second, by the rule of :mod:`avvp.claims`
``counts``         likewise, of false positives or recall
``gates``          one experiment and two of its decision rules: the first minus the second
``epochs``         one experiment and ``best last`` or ``last best``: validation scores of epochs
``seeds``          one experiment: the largest distance between two of its seeds
``dropped``        one experiment with refinement: labels that no modality keeps
``cells``          a sum of printed numbers, each ``+`` or ``-`` and ``paper|table|row|setting|key``
``rows``           two printed rows, ``paper|table|row|setting``: where they differ most
``mean``           every printed ``Type@AV``: where it is farthest from the mean of its parts
``size``           experiments: how large their files are
``idle``           a released family: how much of it never runs
``same``           two released variants: how far their outputs are apart
``annotations``    a fact of :mod:`avvp.oddities`
``no_effect``      nothing: no score can change, for the reason in ``note``
``not_measured``   nothing: no run or number tells, for the reason in ``note``
=================  ====================================================================
"""

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from scipy import stats

from avvp.claims import MIB, Claim, Verdict, judge, sizes
from avvp.errors import AvvpError
from avvp.experiments import REGISTRY, get_profile, is_current, open_source
from avvp.metrics import LEVELS, METRICS
from avvp.model_size import rounded_up
from avvp.models import load_released
from avvp.models.released import count_elements
from avvp.oddities import read_oddities
from avvp.parity import names_and_shapes, open_golden
from avvp.published import Row, published, published_cells
from avvp.results import HOME, RESULTS, RUNS, Run, estimate, find_runs, read_arrays
from avvp.scored import GATES
from avvp.significance import typical_variance
from avvp.tables import (
    COMMITTED,
    KINDS,
    PAPERS,
    Table,
    data_world,
    markdown_table,
    reproduce_command,
)

Part = Literal["code", "paper", "annotations"]
Measure = Literal[
    "runs",
    "counts",
    "gates",
    "epochs",
    "seeds",
    "dropped",
    "cells",
    "rows",
    "mean",
    "size",
    "idle",
    "same",
    "annotations",
    "no_effect",
    "not_measured",
]
Evidence = Literal["trained anew", "same network", "printed numbers", "annotations of LLP"]
Outcome = Literal["measured", "settled", "no effect", "not run", "not measured"]

AUTHORS = {"han": "HAN"} | PAPERS
AS_RELEASED = "As released"
"""What ``here`` is where this book goes with the release."""
PRECISION = 0.1 + 1e-9
"""Points by which a printed mean can miss the mean of three printed scores: all are rounded."""
GOLDEN = HOME / "tests" / "parity" / "golden"
FACTS = ("repairs", "orphans", "silence", "weak", "videos", "events")
_VALIDATED = "segment/type_av"


class Difference(NamedTuple):
    """One row of differences.csv.

    Attributes:
        id: readable and unique.
        part: code against paper, a paper against itself or another one, or annotations.
        papers: whose, keys of ``AUTHORS``.
        subject: in a few words.
        says: what the paper says; in a contradiction, what is said in one place.
        does: what the release does; in a contradiction, what is said in another place.
        here: what this book does.
        source: section and item of the list of differences between papers and code, ``5.4.6``, or
            the number of a contradiction, ``X14``.
        measure, of: see the module.
        metric: of which score, for what is measured in runs.
        note: what else differs, or why nothing is measured.
        chapter: where the subject is treated.
    """

    id: str
    part: Part
    papers: tuple[str, ...]
    subject: str
    says: str
    does: str
    here: str
    source: str
    measure: Measure
    of: str
    metric: str
    note: str
    chapter: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for differences whose consequences are measured together."""
        return self.measure, self.of, self.metric


@dataclass(frozen=True)
class Effect:
    """The consequence of a difference.

    Attributes:
        outcome: ``measured`` in points; ``settled`` without points, by counting or by seeds of one
            network; ``no effect`` on any score; ``not run`` yet; or ``not measured``.
        told: in a sentence.
        points: as released minus as printed; in a contradiction, the first reading minus the
            second.
        half_width: of the 95 % interval, where seeds or test videos give one.
        evidence: what the points come from.
        world: what runs were scored on, with profile and seeds.
    """

    outcome: Outcome
    told: str
    points: float | None = None
    half_width: float | None = None
    evidence: Evidence | None = None
    world: str = ""

    @property
    def single(self) -> bool:
        """Whether trainings are compared, and nothing tells how far chance can set them apart."""
        return self.evidence == "trained anew" and self.half_width is None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.half_width is not None and abs(self.points) > self.half_width


_FIELDS = Difference._fields


@cache
def read_differences(path: str | Path | None = None) -> tuple[Difference, ...]:
    """Every difference, in the order of the file.

    Args:
        path: another file than the package's.

    Raises:
        AvvpError: a column is missing, or a value is none of those above; the sentence names the
            row and the column.
    """
    place = Path(path) if path else files("avvp") / "package_data" / "differences.csv"
    reader = csv.DictReader(place.read_text(encoding="utf-8").splitlines())
    if tuple(reader.fieldnames or ()) != _FIELDS:
        raise AvvpError(f"{place}: the columns must be {', '.join(_FIELDS)}.")
    found: dict[str, Difference] = {}
    for number, record in enumerate(reader, start=2):
        if None in record or None in record.values():
            raise AvvpError(f"{place}, row {number}: expected {len(_FIELDS)} columns.")
        row = Difference(**(record | {"papers": tuple(record["papers"].split())}))
        if wrong := _wrong(row, found):
            raise AvvpError(f"{place}, row {number}: {wrong}.")
        found[row.id] = row
    return tuple(found.values())


def _wrong(row: Difference, before: Mapping[str, Difference]) -> str:
    """What is wrong with a row, or nothing."""
    for name in ("id", "subject", "says", "does", "here", "source", "chapter"):
        if not getattr(row, name):
            return f"{name} is empty"
    if row.id in before:
        return f"the id {row.id!r} stands there twice"
    for name, known in (("part", get_args(Part)), ("measure", get_args(Measure))):
        if getattr(row, name) not in known:
            return f"{name} is {getattr(row, name)!r}; it must be one of {', '.join(known)}"
    unknown = [paper for paper in row.papers if paper not in AUTHORS]
    if unknown or not row.papers:
        return f"papers is {' '.join(row.papers)!r}; it must name some of {', '.join(AUTHORS)}"
    if row.measure in ("no_effect", "not_measured") and not row.note:
        return f"measure is {row.measure!r}, but note does not say why"
    if row.measure in ("runs", "gates", "epochs", "seeds") and row.metric not in METRICS:
        return f"metric is {row.metric!r}; it must be one of the ten"
    return _wrong_of(row)


def _wrong_of(row: Difference) -> str:
    """What is wrong with what a consequence is found in, or nothing."""
    words = row.of.split()
    right = True
    if row.measure in ("runs", "counts"):
        right = len(words) == 2 and set(words) <= set(REGISTRY)
    elif row.measure == "gates":
        names = [str(gate).lower() for gate in GATES]
        right = len({*words[1:]} & {*names}) == 2 == len(words) - 1 and words[0] in REGISTRY
    elif row.measure == "epochs":
        right = sorted(words[1:]) == ["best", "last"] and words[0] in REGISTRY
    elif row.measure in ("seeds", "dropped"):
        right = row.of in REGISTRY
    elif row.measure == "size":
        right = bool(words) and set(words) <= set(REGISTRY)
    elif row.measure == "annotations":
        right = row.of in FACTS
    elif row.measure == "cells":
        right = all(term.strip()[:2] in ("+ ", "- ") for term in row.of.split(";"))
    return "" if right else f"of is {row.of!r}, which {row.measure!r} cannot be measured in"


def effects(
    differences: Iterable[Difference],
    *,
    profile: str = "published",
    data: str = "sim",
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> dict[str, Effect]:
    """The consequence of each difference, by its id.

    Committed runs count, at full scale or medium; so do those of this build under its own profile,
    and only they on other data.

    Args:
        differences: as :func:`read_differences` returns them.
        profile, data: of this build.
        runs, results: the two roots of runs.

    Raises:
        AvvpError: a name is unknown, or a file of a run is damaged.
    """
    differences = tuple(differences)
    compared = {row.key: row for row in differences if row.measure in ("runs", "counts")}
    place = {"profile": profile, "data": data, "runs": runs, "results": results}
    verdicts = judge([_claim(row) for row in compared.values()], **place)
    by_key = {key: _compared(v) for key, v in zip(compared, verdicts, strict=True)}
    look = _Look(profile, data, runs, results)
    return {
        row.id: by_key[row.key] if row.key in by_key else _MEASURES[row.measure](row, look)
        for row in differences
    }


def _claim(row: Difference) -> Claim:
    """The difference as a comparison that :func:`avvp.claims.judge` makes."""
    first, second = row.of.split()
    kind = "score" if row.measure == "runs" else "count"
    return Claim(
        row.id, "", row.papers[0], "", "", row.metric, first, second, +1, None, kind, ""
    )  # fmt: skip


def metric_name(key: str) -> str:
    """A score as a reader writes it: ``"Type@AV at segment level"``."""
    level, kind, *what = key.split("/")
    return f"{' '.join([KINDS[kind], *what])} at {level} level"


def _points(points: float, half_width: float | None = None) -> str:
    told = f"{points:+.1f}" if abs(points) >= 0.05 or not points else f"{points:+.2f}"
    return f"{told} points" if half_width is None else f"{told} ± {half_width:.1f} points"


def _compared(verdict: Verdict) -> Effect:
    claim, comparison = verdict.claim, verdict.comparison
    if comparison is None:
        if verdict.outcome == "not run":
            return _not_run(verdict.reason)
        return Effect("not measured", f"Not measured: {verdict.reason}.")
    same = any(REGISTRY[name].training is None for name in claim.experiments)
    return Effect(
        "measured",
        f"{_points(comparison.difference, comparison.half_width)}, {metric_name(claim.metric)}.",
        comparison.difference,
        comparison.half_width,
        "same network" if same else "trained anew",
        f"{verdict.world}, {verdict.profile}, {_seeds(verdict.seeds)}",
    )


def _seeds(counts: Sequence[int]) -> str:
    told = " and ".join(str(count) for count in dict.fromkeys(counts))
    return f"{told} seed" + "s" * (max(counts) > 1)


class _Look(NamedTuple):
    """Where runs are looked for."""

    profile: str
    data: str
    runs: Path
    results: Path

    def at(self, name: str, *keys: str) -> tuple[str, list[tuple[Run, dict[str, np.ndarray]]]]:
        """Current seeds of an experiment that have some arrays, and what they were scored on.

        Of the first profile that has any; without any, what to do about it.
        """
        here = get_profile(self.profile)
        committed = COMMITTED if self.data == "sim" else ()
        choices = [({"data": "sim", "profile": p}, [self.results]) for p in committed]
        if here.seeds:
            source = open_source(self.data, here)
            place = {"data": source.name, "profile": here.name, "fingerprint": source.of_runs}
            choices.append((place, [self.runs, self.results]))
        for place, roots in choices:
            seeds = [
                (run, arrays)
                for path, run in find_runs(roots, experiment=name, **place).items()
                if is_current(run) and not run.stale
                for arrays in [read_arrays(path)]
                if all(key in arrays for key in keys)
            ]
            if seeds:
                run = seeds[0][0]
                return f"{data_world(run)}, {place['profile']}, {_seeds([len(seeds)])}", seeds
        profile = choices[0][0]["profile"] if choices else COMMITTED[0]
        return reproduce_command(REGISTRY[name], profile, self.data), []


def _paired(values: Sequence[float], told: str, metric: str, world: str) -> Effect:
    """One difference a seed, within the same network."""
    mean, half_width = estimate(values)
    return Effect(
        "measured",
        f"{_points(mean, half_width)}, {metric_name(metric)}{told}.",
        mean,
        half_width,
        "same network",
        world,
    )


def _not_run(command: str) -> Effect:
    return Effect("not run", f"Not run yet: {command}.")


def _gates(row: Difference, look: _Look) -> Effect:
    name, *pair = row.of.split()
    world, seeds = look.at(name, "gates")
    if not seeds:
        return _not_run(world)
    first, second = ([str(gate).lower() for gate in GATES].index(gate) for gate in pair)
    column = METRICS.index(row.metric)
    values = [float(a["gates"][first, column] - a["gates"][second, column]) for _, a in seeds]
    return _paired(values, "", row.metric, world)


def _epochs(row: Difference, look: _Look) -> Effect:
    name, first, _ = row.of.split()
    key = f"history/val/{row.metric}"
    world, seeds = look.at(name, key)
    if not seeds:
        return _not_run(world)
    sign = 1 if first == "best" else -1
    values = [sign * float(arrays[key].max() - arrays[key][-1]) for _, arrays in seeds]
    return _paired(values, " on validation videos", row.metric, world)


def _between_seeds(row: Difference, look: _Look) -> Effect:
    world, seeds = look.at(row.of)
    scores = [run.metrics[row.metric] for run, _ in seeds]
    if len(scores) < 2:
        return _not_run(f"it takes two seeds, {world}")
    apart = max(scores) - min(scores)
    told = f"Up to {apart:.1f} points between seeds, {metric_name(row.metric)}."
    # No points: a range over seeds is no difference of two versions, and grows with their number.
    return Effect("settled", told, world=world)


def _dropped(row: Difference, look: _Look) -> Effect:
    world, seeds = look.at(row.of, "refinement/removed_both")
    if not seeds:
        return _not_run(world)
    both, labels = (
        [int(arrays[f"refinement/{name}"].sum()) for _, arrays in seeds]
        for name in ("removed_both", "labels")
    )
    share = 100 * sum(both) / sum(labels)
    told = f"{_span(both)} of {_span(labels)} labels ({share:.1f} %) leave both modalities."
    return Effect("settled", told, world=world)


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _row(text: str) -> Row:
    return Row(*(field.strip() for field in text.split("|")))


def _cells(row: Difference, look: _Look) -> Effect:
    total = 0.0
    for term in row.of.split(";"):
        sign, _, place = term.strip().partition(" ")
        *fields, key = place.split("|")
        value = published(*_row("|".join(fields)))[key]
        total += value if sign == "+" else -value
    total = round(total, 1)  # printed numbers have one decimal
    return Effect(
        "measured", f"{_points(total)}, as printed.", total, None, "printed numbers"
    )  # fmt: skip


def _rows(row: Difference, look: _Look) -> Effect:
    first, second = (published(*_row(text)) for text in row.of.split(";"))
    shared = [key for key in METRICS if key in first and key in second]
    apart = {key: round(first[key] - second[key], 1) for key in shared}
    most = max(shared, key=lambda key: abs(apart[key]))
    count = sum(map(bool, apart.values()))
    told = f"{count} of {len(shared)} scores differ, most by {_points(apart[most])}"
    return Effect(
        "measured", f"{told} ({metric_name(most)}).", apart[most], None, "printed numbers"
    )  # fmt: skip


class PrintedMean(NamedTuple):
    """A printed ``Type@AV`` and the mean of the three scores beside it."""

    place: Row
    level: str
    printed: float
    mean: float

    @property
    def apart(self) -> float:
        """Printed minus mean, in points."""
        return self.printed - self.mean

    @property
    def broken(self) -> bool:
        """Whether rounding cannot explain the distance."""
        return abs(self.apart) > PRECISION


def printed_means() -> tuple[PrintedMean, ...]:
    """Every ``Type@AV`` of the printed tables, in their order."""
    rows: dict[Row, dict[str, float]] = {}
    for cell in published_cells():
        if cell.table != "text" and cell.unit == "F1 %":
            rows.setdefault(cell.place, {})[cell.key] = cell.value
    found = []
    for place, scores in rows.items():
        for level in LEVELS:
            parts = [scores.get(f"{level}/{kind}") for kind in ("audio", "visual", "audio_visual")]
            printed = scores.get(f"{level}/type_av")
            if printed is not None and None not in parts:
                found.append(PrintedMean(place, level, printed, sum(parts) / 3))
    return tuple(found)


def _mean(row: Difference, look: _Look) -> Effect:
    means = printed_means()
    broken = [each for each in means if each.broken]
    worst = max(means, key=lambda each: abs(each.apart))
    told = (
        f"{len(broken)} of {len(means)} printed cells are off by more than rounding allows, most "
        f"by {_points(worst.apart)} ({worst.printed} for {worst.mean:.2f})."
    )
    return Effect("measured", told, worst.apart, None, "printed numbers")


def _size(row: Difference, look: _Look) -> Effect:
    told = []
    for name in row.of.split():
        saved = sizes(name)["saved"]
        told.append(
            f"{REGISTRY[name].title} {saved / 1e6:.1f} MB or {saved / MIB:.1f} MiB, "
            f"{rounded_up(saved, MIB)} in whole MiB"
        )
    return Effect("settled", f"As a file of float32: {'; '.join(told)}.")


_GOLDEN_OF = {"han": "", "ma": "", "mgn": "", "avg": "uniter__"}


def _idle(row: Difference, look: _Look) -> Effect:
    family, _, variant = row.of.partition(" ")
    file = {"cross_modal": "cml.npz", "avg": "cml.npz"}.get(family, f"{family}.npz")
    archive, _ = _golden(file)
    with archive:
        shapes = names_and_shapes(archive, f"{variant}__" if variant else _GOLDEN_OF[family])
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    options = {"variant": variant} if variant else {}
    unused = load_released(family, state, **options).unused_released
    idle, whole = count_elements(state, unused), count_elements(state)
    if not idle:
        return Effect("no effect", f"None of its {whole / 1e6:.2f} million stored numbers is idle.")
    told = f"{_many(idle)} of {_many(whole)} stored numbers never run ({100 * idle / whole:.1f} %)"
    return Effect("no effect", f"{told}; no score changes.")


def _many(count: int) -> str:
    return f"{count / 1e6:.2f} million" if count >= 1e5 else f"{count:,}"


def _golden(file: str) -> tuple[np.lib.npyio.NpzFile, dict[str, Any]]:
    if not (GOLDEN / file).is_file():
        raise AvvpError(f"{GOLDEN / file} is missing; it is part of a checkout: clone avvp whole.")
    return open_golden(GOLDEN, file)


def _same(row: Difference, look: _Look) -> Effect:
    first, second = row.of.split()
    archive, _ = _golden("cml.npz")
    with archive:
        apart = max(
            float(np.abs(archive[f"{first}__{name}"] - archive[f"{second}__{name}"]).max())
            for name in ("global_prob", "a_prob", "v_prob", "frame_prob")
        )
    told = f"Apart by {apart:.0e} at most" if apart else "Equal"
    outcome: Outcome = "settled" if apart else "no effect"
    return Effect(outcome, f"{told} in every probability, on the same weights and inputs.")


def _annotations(row: Difference, look: _Look) -> Effect:
    found = read_oddities()
    test, val = found["splits"]["test"], found["splits"]["val"]
    if row.of == "repairs":
        gains = {
            (line, key): gain
            for line, ten in found["repair"]["gains"].items()
            for key, gain in ten.items()
        }
        line, key = max(gains, key=lambda place: abs(gains[place]))
        points = gains[line, key]
        told = f"{found['repair']['rows']} rows of test videos, worth at most {_points(points)}"
        return _of_llp(f"{told} ({metric_name(key)}).", points)
    if row.of == "orphans":
        told = "; ".join(
            f"{modality}: {counts['orphan row']} of unknown videos, {counts['empty row']} empty, "
            f"{counts['reversed row']} reversed"
            for modality, counts in found["useless_rows"].items()
        )
        return Effect("no effect", f"Rows that mark no second, {told}.")
    if row.of == "silence":
        ten = test["nothing_predicted"]
        parts = ", ".join(
            f"{ten[f'segment/{kind}']:.1f} {KINDS[kind].lower()}"
            for kind in ("audio", "visual", "audio_visual")
        )
        points = ten["segment/type_av"]
        told = f"Who finds nothing at all scores {parts}, {points:.1f} Type@AV"
        return _of_llp(f"{told} (segment level, test).", points)
    if row.of == "weak":
        points = test["truth_among_weak"]["segment/type_av"] - 100
        told = (
            f"{test['dense_without_weak']} pairs of video and class occur unlabelled, "
            f"{test['weak_without_dense']} labels never occur; the truth, filtered by weak labels, "
            f"loses {_points(points)}"
        )
        return _of_llp(f"{told} of Type@AV (segment level, test).", points)
    if row.of == "videos":
        whole = val["videos"] + test["videos"]
        told = f"{val['videos']:,} and {test['videos']:,} videos, {whole:,} in all."
        return Effect("settled", told)
    rows, pairs = test["rows"], test["pairs"]
    damaged = rows | {"audio": rows["audio"] - found["repair"]["rows"]}
    told = (
        f"The test files have {rows['visual']:,} visual and {rows['audio']:,} audio rows "
        f"({damaged['audio']:,} before the repair), and {pairs['visual']:,} and {pairs['audio']:,} "
        "pairs of video and class."
    )
    printed = published("cross_modal", "text", "LLP", "events by modality")
    apart = max(abs(printed[modality] - count) for modality, count in pairs.items())
    if published("mgn", "text", "LLP", "test instances") == damaged:
        told += (
            f" MGN counts rows before the repair; the other paper is within {apart:.0f} of pairs."
        )
    return Effect("settled", told)


def _of_llp(told: str, points: float) -> Effect:
    return Effect("measured", told, points, None, "annotations of LLP", "LLP")


def _told(outcome: Outcome) -> Callable[[Difference, _Look], Effect]:
    return lambda row, look: Effect(outcome, "None." if outcome == "no effect" else "Not measured.")


_MEASURES: Mapping[str, Callable[[Difference, _Look], Effect]] = {
    "gates": _gates,
    "epochs": _epochs,
    "seeds": _between_seeds,
    "dropped": _dropped,
    "cells": _cells,
    "rows": _rows,
    "mean": _mean,
    "size": _size,
    "idle": _idle,
    "same": _same,
    "annotations": _annotations,
    "no_effect": _told("no effect"),
    "not_measured": _told("not measured"),
}


def chance(
    *, metric: str = "segment/type_av", profile: str = "medium", results: Path = RESULTS
) -> float | None:
    """How far two single runs of one experiment lie apart in 95 of 100 cases, in points.

    From the spread over seeds of a typical one (:func:`avvp.significance.typical_variance`) of all
    committed experiments that have several and learn something; None: there are none.
    """
    scores: dict[str, list[float]] = {}
    for run in find_runs([results], data="sim", profile=profile).values():
        if is_current(run) and metric in run.metrics and not run.experiment.startswith("reference"):
            scores.setdefault(run.experiment, []).append(run.metrics[metric])
    groups = [values for values in scores.values() if len(values) > 1]
    if not groups:
        return None
    variances = np.array([[np.var(values, ddof=1)] for values in groups])
    (typical,), freedom = typical_variance(variances, np.array([len(g) - 1 for g in groups]))
    return float(stats.t.ppf(0.975, freedom)) * math.sqrt(2 * typical)


def drawable(
    differences: Iterable[Difference], effects: Mapping[str, Effect]
) -> list[tuple[Difference, Effect]]:
    """Those measured in points, the largest first; of what is measured together only the first."""
    chosen: dict[tuple[str, str, str], tuple[Difference, Effect]] = {}
    for row in differences:
        if effects[row.id].points is not None:
            chosen.setdefault(row.key, (row, effects[row.id]))
    return sorted(chosen.values(), key=lambda pair: -abs(pair[1].points))


def _continued(sentence: str) -> str:
    """A sentence after a colon: in small letters, unless it begins with a name or a symbol."""
    named = len(sentence.split()[0]) > 1 and not sentence[1].islower()
    return sentence if named else sentence[0].lower() + sentence[1:]


def differences_table(
    differences: Sequence[Difference], effects: Mapping[str, Effect], *, caption: str
) -> Table:
    """What differs, and what follows, one line a difference.

    Args:
        differences: of one part.
        effects: as :func:`effects` returns them.
        caption: above the table; what runs were scored on is added.
    """
    contradictory = all(row.part == "paper" for row in differences)
    sides = ["In one place", "In another"] if contradictory else ["Paper", "Release, or files"]
    lines = []
    for row in differences:
        effect = effects[row.id]
        told = effect.told + (f" {row.note}" if row.note else "")
        if row.measure in ("no_effect", "not_measured"):
            told = f"{effect.told.rstrip('.')}: {_continued(row.note)}"
        if row.here != AS_RELEASED:
            told += f" *Here: {_continued(row.here)}.*"
        subject = f"{{doc}}`{row.subject} <{row.chapter}>` ({row.source})"
        lines.append([subject, row.says, row.does, told])
    if not contradictory:
        caption += " This book does as released, unless a row says otherwise."
    worlds = dict.fromkeys(effects[row.id].world for row in differences)
    told = "; ".join(world for world in worlds if world)
    if told:
        caption += f" Runs: {told}."
    return markdown_table(["Subject", *sides, "Consequence"], lines, caption)
