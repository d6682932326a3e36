"""Oddities of LLP's annotations, counted, and what each of them does to scores.

They decide a few questions that the papers leave open, such as how many videos are annotated, and
bound what the rest can matter. ``avvp oddities --annotations DIR --out FILE.json`` writes
:func:`measure_oddities` of the released annotations; ``results/llp/oddities.json`` was written by
it and is what :func:`read_oddities` returns.
"""

import csv
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avvp.data.annotations import (
    AUDIO_FILE,
    REPAIRED,
    VISUAL_FILE,
    AnnotatedSplit,
    Annotations,
)
from avvp.errors import AvvpError
from avvp.events import LABELS
from avvp.facts import read_facts, write_facts
from avvp.metrics import evaluate
from avvp.reference_lines import predictions
from avvp.results import RESULTS

SCHEMA = 1

FILE = RESULTS / "llp" / "oddities.json"


def measure_oddities(annotations: Annotations) -> dict[str, Any]:
    """What :func:`write_oddities` writes: counts and scores, and of which files.

    Raises:
        AvvpError: the audio annotations are not the repaired ones.
    """
    if annotations.audio_version != "corrected":
        raise AvvpError(
            f"the audio annotations in {annotations.folder} are {annotations.audio_version}; what "
            "the repair changes can be measured from the repaired ones only, which are HAN's."
        )
    return {
        "schema": SCHEMA,
        "command": "avvp oddities --annotations DIR --out FILE.json",
        "annotations": annotations.provenance,
        "useless_rows": _useless_rows(annotations),
        "repair": _repair(annotations),
        "splits": {
            split: _of_split(annotations[split]) | {"rows": _rows(annotations, split)}
            for split in ("val", "test")
        },
    }


def _useless_rows(annotations: Annotations) -> dict[str, dict[str, int]]:
    """Modality -> kind of a row that marks nothing -> how many there are."""
    return {
        modality: {
            kind: len(annotations.report.of(kind, file=file))
            for kind in ("orphan row", "empty row", "reversed row")
        }
        for modality, file in (("audio", AUDIO_FILE), ("visual", VISUAL_FILE))
    }


def _dense_rows(annotations: Annotations, file: str) -> list[dict[str, str]]:
    with (annotations.folder / file).open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def _rows(annotations: Annotations, split: str) -> dict[str, int]:
    """How many rows of either file name a video of the split."""
    known = set(annotations[split].ids)
    return {
        modality: sum(row["filename"] in known for row in _dense_rows(annotations, file))
        for modality, file in (("audio", AUDIO_FILE), ("visual", VISUAL_FILE))
    }


def without_repair(test: AnnotatedSplit) -> Tensor:
    """What is heard in the test videos (N, C, T) by the copies whose names are not repaired.

    They miss one class of one video as a whole, and the first second of another.
    """
    audio = test.audio.clone()
    whole, first = ((test.ids.index(video), LABELS.index(label)) for video, label in REPAIRED)
    audio[whole] = False
    audio[(*first, 0)] = False
    return audio


def _repair(annotations: Annotations) -> dict[str, Any]:
    """How many rows the repair gives back to test videos, and what it adds to scores."""
    test = annotations["test"]
    damaged = without_repair(test)
    gains = {}
    for name, prediction in predictions(test).items():
        after = evaluate(*prediction, test.audio, test.visual)
        before = evaluate(*prediction, damaged, test.visual)
        gains[name] = {key: after[key] - before[key] for key in after}
    named = [(row["filename"], row["event_labels"]) for row in _dense_rows(annotations, AUDIO_FILE)]
    return {"rows": named.count(REPAIRED[0]) + 1, "gains": gains}


def _of_split(split: AnnotatedSplit) -> dict[str, Any]:
    truth = {"audio": split.audio, "visual": split.visual}
    both = truth | {"audio_visual": split.audio & split.visual}
    dense = (split.audio | split.visual).any(-1)
    nothing = torch.zeros_like(split.audio)
    labelled = split.weak.unsqueeze(-1)
    return {
        "videos": len(split),
        "pairs": {name: int(mask.any(-1).sum()) for name, mask in truth.items()},
        "events": {name: _events(mask) for name, mask in truth.items()},
        "nothing_there": {name: int((~mask.any(-1).any(-1)).sum()) for name, mask in both.items()},
        "nothing_predicted": evaluate(nothing, nothing, split.audio, split.visual),
        "dense_without_weak": int((dense & ~split.weak).sum()),
        "weak_without_dense": int((split.weak & ~dense).sum()),
        "truth_among_weak": evaluate(
            split.audio & labelled, split.visual & labelled, split.audio, split.visual
        ),
    }


def _events(mask: Tensor) -> int:
    """Maximal runs of seconds in (N, C, T)."""
    starts = mask.clone()
    starts[..., 1:] &= ~mask[..., :-1]
    return int(starts.sum())


def write_oddities(path: str | Path, measured: dict[str, Any]) -> None:
    """Write what :func:`measure_oddities` returned, atomically."""
    write_facts(path, measured)


def read_oddities(path: str | Path = FILE) -> dict[str, Any]:
    """What :func:`write_oddities` wrote.

    Raises:
        AvvpError: the file is missing, damaged or of another schema.
    """
    return read_facts(path, what="oddities", command="avvp oddities", schema=SCHEMA)
