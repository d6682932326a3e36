"""Other ways to put a number on the same parsing, and the rankings that they make of methods."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import kendalltau

from avvp.curves import THRESHOLDS
from avvp.detection import Detection, detection_path, read_detection
from avvp.events import Modality
from avvp.metrics import LEVELS, METRICS, MODALITIES, f_score
from avvp.results import Run, read_arrays
from avvp.tables import Drawn

TYPE_AV = METRICS.index("segment/type_av")
SEGMENT = LEVELS.index("segment")


class Scored(NamedTuple):
    """All that a measure may look at: one seed of a method that parses both modalities."""

    run: Run
    arrays: Mapping[str, np.ndarray]
    detection: Mapping[Modality, Detection] | None


class Measure(NamedTuple):
    """One way to sum a method up, per cent; more is better unless ``error``.

    Attributes:
        title: for the head of a column.
        told: in a sentence.
        value: of one seed; None where what it needs is not there.
        error: less is better.
    """

    title: str
    told: str
    value: Callable[[Scored], float | None]
    error: bool = False


def best_threshold(scored: Scored, metric: str = "segment/type_av") -> tuple[float, float]:
    """The one threshold at which a run's score is highest, and that score in per cent.

    Chosen on the videos that are scored: an upper bound, not a result.
    """
    curve = scored.arrays["threshold_curve"][:, METRICS.index(metric)]
    place = int(np.argmax(curve))
    return THRESHOLDS[place], float(curve[place])


def f_score_of(counts: Sequence | np.ndarray) -> float:
    """``2 TP / (2 TP + FP + FN)`` of counts (..., 3), in per cent, averaged over the rest."""
    return 100 * f_score(torch.as_tensor(np.asarray(counts))).mean().item()


def calibration_error(bins: np.ndarray) -> float:
    """How far probabilities are from frequencies on average, in percentage points; NaN of nothing.

    Args:
        bins: (20, 3), see :func:`avvp.curves.reliability`.
    """
    entries, said, held = bins[bins[:, 0] > 0].T
    if not len(entries):
        return float("nan")
    return 100 * float(np.average(np.abs(said - held), weights=entries))


def _micro(scored: Scored) -> float:
    pooled = scored.run.counts[SEGMENT][MODALITIES.index("pooled")]
    return f_score_of(np.sum(pooled, axis=0))


def _by_class(scored: Scored) -> float:
    return f_score_of(scored.run.counts[SEGMENT][:2])


def pooled_presence(scored: Scored) -> dict[str, float] | None:
    """F-scores of pooled seconds, per cent: heard only, seen only, and heard and seen.

    The published average would give a video 1 in which nothing of a kind is there or found, which
    for what is only seen is nearly every video.
    """
    counts = scored.arrays.get("only/counts")
    if counts is None:
        return None
    audio, visual = counts[SEGMENT].sum(axis=1)
    both = np.sum(scored.run.counts[SEGMENT][MODALITIES.index("audio_visual")], axis=0)
    kinds = {"audio": audio, "visual": visual, "audio_visual": both}
    return {kind: f_score_of(three) for kind, three in kinds.items()}


def _only(scored: Scored) -> float | None:
    found = pooled_presence(scored)
    return None if found is None else (found["audio"] + found["visual"]) / 2


def _calibration(scored: Scored) -> float:
    names = ("reliability/segment_audio", "reliability/segment_visual")
    return float(np.mean([calibration_error(scored.arrays[name]) for name in names]))


def _detected(name: str) -> Callable[[Scored], float | None]:
    def value(scored: Scored) -> float | None:
        if scored.detection is None:
            return None
        return float(np.mean([getattr(x, name) for x in scored.detection.values()]))

    return value


def share_of_both(run: Run) -> tuple[float, float]:
    """Of the seconds of classes that are heard or seen, those that are both, per cent.

    Returns:
        (as annotated, as predicted)
    """
    counts = np.array(run.counts)[SEGMENT].sum(axis=1)  # (4, 3)
    hits, false_positives, false_negatives = counts.T
    shares = []
    for units in (hits + false_negatives, hits + false_positives):
        audio, visual, both, _ = units
        shares.append(100 * both / max(audio + visual - both, 1))
    return float(shares[0]), float(shares[1])


MEASURES: dict[str, Measure] = {
    "type_av": Measure(
        "Type@AV, segments",
        "the mean over videos, at segment level, of what the papers rank by",
        lambda scored: scored.run.metrics["segment/type_av"],
    ),
    "events": Measure(
        "Type@AV, events",
        "the same for whole events that overlap by half",
        lambda scored: scored.run.metrics["event/type_av"],
    ),
    "overlaps": Measure(
        "events, all overlaps",
        "event-level Type@AV, averaged over nine overlaps from 0.1 to 0.9",
        lambda scored: float(scored.arrays["overlap_curve"][:, 3].mean()),
    ),
    "best": Measure(
        "best threshold",
        "segment-level Type@AV at the best of 19 thresholds, one for everything",
        lambda scored: best_threshold(scored)[1],
    ),
    "micro": Measure(
        "all seconds pooled",
        "one F-score of the counts of all videos and classes (micro)",
        _micro,
    ),
    "classes": Measure(
        "mean over classes",
        "the F-score of each class over all videos, averaged (macro)",
        _by_class,
    ),
    "psds_1": Measure(
        "PSDS 1",
        "the polyphonic sound detection score, scenario 1: exact times, all thresholds",
        _detected("psds_1"),
    ),
    "psds_2": Measure(
        "PSDS 2",
        "the same, scenario 2: forgiving times, confusions of classes cost",
        _detected("psds_2"),
    ),
    "only": Measure(
        "heard only, seen only",
        "the mean of two F-scores of pooled seconds: heard without being seen, and the reverse",
        _only,
    ),
    "calibration": Measure(
        "calibration",
        "the mean distance of a second's probability from how often it is true",
        _calibration,
        error=True,
    ),
}
"""The measures that the chapter ranks by, the papers' own first."""


