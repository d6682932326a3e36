"""The papers' claims that one method is better than another, and what our runs say about each.

``package_data/claims.csv`` lists the claims in our own words, one row a claim and metric. One rule
judges them all. D is the difference of two means over training seeds, and

    SE^2 = s1^2 / n1 + s2^2 / n2 + sd^2 / N,

with s1 and s2 over the n1 and n2 seeds, and sd over the N test videos of the paired, seed-averaged
differences of per-video scores: both sides parse the same videos. The interval is D +- t SE with
Welch's degrees of freedom of the seed part. The two-sided p of D / SE is corrected by Holm's method
over every claim of the file that can be tested. A claim is supported if the corrected p is below
``ALPHA`` and D has the claimed sign, contradicted if D has the other sign, and otherwise not
decidable; so it is, whatever p says, with fewer than ``MIN_SEEDS`` seeds on a side, a profile other
than medium or full, or a reduced model. The claimed size is shown, not tested.

Three kinds of claim are no differences of scores. A ``count`` (false positives, recall) is kept as
one total a seed, so its SE has no third term. A ``history`` is a threshold that each seed has
passed, or not, after a quarter of its epochs. An ``exact`` claim is about sizes, which follow from
the networks: it needs no run.
"""

import csv
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import stats

from avvp.errors import AvvpError
from avvp.events import CLASSES
from avvp.experiments import REGISTRY, get_profile, is_current, open_source
from avvp.metrics import LEVELS, METRICS, MODALITIES
from avvp.model_size import (
    BYTES,
    predicted_idle,
    released_shapes,
    rounded_up,
    saved_bytes,
)
from avvp.results import RESULTS, RUNS, Run, find_runs, read_arrays
from avvp.tables import (
    COMMITTED,
    KINDS,
    NOT_RUN,
    PAPERS,
    Table,
    data_world,
    markdown_table,
    reproduce_command,
)

ALPHA = 0.05
MIN_SEEDS = 3
MIB = 2**20
LEARNT_AFTER = 0.25
"""Share of the epochs after which a ``history`` claim is looked up: 10 of the published 40."""

Part = Literal[
    "contrastive", "refinement", "grouping", "ablations", "depth", "cross_modal", "grounding"
]
Outcome = Literal["supported", "contradicted", "not decidable", "not run"]


class Claim(NamedTuple):
    """One row of claims.csv.

    Attributes:
        id: readable and unique.
        part: the chapter that it belongs to, one of ``Part``.
        paper: as in published.csv.
        place: where the paper says so.
        statement: in our own words.
        metric: of :data:`avvp.metrics.METRICS` for a score. For a count, level, modality and
            ``false_positives`` or ``recall``; for a history the entry of ``history/``; for an exact
            claim ``size`` (MB), ``share/stored`` or ``share/used`` (per cent).
        better, worse: names of experiments; ``worse`` is empty where only one is looked at.
        sign: +1 if ``better`` is said to have the higher value, -1 if the lower one.
        claimed: how much higher or lower in print, at least 0: points, or events. None: not said.
            For a history the threshold, for an exact claim the number itself.
        kind: ``score``, ``count``, ``history`` or ``exact``.
        note: what is unclear about the claim, or about the runs that it is tested on.
    """

    id: str
    part: str
    paper: str
    place: str
    statement: str
    metric: str
    better: str
    worse: str
    sign: int
    claimed: float | None
    kind: str
    note: str

    @property
    def experiments(self) -> tuple[str, ...]:
        """Whose runs are needed."""
        return tuple(filter(None, (self.better, self.worse)))


class Comparison(NamedTuple):
    """The difference of two means over seeds. Without two seeds a side it has no error."""

    difference: float
    error: float | None = None  # standard error
    freedom: float | None = None  # degrees of freedom

    @property
    def half_width(self) -> float | None:
        """Half the 95 % interval."""
        if self.error is None:
            return None
        return float(stats.t.ppf(1 - ALPHA / 2, self.freedom)) * self.error

    @property
    def in_words(self) -> str:
        """``+1.2 ± 0.3``, on one line; without an error the difference alone."""
        half = self.half_width
        return f"{self.difference:+z.1f}" + (f"\u00a0±\u00a0{half:.1f}" if half else "")

    @property
    def p(self) -> float:
        """Two-sided; not corrected."""
        if self.error is None or not self.difference:
            return 1.0
        if not self.error:
            return 0.0
        return 2 * float(stats.t.sf(abs(self.difference) / self.error, self.freedom))


