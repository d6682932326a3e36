"""Measure the label statistics of LLP: what the simulator draws its labels from.

``avvp data statistics --annotations DIR --out FILE.json`` writes :func:`measure` of the released
annotations; the table in ``avvp/package_data/label_statistics.json`` was written by it and is what
:func:`read_statistics` returns. All numbers are counts. A *pair* is a video with a class; it is
*heard* (*seen*) when some second of audio (video) is marked, *full* when all ten are, and a *run*
is a maximal stretch of marked seconds. Lists by class follow :data:`avvp.events.LABELS`; C = 25.

``source``
    ``audio_version`` and ``sha256`` of each CSV file.
``labels``
    the 25 class names.
``splits`` -> ``train``, ``val``, ``test``
    ``videos``; ``labels_per_video[k]``: videos with k weak labels; ``class_counts[c]``: videos with
    the weak label c; ``labels_per_video_by_class[k][c]``: videos with k weak labels, one of them c.
``together`` -> ``train``, ``val+test``
    ``[c][d]``: videos with the weak labels c and d (C x C; the diagonal repeats the class counts).
``dense`` -> ``test``, ``val+test``
    ``weak_pairs`` -> ``heard_only``, ``seen_only``, ``both``, ``neither``: the weak labels, by what
    the dense annotation says of them, by class. ``pairs_outside_weak`` -> ``heard_only``,
    ``seen_only``, ``both``: annotated pairs whose class is no weak label, by class.

    Everything below counts annotated pairs, inside the weak labels or not.

    ``pairs``, ``full_pairs``, ``segments``, ``runs``, each -> ``audio``, ``visual``,
    ``audio_visual``: by class; audio-visual is heard and seen in the same second.
    ``videos_without`` -> the same three: videos with no such second at all.
    ``both_full[c]``: pairs heard and seen, ``[[neither full, only visual full], [only audio full,
    both full]]``; ``both_identical[c]``: of these, the pairs marked in the same seconds.
    ``run_length``, ``run_onset``, ``runs_per_pair``, each -> ``audio``, ``visual``,
    ``audio_visual`` -> ``all``, ``not_full``: histograms over all pairs and over those that are not
    full. ``run_length[i]``: runs of i + 1 seconds; ``run_onset[t]``: runs that start at second t;
    ``runs_per_pair[i]``: pairs with i + 1 runs.
    ``chains`` -> ``both``, ``heard_only``, ``seen_only``, over pairs that are not full: in the
    first, not full in both modalities at once. ``initial[s]``: pairs in state s in second 0;
    ``transitions[t][s][u]``: pairs in state s at second t and u at t + 1. The states of ``both``
    are 0 off, 1 audio only, 2 visual only, 3 both; of the two others 0 off, 1 on.
``oddities``
    lists ``[kind, file, count]``, see :data:`avvp.data.annotations.CONSEQUENCES`.
"""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avvp.atomic import write_text
from avvp.data.annotations import AnnotatedSplit, Annotations
from avvp.events import LABELS, SEGMENTS, segments_to_runs

SCHEMA = 1


def measure(annotations: Annotations) -> dict[str, Any]:
    """The label statistics of :func:`avvp.data.read_annotations`'s splits, see the module."""
    val, test = annotations["val"], annotations["test"]
    pooled = [torch.cat(parts) for parts in zip(_masks(val), _masks(test), strict=True)]
    return {
        "schema": SCHEMA,
        "source": annotations.provenance,
        "labels": list(LABELS),
        "splits": {name: weak_statistics(split.weak) for name, split in annotations.items()},
        "together": {
            "train": labels_together(annotations["train"].weak),
            "val+test": labels_together(pooled[0]),
        },
        "dense": {
            "test": dense_statistics(*_masks(test)),
            "val+test": dense_statistics(*pooled),
        },
        "oddities": [
            [kind, file, count] for (kind, file), count in annotations.report.counts().items()
        ],
    }


def read_statistics() -> dict[str, Any]:
    """The committed statistics of the released LLP annotations."""
    table = resources.files("avvp") / "package_data" / "label_statistics.json"
    return json.loads(table.read_text(encoding="utf-8"))


def write_statistics(path: str | Path, statistics: dict[str, Any]) -> None:
    """Write statistics as JSON, one table a line, completely or not at all."""
    write_text(path, _compact(statistics) + "\n")


