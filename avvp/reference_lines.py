"""Reference lines: what predictors that never look at a video score on LLP's own labels.

They measure the benchmark, not a method: how far do the labels alone go? ``avvp reference-lines
--annotations DIR --out FILE.json`` writes :func:`measure` of the released annotations;
``results/llp/reference_lines.json`` was written by it and is what :func:`read_lines` returns. How
the papers' rows stand to a line is computed from the papers' numbers when asked, see
:func:`standing`.
"""

import math
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from avvp.data.annotations import AnnotatedSplit, Annotations
from avvp.event_lengths import LENGTHS, scores_by_length
from avvp.events import SEGMENTS
from avvp.facts import read_facts, write_facts
from avvp.metrics import LEVELS, METRICS, evaluate, evaluate_videos
from avvp.published import Row, published_cells
from avvp.repair import repaired_scores
from avvp.results import RESULTS

SCHEMA = 2

FILE = RESULTS / "llp" / "reference_lines.json"

LINES: dict[str, str] = {
    "truth": "ground truth",
    "modality": "true label of each modality, in all ten seconds",
    "weak": "weak label, in all ten seconds of both modalities",
    "flips": "ground truth, 5 % of the decisions flipped",
    "ones": "every class, in all ten seconds of both modalities",
}
"""Name of a line -> what it predicts."""

COMPARED: tuple[tuple[str, str], ...] = (
    ("modality", "truth"),
    ("weak", "truth"),
    ("flips", "truth"),
    ("modality", "weak"),
    ("modality", "flips"),
    ("flips", "other flips"),
)
"""Pairs of lines whose scores are subtracted video by video; ``other flips`` are drawn anew."""


