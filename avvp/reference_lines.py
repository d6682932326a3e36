"""Reference lines: what predictors that never look at a video score on LLP's own labels.

They measure the benchmark, not a method: how far do the labels alone go? ``avvp reference-lines
--annotations DIR --out FILE.json`` writes :func:`measure` of the released annotations;
``results/llp/reference_lines.json`` was written by it and is what :func:`read_lines` returns. How
the papers' rows stand to a line is computed from the papers' numbers when asked, see
:func:`standing`.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from avvp.atomic import write_text
from avvp.data.annotations import AnnotatedSplit, Annotations
from avvp.errors import AvvpError
from avvp.events import SEGMENTS
from avvp.metrics import LEVELS, METRICS, evaluate
from avvp.published import Row, published_cells
from avvp.results import RESULTS

SCHEMA = 1

FILE = RESULTS / "llp" / "reference_lines.json"

LINES: dict[str, str] = {
    "truth": "ground truth",
    "modality": "true label of each modality, in all ten seconds",
    "weak": "weak label, in all ten seconds of both modalities",
    "flips": "ground truth, 5 % of the decisions flipped",
    "ones": "every class, in all ten seconds of both modalities",
}
"""Name of a line -> what it predicts."""


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
                "pairs": full_length(annotations[name]),
            }
            for name in ("val", "test")
        },
    }


def write_lines(path: str | Path, measured: dict[str, Any]) -> None:
    """Write what :func:`measure` returned, atomically."""
    write_text(path, json.dumps(measured, indent=2) + "\n")


def read_lines(path: str | Path = FILE) -> dict[str, Any]:
    """What :func:`write_lines` wrote.

    Raises:
        AvvpError: the file is missing, damaged or of another schema.
    """
    path = Path(path)
    remedy = "write it anew with 'avvp reference-lines'"
    if not path.is_file():
        raise AvvpError(f"there are no reference lines at {path}; {remedy}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise AvvpError(f"{path} is no JSON, perhaps half written; {remedy}.") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise AvvpError(f"{path} does not hold reference lines of schema {SCHEMA}; {remedy}.")
    return content


class Standing(NamedTuple):
    """How many of the printed results lie below a value."""

    below: int
    printed: int


def printed_results() -> dict[str, tuple[float, ...]]:
    """For each of the ten numbers: every result that the papers' tables print, sorted.

    Papers quote each other. Rows that print the same numbers at one level are one result.
    """
    rows: dict[Row, dict[str, float]] = defaultdict(dict)
    for cell in published_cells():
        if cell.table != "text" and cell.unit == "F1 %":
            rows[cell.place][cell.key] = cell.value
    results = {}
    for level in LEVELS:
        keys = [key for key in METRICS if key.startswith(f"{level}/")]
        distinct = {tuple(row.get(key) for key in keys) for row in rows.values()}
        for key, values in zip(keys, zip(*distinct, strict=True), strict=True):
            results[key] = tuple(sorted(value for value in values if value is not None))
    return results


def standing(ten: dict[str, float]) -> dict[str, Standing]:
    """For each of the ten numbers: how many of :func:`printed_results` does ``ten`` exceed?"""
    return {
        key: Standing(sum(ten[key] > value for value in printed), len(printed))
        for key, printed in printed_results().items()
    }