@dataclass(frozen=True, eq=False)
class Verdict:
    """What our runs say about a claim.

    Attributes:
        claim: the claim.
        outcome: supported, contradicted, not decidable or not run.
        reason: why it could not be decided, unless p says so, or what to run; for an exact claim
            what was counted.
        world: what the runs were scored on, ``simulated LLP`` or the name of a file; else empty.
        profile: of the runs.
        seeds: runs of ``better``, and of ``worse``.
        comparison: better minus worse.
        corrected: p after Holm's correction, where the claim was tested.
        per_video: (N,) better minus worse, averaged over seeds: see :func:`bootstrap_interval`.
        measured: what stands in for a comparison in a history or an exact claim.
        depends_on: the parameters of the simulator inside whose range in the sweep the sign flips
            and about which HAN's row says nothing: see :mod:`avvp.dependence`.
    """

    claim: Claim
    outcome: Outcome
    reason: str = ""
    world: str = ""
    profile: str = ""
    seeds: tuple[int, ...] = ()
    comparison: Comparison | None = None
    corrected: float | None = None
    per_video: np.ndarray | None = None
    measured: str = ""
    depends_on: tuple[str, ...] = ()


@cache
def read_claims() -> tuple[Claim, ...]:
    """Every claim, in the order of the file."""
    text = (files("avvp") / "package_data" / "claims.csv").read_text(encoding="utf-8")
    return tuple(
        Claim(
            **(
                row
                | {
                    "sign": int(row["sign"]),
                    "claimed": float(row["claimed"]) if row["claimed"] else None,
                }
            )
        )
        for row in csv.DictReader(text.splitlines())
    )