def predictions(split: AnnotatedSplit, *, seed: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
    """``(audio, visual)`` of every line in ``LINES``, bool (N, C, T).

    ``seed`` is of the flips: a decision is flipped with probability 0.05, first all of audio, then
    all of visual are drawn.
    """

    def throughout(label: Tensor) -> Tensor:
        return label.unsqueeze(-1).expand(-1, -1, SEGMENTS)

    weak = throughout(split.weak)
    generator = np.random.default_rng(7 + seed)
    flips = [torch.from_numpy(generator.random(split.audio.shape) < 0.05) for _ in range(2)]
    return {
        "truth": (split.audio, split.visual),
        "modality": (throughout(split.audio.any(-1)), throughout(split.visual.any(-1))),
        "weak": (weak, weak),
        "flips": (split.audio ^ flips[0], split.visual ^ flips[1]),
        "ones": (torch.ones_like(split.audio), torch.ones_like(split.visual)),
    }


def score(split: AnnotatedSplit) -> dict[str, dict[str, float]]:
    """The ten numbers of every line on the dense labels of one split."""
    return {
        name: evaluate(*prediction, split.audio, split.visual)
        for name, prediction in predictions(split).items()
    }


def score_by_length(split: AnnotatedSplit) -> dict[str, dict[str, dict[str, float]]]:
    """Of every line: what it scores on events shorter than the clip, and on those as long.

    See :func:`avvp.event_lengths.scores_by_length`; a length that no event has is left out.
    """
    found = {}
    for name, prediction in predictions(split).items():
        table = scores_by_length(*prediction, split.audio, split.visual)
        found[name] = {length: _finite(row) for length, row in zip(LENGTHS, table, strict=True)}
    return found


def score_repaired(split: AnnotatedSplit) -> dict[str, list[dict[str, float]]]:
    """Of every line: its scores after each of :data:`avvp.repair.REPAIRS`."""
    return {
        name: [_finite(row) for row in repaired_scores(*prediction, split.audio, split.visual)]
        for name, prediction in predictions(split).items()
    }


def spread_of_differences(split: AnnotatedSplit) -> dict[str, dict[str, float]]:
    """Of each pair in ``COMPARED``: the standard deviation over videos of the paired difference.

    In points, by metric. The keys are ``modality - weak`` and so on.
    """
    lines = predictions(split) | {"other flips": predictions(split, seed=1)["flips"]}
    scores = {
        name: evaluate_videos(*prediction, split.audio, split.visual).per_video
        for name, prediction in lines.items()
    }
    return {
        f"{one} - {other}": _finite((scores[one] - scores[other]).std(dim=0).numpy())
        for one, other in COMPARED
    }


def _finite(row: np.ndarray) -> dict[str, float]:
    """By the keys of :data:`avvp.metrics.METRICS`, without those that are not defined."""
    values = zip(METRICS, row.tolist(), strict=True)
    return {name: value for name, value in values if math.isfinite(value)}


def full_length(split: AnnotatedSplit) -> dict[str, dict[str, int]]:
    """How many (video, class) pairs a modality has, and how many of them last all ten seconds."""
    masks = {
        "audio": split.audio,
        "visual": split.visual,
        "audio_visual": split.audio & split.visual,
    }
    return {
        modality: {"pairs": int(mask.any(-1).sum()), "ten_seconds": int(mask.all(-1).sum())}
        for modality, mask in masks.items()
    }


def measure(annotations: Annotations) -> dict[str, Any]:
    """What :func:`write_lines` writes: scores and pairs of val and test, and of which files."""
    return {
        "schema": SCHEMA,
        "command": "avvp reference-lines --annotations DIR --out FILE.json",
        "annotations": annotations.provenance,
        "splits": {
            name: {
                "videos": len(annotations[name]),
                "lines": score(annotations[name]),
                "by_length": score_by_length(annotations[name]),
                "repaired": score_repaired(annotations[name]),
                "spread": spread_of_differences(annotations[name]),
                "pairs": full_length(annotations[name]),
            }
            for name in ("val", "test")
        },
    }


def write_lines(path: str | Path, measured: dict[str, Any]) -> None:
    """Write what :func:`measure` returned, atomically."""
    write_facts(path, measured)


def read_lines(path: str | Path = FILE) -> dict[str, Any]:
    """What :func:`write_lines` wrote.

    Raises:
        AvvpError: the file is missing, damaged or of another schema.
    """
    return read_facts(path, what="reference lines", command="avvp reference-lines", schema=SCHEMA)


class Standing(NamedTuple):
    """How many of the printed results lie below a value."""

    below: int
    printed: int


class PrintedRow(NamedTuple):
    """Printed scores of one level by metric, and every row that prints just these."""

    scores: dict[str, float]
    rows: tuple[Row, ...]


def printed_rows(level: str) -> list[PrintedRow]:
    """The results that the papers' tables print, each once, in the order of print.

    Papers quote each other. Rows that print the same numbers at one level are one result.
    """
    scores: dict[Row, dict[str, float]] = defaultdict(dict)
    for cell in published_cells():
        if cell.table != "text" and cell.unit == "F1 %" and cell.level == level:
            scores[cell.place][cell.key] = cell.value
    keys = [key for key in METRICS if key.startswith(f"{level}/")]
    same: dict[tuple, list[Row]] = defaultdict(list)
    for row, printed in scores.items():
        same[tuple(printed.get(key) for key in keys)].append(row)
    return [
        PrintedRow(
            {k: v for k, v in zip(keys, values, strict=True) if v is not None}, tuple(places)
        )
        for values, places in same.items()
    ]


def printed_results() -> dict[str, tuple[float, ...]]:
    """For each of the ten numbers: the values of all :func:`printed_rows`, sorted."""
    return {
        key: tuple(sorted(row.scores[key] for row in printed_rows(level) if key in row.scores))
        for level in LEVELS
        for key in METRICS
        if key.startswith(f"{level}/")
    }


def standing(ten: dict[str, float]) -> dict[str, Standing]:
    """For each of the ten numbers: how many of :func:`printed_results` does ``ten`` exceed?"""
    return {
        key: Standing(sum(ten[key] > value for value in printed), len(printed))
        for key, printed in printed_results().items()
    }