def read_scored(drawn: Drawn) -> list[Scored]:
    """What measures look at, of every seed that a figure shows."""
    scored = []
    for run, path in zip(drawn.runs, drawn.paths, strict=True):
        results = path.parents[2 + len(run.experiment.split("/"))]
        beside = detection_path(data=run.data, profile=run.profile, results=results)
        scored.append(Scored(run, read_arrays(path), read_detection(beside, run)))
    return scored


def measured(methods: Mapping[str, Sequence[Scored]]) -> dict[str, dict[str, float]]:
    """Means over seeds: method -> key of :data:`MEASURES` -> per cent.

    A measure that some method lacks is left out, so that every ranking is one of all methods. Seeds
    that lack it do not count.
    """
    table: dict[str, dict[str, float]] = {name: {} for name in methods}
    for key, measure in MEASURES.items():
        values = {
            name: [x for x in map(measure.value, seeds) if x is not None]
            for name, seeds in methods.items()
        }
        if all(values.values()):
            for name, seeds in values.items():
                table[name][key] = float(np.mean(seeds))
    return table


def ranks(table: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, int]]:
    """The place of every method under every measure: 1 is best, equal values share the better."""
    placed: dict[str, dict[str, int]] = {name: {} for name in table}
    for key in next(iter(table.values()), {}):
        sign = 1 if MEASURES[key].error else -1
        values = {name: sign * by_measure[key] for name, by_measure in table.items()}
        for name, value in values.items():
            placed[name][key] = 1 + sum(other < value for other in values.values())
    return placed


class Agreement(NamedTuple):
    """How a measure's ranking compares with that of segment-level ``Type@AV``."""

    tau: float  # Kendall's rank correlation, 1 where the order is the same
    turned: list[tuple[str, str]]  # pairs whose order is another, the first better by Type@AV
    clearly: list[tuple[str, str]]  # of these: apart by `margin` or more under both measures


def agreement(
    table: Mapping[str, Mapping[str, float]], key: str, *, margin: float = 1.0
) -> Agreement:
    """Compare the ranking of ``key`` with that of ``Type@AV``.

    Args:
        table: see :func:`measured`.
        key: of :data:`MEASURES`.
        margin: in points; what two methods have to be apart to be told apart.
    """
    sign = -1 if MEASURES[key].error else 1
    first = {name: values["type_av"] for name, values in table.items()}
    other = {name: sign * values[key] for name, values in table.items()}
    turned, clearly = [], []
    for pair in combinations(sorted(table, key=first.get, reverse=True), 2):
        better, worse = pair
        if other[better] < other[worse]:
            turned.append(pair)
            apart = min(first[better] - first[worse], other[worse] - other[better])
            if apart >= margin:
                clearly.append(pair)
    names = list(table)
    tau = kendalltau([first[n] for n in names], [other[n] for n in names]).statistic
    return Agreement(float(tau), turned, clearly)