def compare(
    better: Sequence[float], worse: Sequence[float], per_video: np.ndarray | None = None
) -> Comparison:
    """The difference of two groups of seeds, with its standard error and degrees of freedom.

    A side whose seeds all agree adds nothing to either. Where both do, the seeds say nothing about
    the degrees of freedom, and those of the test videos are taken.

    Args:
        better, worse: one value a seed.
        per_video: (N,) paired, seed-averaged differences; None: the videos are no sample.
    """
    difference = math.fsum(better) / len(better) - math.fsum(worse) / len(worse)
    if min(len(better), len(worse)) < 2 or (per_video is not None and len(per_video) < 2):
        return Comparison(difference)
    parts = [float(np.var(side, ddof=1)) / len(side) for side in (better, worse)]
    seeds = sum(parts)
    videos = 0.0 if per_video is None else float(np.var(per_video, ddof=1)) / len(per_video)
    if seeds:
        sides = zip(parts, (better, worse), strict=True)
        freedom = seeds**2 / sum(part**2 / (len(side) - 1) for part, side in sides)
    else:
        freedom = math.inf if per_video is None else len(per_video) - 1
    return Comparison(difference, math.sqrt(seeds + videos), freedom)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction of several p, in their order."""
    order = np.argsort(p)
    stepped = np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected.tolist()


def bootstrap_interval(
    per_video: np.ndarray, *, draws: int = 10_000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """The cross-check: the percentile interval of the mean difference, test videos drawn anew.

    It knows of one source of chance only, the choice of the test videos.

    Args:
        per_video: (N,) paired differences, as in ``Verdict.per_video``.
        draws: resamples of all N videos.
        seed: of the draws.
        level: of the interval.
    """
    interval = stats.bootstrap(
        (per_video,),
        np.mean,
        n_resamples=draws,
        batch=1000,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def sizes(experiment: str) -> dict[str, int]:
    """How large the network of an experiment is, in bytes.

    Returns:
        ``used``: 4 for each number that training moves. ``stored``: those and what the release
        carries idle. ``saved``: as a file.

    Raises:
        AvvpError: there is no release of such a network.
    """
    entry = REGISTRY[experiment]
    used, file = _network_bytes(entry.model, tuple(entry.options.items()))
    # By the family of the experiment: MA trains HAN's network and stores more beside it.
    idle = BYTES * sum(predicted_idle(experiment.partition("/")[0]).values())
    return {"used": used, "stored": used + idle, "saved": file + idle}


@cache
def _network_bytes(model: str, options: tuple[tuple[str, Hashable], ...]) -> tuple[int, int]:
    """Of the numbers that a network uses, and of a file with them."""
    shapes = released_shapes(model, **dict(options))
    return BYTES * sum(map(math.prod, shapes.values())), saved_bytes(shapes)


class _Side(NamedTuple):
    """The seeds of one experiment under one profile; current ones if there are any."""

    profile: str
    runs: tuple[Run, ...]
    paths: tuple[Path, ...]
    current: bool


_Sides = Sequence[_Side]
_Read = Callable[[Path], Mapping[str, np.ndarray]]


def judge(
    claims: Iterable[Claim],
    *,
    profile: str = "published",
    data: str = "sim",
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> list[Verdict]:
    """Judge claims together: Holm's correction runs over all that are given and can be tested.

    Both sides come from one profile: full, or medium where full has not ``MIN_SEEDS`` seeds of
    both. Committed runs count; so do those of this build under its own profile, and only they on
    other data.

    Args:
        claims: all of the file, so that a verdict does not depend on what else is shown.
        profile, data: of this build.
        runs, results: the two roots of runs.

    Raises:
        AvvpError: a name is unknown, or a file of a run is damaged.
    """
    claims = list(claims)
    names = {name for claim in claims for name in claim.experiments}
    found = _find(names, profile, data, runs, results)
    read = cache(_needed_arrays)
    verdicts = [_examine(claim, found, data, read) for claim in claims]
    tested = [i for i, v in enumerate(verdicts) if v.comparison and v.outcome != "not decidable"]
    corrected = holm([verdicts[i].comparison.p for i in tested])
    for i, p in zip(tested, corrected, strict=True):
        verdicts[i] = _decided(verdicts[i], p)
    if data != "sim":
        return verdicts
    # It measures with the functions of this module.
    from avvp.dependence import open_sweep

    swept = open_sweep(profile=profile, runs=runs, results=results)
    return [replace(v, depends_on=tuple(swept.depends_on(v.claim))) for v in verdicts]


def _find(
    names: Iterable[str], profile: str, data: str, runs: Path, results: Path
) -> dict[str, dict[str, _Side]]:
    """Profile -> experiment -> its seeds, in the order of preference."""
    here = get_profile(profile)
    source = open_source(data if here.seeds else "sim", here)
    found = {}
    for each in dict.fromkeys([*COMMITTED, *([profile] if here.seeds else [])]):
        roots = [runs, results] if each == profile else [results]
        everything = find_runs(roots, data=source.name, profile=each, fingerprint=source.of_runs)
        found[each] = {}
        for name in names:
            mine = {path: run for path, run in everything.items() if run.experiment == name}
            current = {p: run for p, run in mine.items() if is_current(run) and not run.stale}
            shown = current or mine
            found[each][name] = _Side(
                each, tuple(shown.values()), tuple(shown), bool(current or not mine)
            )
    return found


def _examine(
    claim: Claim, found: Mapping[str, Mapping[str, _Side]], data: str, read: _Read
) -> Verdict:
    """Measure what a claim is about; p is not corrected yet."""
    unknown = [name for name in claim.experiments if name not in REGISTRY]
    if unknown:
        told = " and ".join(f"`{name}`" for name in unknown)
        return Verdict(claim, "not run", f"the registry has no {told} yet")
    if claim.kind == "exact":
        return _weigh(claim)
    sides = _choose(claim.experiments, found)
    if sides is None:
        return Verdict(claim, "not run", _what_to_run(claim.experiments, found, data))
    verdict = Verdict(
        claim,
        "supported",
        world=data_world(sides[0].runs[0]),
        profile=sides[0].profile,
        seeds=tuple(len(side.runs) for side in sides),
    )
    unfit = None
    if not all(side.current for side in sides):
        unfit = "its runs are stale"
    if unfit:
        return replace(verdict, outcome="not decidable", reason=unfit)
    measure = {"score": _score, "count": _count, "history": _history}[claim.kind]
    verdict = measure(verdict, sides, read)
    reasons = [reason for reason in (verdict.reason, *_obstacles(claim, sides)) if reason]
    if not reasons:
        return verdict
    return replace(verdict, outcome="not decidable", reason="; ".join(reasons))


def _choose(names: Sequence[str], found: Mapping[str, Mapping[str, _Side]]) -> _Sides | None:
    """The first profile with enough current seeds of all; else with any; else with stale ones."""
    possible = [[sides[name] for name in names] for sides in found.values()]
    possible = [sides for sides in possible if all(side.runs for side in sides)]

    def worth(sides: _Sides) -> tuple[bool, bool]:
        enough = all(len(side.runs) >= MIN_SEEDS for side in sides)
        return all(side.current for side in sides), enough

    return max(possible, key=worth, default=None)  # the first of equals


def _what_to_run(names: Sequence[str], found: Mapping[str, Mapping[str, _Side]], data: str) -> str:
    """The commands, under the first profile that has runs of one side, or the first of all."""
    half = (name for name, sides in found.items() if any(sides[n].runs for n in names))
    profile = next(half, next(iter(found)))
    missing = (name for name in names if not found[profile][name].runs)
    return ", ".join(reproduce_command(REGISTRY[name], profile, data) for name in missing)


def _obstacles(claim: Claim, sides: _Sides) -> list[str]:
    """Why the rule gives no verdict, whatever was measured."""
    found = []
    if sides[0].profile not in COMMITTED:
        found.append(f"profile {sides[0].profile} decides no claim")
    if any(len(side.runs) < MIN_SEEDS for side in sides):
        found.append(f"it takes {MIN_SEEDS} seeds of each")
    # Without the names of experiments: one long word would squeeze the other columns of the table.
    reduced = dict.fromkeys(REGISTRY[name].reduced for name in claim.experiments)
    found += [f"a network is reduced ({how})" for how in reduced if how]
    return found


def _needed_arrays(path: Path) -> dict[str, np.ndarray]:
    """What claims look at of the arrays of a run."""
    arrays = read_arrays(path)
    return {
        name: value.astype(float)
        for name, value in arrays.items()
        if name == "per_video" or name.startswith("history/token_")
    }


def _score(verdict: Verdict, sides: _Sides, read: _Read) -> Verdict:
    metric = verdict.claim.metric
    column = METRICS.index(metric)
    better, worse = ([run.metrics[metric] for run in side.runs] for side in sides)
    scores = {path: read(path).get("per_video") for side in sides for path in side.paths}
    videos = next(iter(scores.values()))
    for path, score in scores.items():
        if score is None or score.shape != np.shape(videos) or score.shape[1:] != (len(METRICS),):
            raise AvvpError(
                f"{path.with_suffix('.npz')}: `per_video` is {np.shape(score)}, expected one row "
                f"of {len(METRICS)} scores for each of the test videos of the other runs; delete "
                "the run and make it again with `avvp reproduce`."
            )
    one, other = (np.mean([scores[p][:, column] for p in side.paths], axis=0) for side in sides)
    return replace(verdict, comparison=compare(better, worse, one - other), per_video=one - other)


def _count(verdict: Verdict, sides: _Sides, read: _Read) -> Verdict:
    level, modality, what = verdict.claim.metric.split("/")

    def total(path: Path, run: Run) -> float:
        counts = np.asarray(run.counts)
        if counts.shape != (len(LEVELS), len(MODALITIES), CLASSES, 3):
            raise AvvpError(
                f"{path}: 'counts' is {counts.shape}, expected TP, FP and FN by level, modality "
                "and class; delete the run and make it again with `avvp reproduce`."
            )
        found = counts[LEVELS.index(level), MODALITIES.index(modality)].sum(axis=0)
        hits, false_positives, misses = found.tolist()
        return false_positives if what == "false_positives" else 100 * hits / (hits + misses or 1)

    better, worse = (
        [total(path, run) for path, run in zip(side.paths, side.runs, strict=True)]
        for side in sides
    )
    return replace(verdict, comparison=compare(better, worse))


def _history(verdict: Verdict, sides: _Sides, read: _Read) -> Verdict:
    claim = verdict.claim
    histories = [read(path).get(f"history/{claim.metric}") for path in sides[0].paths]
    if any(history is None for history in histories):
        reason = f"its runs did not keep history/{claim.metric}"
        return replace(verdict, outcome="not decidable", reason=reason)
    (epochs,) = {len(history) for history in histories}
    epoch = math.ceil(LEARNT_AFTER * epochs)
    values = [float(history[epoch - 1]) for history in histories]
    passed = {claim.sign * (value - claim.claimed) >= 0 for value in values}
    measured = f"{min(values):.2f} to {max(values):.2f} at epoch {epoch} of {epochs}"
    verdict = replace(verdict, measured=measured)
    if len(passed) > 1:
        return replace(verdict, outcome="not decidable", reason="its seeds disagree")
    return replace(verdict, outcome="supported" if passed.pop() else "contradicted")


def _weigh(claim: Claim) -> Verdict:
    """Printed sizes are whole MiB, rounded up as a file listing does; shares are made of them."""
    weighed = [sizes(name) for name in claim.experiments]
    if claim.metric == "size":
        saved = weighed[0]["saved"]
        found: float = rounded_up(saved, MIB)
        measured = f"{saved / MIB:.2f} MiB"
        reason = ""
    else:
        kind = claim.metric.removeprefix("share/")
        better, worse = (each[kind] for each in weighed)
        whole = [rounded_up(size, MIB) for size in (better, worse)]
        found = round(100 * whole[0] / whole[1], 1)
        measured = f"{100 * better / worse:.1f} %"
        reason = f"in whole MiB {whole[0]} / {whole[1]} = {found} %"
    outcome = "supported" if claim.claimed == found else "contradicted"
    return Verdict(claim, outcome, reason=reason, measured=measured)


def _decided(verdict: Verdict, p: float) -> Verdict:
    if p >= ALPHA:
        return replace(verdict, outcome="not decidable", corrected=p)
    claimed = verdict.claim.sign * verdict.comparison.difference > 0
    return replace(verdict, outcome="supported" if claimed else "contradicted", corrected=p)


def claims_table(
    part: str | None = None,
    *,
    profile: str = "published",
    data: str = "sim",
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> Table:
    """The box that closes a chapter: its claims, what was measured, and the verdicts.

    Args:
        part: of which chapter, one of ``Part``; None: all claims.
        profile, data: of this build.
        runs, results: the two roots of runs.

    Raises:
        AvvpError: a name is unknown, or a file of a run is damaged.
    """
    if part not in (None, *get_args(Part)):
        raise AvvpError(f"No claims are of part {part!r}; there are {', '.join(get_args(Part))}.")
    claims = read_claims()
    judged = judge(claims, profile=profile, data=data, runs=runs, results=results)
    shown = [verdict for verdict in judged if part in (None, verdict.claim.part)]
    lines = []
    before = None
    for verdict in shown:
        claim = verdict.claim
        lines.append(
            [
                _statement(claim, before),
                _metric(claim),
                _claimed(claim),
                _measured(verdict),
                _told_runs(verdict),
                _verdict(verdict),
            ]
        )
        before = claim
    columns = ["Claim", "Metric", "Claimed", "Measured here", "Runs", "Verdict"]
    return markdown_table(columns, lines, _caption(judged, shown))


def _statement(claim: Claim, before: Claim | None) -> str:
    """In full where it is first shown: a claim has a line a metric."""
    told = f"{claim.statement} ({PAPERS[claim.paper]}, {claim.place})."
    note = f" *{claim.note}*" if claim.note else ""
    if before is None or (before.statement, before.paper) != (claim.statement, claim.paper):
        return told + note
    return "as above" + (note if claim.note != before.note else "")


def _metric(claim: Claim) -> str:
    if claim.kind == "exact":
        return "Size" if claim.metric == "size" else "Share of parameters"
    if claim.kind == "history":
        return f"F1 of the {claim.metric.split('_')[1]} tokens"
    level, kind, *what = claim.metric.split("/")
    name = f"{KINDS[kind]}, {level} level"
    return f"{what[0].replace('_', ' ').capitalize()}: {name.lower()}" if what else name


def _unit(claim: Claim) -> tuple[str, int]:
    """What a difference is in, and its decimals."""
    return ("events", 0) if claim.metric.endswith("false_positives") else ("points", 1)


def _claimed(claim: Claim) -> str:
    if claim.claimed is None:
        return "higher" if claim.sign > 0 else "lower"
    if claim.kind == "exact":
        return f"{claim.claimed:g} {'MB' if claim.metric == 'size' else '%'}"
    if claim.kind == "history":
        return f"at least {claim.claimed:g}"
    unit, decimals = _unit(claim)
    return f"{claim.sign * claim.claimed:+.{decimals}f} {unit}"


def _measured(verdict: Verdict) -> str:
    if verdict.comparison is None:
        return verdict.measured or NOT_RUN
    unit, decimals = _unit(verdict.claim)
    difference, half = verdict.comparison.difference, verdict.comparison.half_width
    told = f"{difference:+.{decimals}f} {unit}"
    if half is None:
        return told
    low, high = difference - half, difference + half
    return f"{told} ({low:+.{decimals}f} to {high:+.{decimals}f})"


def _told_runs(verdict: Verdict) -> str:
    if not verdict.seeds:
        return "none needed" if verdict.claim.kind == "exact" else NOT_RUN
    told = " and ".join(map(str, dict.fromkeys(verdict.seeds)))
    many = "seed" if set(verdict.seeds) == {1} else "seeds"
    each = " each" if len(verdict.seeds) == 2 and len(set(verdict.seeds)) == 1 else ""
    return f"{verdict.world}, {verdict.profile}, {told} {many}{each}"


def _verdict(verdict: Verdict) -> str:
    told = f"**{verdict.outcome}**"
    if verdict.corrected is not None:
        p = verdict.corrected
        told += " (p < 0.001)" if p < 0.001 else f" (p = {p:.3f})"
    if verdict.depends_on:
        told += f", **depends on {' and '.join(verdict.depends_on)}**"
    return told + (f": {verdict.reason}" if verdict.reason else "")


def _caption(judged: Sequence[Verdict], shown: Sequence[Verdict]) -> str:
    outcomes = [verdict.outcome for verdict in shown]
    counted = {outcome: outcomes.count(outcome) for outcome in get_args(Outcome)}
    tally = ", ".join(f"{count} {outcome}" for outcome, count in counted.items() if count)
    kinds = {verdict.claim.kind for verdict in shown}
    tested = sum(verdict.corrected is not None for verdict in judged)
    said = [f"What the papers claim, in our words, and what our runs say: {tally}."]
    if any(verdict.comparison for verdict in shown):
        said.append(
            "Measured: the difference of two means over training seeds, with its 95 % interval "
            "over seeds and test videos"
            + " (for events and recall, over seeds)" * ("count" in kinds)
            + ". The claimed size is shown, not tested."
        )
    if any(verdict.corrected is not None for verdict in shown):
        said.append(
            f"p is corrected by Holm's method over the {tested} claims of all chapters that can be "
            f"tested by now; below {ALPHA} the sign decides, and from there on it can be chance."
        )
    if any(verdict.depends_on for verdict in shown):
        said.append(
            "Depends on a parameter: in the sweep over the simulator's parameters the difference "
            "is clearly above zero at one of its values and clearly below at another, and nothing "
            "measured on LLP fixes that value here."
        )
    if any(verdict.world == "simulated LLP" for verdict in shown):
        said.append("A verdict on simulated LLP is none on LLP.")
    if "exact" in kinds:
        said.append(
            "Sizes are those of the networks saved as files, idle entries of a release included; "
            "printed ones are taken for whole MiB, rounded up as a file listing does."
        )
    return " ".join(said)