def _compact(value: Any, margin: str = "") -> str:
    if not isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    inner = margin + " "
    lines = [f"{inner}{json.dumps(key)}: {_compact(item, inner)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{margin}}}"


def _masks(split: AnnotatedSplit) -> tuple[Tensor, Tensor, Tensor]:
    return split.weak, split.audio, split.visual


def weak_statistics(weak: Tensor) -> dict[str, Any]:
    """What ``splits`` holds of one split, from its weak labels (N, C) bool."""
    number = weak.sum(1)
    counts = torch.bincount(number)
    by_class = [weak[number == k].sum(0).tolist() for k in range(len(counts))]
    return {
        "videos": len(weak),
        "labels_per_video": counts.tolist(),
        "class_counts": weak.sum(0).tolist(),
        "labels_per_video_by_class": by_class,
    }


def labels_together(weak: Tensor) -> list[list[int]]:
    """What ``together`` holds of a split: (C, C) videos with both weak labels."""
    counts = weak.double()
    return (counts.T @ counts).long().tolist()


def dense_statistics(weak: Tensor, audio: Tensor, visual: Tensor) -> dict[str, Any]:
    """What ``dense`` holds of a split: weak labels (N, C) and masks (N, C, T), all bool."""
    masks = {"audio": audio, "visual": visual, "audio_visual": audio & visual}
    heard, seen = audio.any(-1), visual.any(-1)
    cases = {"heard_only": heard & ~seen, "seen_only": seen & ~heard, "both": heard & seen}

    def by_class(pairs: Tensor) -> list[int]:
        return pairs.sum(0).tolist()

    def by_modality(count: Callable[[Tensor], Any]) -> dict[str, Any]:
        return {name: count(mask) for name, mask in masks.items()}

    audio_full, visual_full = audio.all(-1), visual.all(-1)
    fullness = 2 * audio_full.long() + visual_full.long()
    both_full = torch.stack([(cases["both"] & (fullness == k)).sum(0) for k in range(4)], dim=1)
    not_full = {name: mask & ~mask.all(-1, keepdim=True) for name, mask in masks.items()}
    runs = {name: {"all": _runs(masks[name]), "not_full": _runs(not_full[name])} for name in masks}
    histograms = {
        key: {
            name: {kind: counts[key] for kind, counts in of_mask.items()}
            for name, of_mask in runs.items()
        }
        for key in ("run_length", "run_onset", "runs_per_pair")
    }
    joint = cases["both"] & ~(audio_full & visual_full)
    return {
        "weak_pairs": {name: by_class(weak & pairs) for name, pairs in cases.items()}
        | {"neither": by_class(weak & ~heard & ~seen)},
        "pairs_outside_weak": {name: by_class(~weak & pairs) for name, pairs in cases.items()},
        "pairs": by_modality(lambda mask: by_class(mask.any(-1))),
        "full_pairs": by_modality(lambda mask: by_class(mask.all(-1))),
        "segments": by_modality(lambda mask: mask.sum((0, 2)).tolist()),
        "runs": {name: of_mask["all"]["runs"] for name, of_mask in runs.items()},
        "videos_without": by_modality(lambda mask: int((~mask.any(-1).any(-1)).sum())),
        "both_full": both_full.reshape(-1, 2, 2).tolist(),
        "both_identical": by_class(cases["both"] & (audio == visual).all(-1)),
        **histograms,
        "chains": {
            "both": _chain(audio[joint].long() + 2 * visual[joint].long(), states=4),
            "heard_only": _chain(audio[cases["heard_only"] & ~audio_full].long(), states=2),
            "seen_only": _chain(visual[cases["seen_only"] & ~visual_full].long(), states=2),
        },
    }


def _runs(mask: Tensor) -> dict[str, list[int]]:
    """Runs of a mask (N, C, T) by class, and their histograms."""
    runs = torch.tensor(segments_to_runs(mask), dtype=torch.long).reshape(-1, 4)
    _, label, onset, offset = runs.unbind(1)
    _, per_pair = torch.unique(runs[:, :2], dim=0, return_counts=True)
    return {
        "runs": torch.bincount(label, minlength=len(LABELS)).tolist(),
        "run_length": torch.bincount(offset - onset - 1, minlength=SEGMENTS).tolist(),
        "run_onset": torch.bincount(onset, minlength=SEGMENTS).tolist(),
        "runs_per_pair": torch.bincount(per_pair - 1, minlength=SEGMENTS // 2).tolist(),
    }


def _chain(sequences: Tensor, *, states: int) -> dict[str, Any]:
    """First states and transitions, second by second, of state sequences (P, T)."""
    transitions = [
        torch.bincount(states * now + then, minlength=states**2).reshape(states, states).tolist()
        for now, then in zip(sequences.T[:-1], sequences.T[1:], strict=True)
    ]
    initial = torch.bincount(sequences[:, 0], minlength=states).tolist()
    return {"initial": initial, "transitions": transitions}
