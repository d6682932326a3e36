"""What the measures of sound-event detection say of a parsing, by sed_scores_eval.

Both modalities are scored by themselves, each as a detector of events over all decision thresholds
at once. The scores that are compared with a threshold are those of
:func:`avvp.events.decision_scores`. The numbers take a minute a run, so no training waits for them:
``avvp results detection`` adds them to a file of their own, one a data set and profile.
"""

import json
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from avvp.atomic import write_text
from avvp.errors import AvvpError
from avvp.events import LABELS, SEGMENTS, Gate, Modality, Parsing, decision_scores, segments_to_runs
from avvp.exchange import score_frames
from avvp.results import RESULTS, Run

SCENARIOS: dict[str, dict[str, float | None]] = {
    "psds_1": {
        "dtc_threshold": 0.7,
        "gtc_threshold": 0.7,
        "cttc_threshold": None,
        "alpha_ct": 0.0,
        "alpha_st": 1.0,
    },
    "psds_2": {
        "dtc_threshold": 0.1,
        "gtc_threshold": 0.1,
        "cttc_threshold": 0.3,
        "alpha_ct": 0.5,
        "alpha_st": 1.0,
    },
}
"""The two settings of the polyphonic sound detection score in DCASE's task on domestic sounds: the
first wants exact times, the second forgives them and counts confusions of classes."""
LIMITS = {"unit_of_time": "hour", "max_efpr": 100.0}
"""False alarms an hour up to which the area under the PSD-ROC counts."""


class Detection(NamedTuple):
    """One modality of one run, per cent."""

    psds_1: float
    psds_2: float
    macro: float  # mean over classes of the F-score over all seconds, decided at 0.5
    macro_best: float  # the same, every class at its own best threshold, chosen on these videos
    micro: float  # F-score of the pooled counts, decided at 0.5
    micro_best: float  # the same at the thresholds of macro_best


def detection(
    parsing: Parsing,
    ids: Sequence[str],
    true_audio: Tensor,
    true_visual: Tensor,
    *,
    gate: Gate | None,
) -> dict[Modality, Detection]:
    """The scores of N videos, for each modality that is parsed, over the classes that occur in it.

    Args:
        parsing: of the N videos, on the CPU.
        ids: their names.
        true_audio, true_visual: bool (N, C, T).
        gate: see :func:`avvp.events.decode`.

    Raises:
        AvvpError: sed_scores_eval is not installed.
    """
    tool = _require_sed_scores_eval()
    scores = dict(zip(("audio", "visual"), decision_scores(parsing, gate=gate), strict=True))
    truths = {"audio": true_audio, "visual": true_visual}
    found: dict[Modality, Detection] = {}
    for modality, score in scores.items():
        if score is None:
            continue
        events: dict[str, list[tuple[float, float, str]]] = {video: [] for video in ids}
        for n, c, onset, offset in segments_to_runs(truths[modality]):
            events[ids[n]].append((float(onset), float(offset), LABELS[c]))
        occurs = truths[modality].any(dim=-1).any(dim=0).tolist()
        absent = [label for label, some in zip(LABELS, occurs, strict=True) if not some]
        frames = score_frames(ids, score).items()
        given = {
            "scores": {video: frame.drop(columns=absent) for video, frame in frames},
            "ground_truth": events,
            "audio_durations": dict.fromkeys(ids, float(SEGMENTS)),
        }
        areas = [
            100 * float(tool.intersection_based.psds(**given, **scenario, **LIMITS)[0])
            for scenario in SCENARIOS.values()
        ]
        seconds = {**given, "segment_length": 1.0}
        at_half = tool.segment_based.fscore(**seconds, threshold=0.5)[0]
        at_best = tool.segment_based.best_fscore(**seconds)[0]
        averages = [
            100 * float(table[f"{kind}_average"])
            for kind in ("macro", "micro")
            for table in (at_half, at_best)
        ]
        found[modality] = Detection(*areas, *averages)
    return found


def detection_path(*, data: str, profile: str, results: Path = RESULTS) -> Path:
    """Where the detection scores of a data set and profile are."""
    return results / data / profile / "detection.json"


def add_detection(path: Path, run: Run, scores: dict[Modality, Detection]) -> None:
    """Write the scores of a run into the file at ``path``, beside those of other runs."""
    content = _read(path) or {
        "command": "avvp results detection",
        "sed_scores_eval": version("sed_scores_eval"),
        "settings": {name: scenario | LIMITS for name, scenario in SCENARIOS.items()},
        "runs": {},
    }
    content["runs"][f"{run.experiment}/seed-{run.seed}"] = {
        "hash": run.hash,
        **{modality: found._asdict() for modality, found in scores.items()},
    }
    content["runs"] = dict(sorted(content["runs"].items()))
    entries = (f"  {json.dumps(name)}: {json.dumps(x)}" for name, x in content["runs"].items())
    head = [f" {json.dumps(k)}: {json.dumps(x)}," for k, x in content.items() if k != "runs"]
    body = ",\n".join(entries)
    write_text(path, "\n".join(["{", *head, ' "runs": {', body, " }", "}"]) + "\n")


def read_detection(path: Path, run: Run) -> dict[Modality, Detection] | None:
    """The scores of a run in the file at ``path``; None if it has none of just this run."""
    content = _read(path)
    entry = content["runs"].get(f"{run.experiment}/seed-{run.seed}") if content else None
    if entry is None or entry["hash"] != run.hash:
        return None
    return {name: Detection(**x) for name, x in entry.items() if name != "hash"}


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("runs"), dict):
        raise AvvpError(f"{path} is damaged; delete it and run `avvp results detection` again.")
    return content


def _require_sed_scores_eval():
    """sed_scores_eval, which is not installed by default: it is compiled, and large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its imports use what is deprecated
            import sed_scores_eval
    except ImportError:
        raise AvvpError(
            "sed_scores_eval is not installed: run pip install sed_scores_eval (it needs a C "
            "compiler), or pip install 'avvp[exchange]'."
        ) from None
    return sed_scores_eval
