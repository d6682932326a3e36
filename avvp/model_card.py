"""Pack a run's network to share: its weights, and a card that its run fills in."""

import platform
from collections.abc import Mapping
from pathlib import Path

import torch

from avvp.atomic import check_new_folder
from avvp.errors import AvvpError
from avvp.events import LABELS, SEGMENTS, Thresholds, decode
from avvp.experiments import REGISTRY, Predicted, predict_again
from avvp.metrics import LEVELS, MODALITIES, evaluate, main_metric
from avvp.models.pretrained import Pretrained, write_pretrained
from avvp.results import RUNS, Run, read_arrays, read_run
from avvp.tables import KINDS, PAPERS, data_world

WORST = 5
"""Classes that the card lists as known failures."""


def pack(
    path: Path, out: Path, *, data: str = "sim", device: str = "auto", runs: Path = RUNS
) -> Path:
    """Write the network of a run and its card to a new folder; returns the path of the weights.

    The weights are packed only if they score what the run recorded.

    Args:
        path: of the run's JSON.
        out: the new folder.
        data: ``"sim"`` or the HDF5 file that the run was made on.
        device: see :func:`avvp.devices.choose_device`.
        runs: where the weights are.

    Raises:
        AvvpError: the run has no network, its weights are missing or score something else, or
            ``out`` is there already.
    """
    check_new_folder(out)
    done = read_run(path)
    again = predict_again(done, read_arrays(path), data=data, device=device, runs=runs)
    if again.network is None:
        raise AvvpError(f"{done.experiment} learns nothing: there is no network to pack.")
    decided = decode(again.parsing, threshold=again.thresholds, gate=again.gate)
    found = evaluate(*decided, again.videos.true_audio, again.videos.true_visual)
    if dict(found) != done.metrics:
        raise AvvpError(
            f"{path} records other scores than its weights have here; pack it where it was made "
            f"({done.device}, PyTorch {done.versions['torch']})."
        )
    cut = again.thresholds
    trained = Pretrained(
        again.network,
        done.configuration["model"],
        done.configuration["options"],
        again.gate,
        cut if isinstance(cut, Thresholds) else Thresholds(cut, cut),
        done.experiment,
    )
    return write_pretrained(out, trained, card=model_card(done, weak_line(again)))


def weak_line(seen: Predicted) -> dict[str, float]:
    """What the weak label scores on these videos, marked in every second of both modalities."""
    everywhere = seen.videos.weak.cpu().unsqueeze(-1).expand(-1, -1, SEGMENTS)
    truth = seen.videos.true_audio.cpu(), seen.videos.true_visual.cpu()
    return dict(evaluate(everywhere, everywhere, *truth))


def _scores(name: str, scores: Mapping[str, float], level: str) -> str:
    cells = (f"{level}/{kind}" for kind in KINDS)
    told = (f"{scores[key]:.1f}" if key in scores else "–" for key in cells)
    return f"| {name} | " + " | ".join(told) + " |"


def _worst(run: Run) -> str:
    """The classes that are found worst, by segment-level F-score over all that is parsed.

    A class that is nowhere annotated nor found has none, and is left out.
    """
    kind = main_metric(run.metrics).removeprefix("segment/")
    modality = kind if kind in MODALITIES else "pooled"
    counts = torch.tensor(run.counts)[LEVELS.index("segment"), MODALITIES.index(modality)]
    hit, extra, missed = counts.double().unbind(-1)
    score = 100 * 2 * hit / (2 * hit + extra + missed)
    order = [c for c in score.argsort().tolist() if not score[c].isnan()][:WORST]
    return ", ".join(f"{LABELS[c].replace('_', ' ')} ({score[c]:.0f})" for c in order)


def model_card(run: Run, weak: Mapping[str, float]) -> str:
    """The card of a run's network, Markdown.

    Args:
        run: whose scores, configuration and provenance it tells.
        weak: what the weak label scores on the same videos, see :func:`weak_line`.
    """
    experiment = REGISTRY[run.experiment]
    # A rescored experiment was trained as the one that it comes after.
    training = run.configuration["training"] or run.configuration["after"]["training"]
    rows = [f"{PAPERS[row.paper]}, {row.table}: {row.row} {row.setting}" for row in experiment.rows]
    world = data_world(run)
    warning = (
        "**Trained on simulated features.** No real video was seen in training, so on real videos "
        "it finds nothing of use; it is for trying out the commands.\n\n"
        if run.simulated
        else ""
    )
    heading = "| | " + " | ".join(KINDS.values()) + " |\n|---|" + "---|" * len(KINDS)
    tables = "\n\n".join(
        f"{level.capitalize()} level:\n\n{heading}\n"
        + _scores("this network", run.metrics, level)
        + "\n"
        + _scores("weak label everywhere", weak, level)
        for level in LEVELS
    )
    return f"""# {experiment.label}

{warning}Made by `avvp pack` from one run; every number is that run's.

## The model

- Experiment `{run.experiment}`, network `{run.configuration["model"]}` with the options
  `{run.configuration["options"]}`.
- Printed rows that the experiment regenerates: {"; ".join(map(str.strip, rows)) or "none"}.
- {run.parameters:,} trainable parameters. Licence: MIT, like the code.
- Load it with `avvp.models.from_pretrained(FOLDER)`. The file is safetensors and holds no code.

## Training

- Data: {world}, fingerprint `{run.data_fingerprint[:16]}`; \
{run.configuration["videos"]["train"]:,} videos with weak labels.
- Profile {run.profile}, seed {run.seed}; {training["epochs"]} epochs, batches of \
{training["batch_size"]}, learning rate {training["learning_rate"]:g}, {training["precision"]}, \
selection: {training["selection"]}.
- {run.device}; {run.seconds:.0f} s; commit {run.commit}; {
        ", ".join(f"{name} {version}" for name, version in run.versions.items())
    }. Packed with Python {platform.python_version()}.

## Scores

F-scores in per cent on the test split of {world}, {run.configuration["videos"]["test"]:,} videos, \
one seed. The second line looks at no video.

{tables}

## Use

- Meant for: finding which of 25 classes are heard and seen in clips of ten seconds, for research.
- Not meant for: decisions about people, surveillance, other classes, clips of other lengths.
- Classes found worst here (F-score): {_worst(run)}.
- LLP's videos are clips from YouTube, labelled by few annotators; classes, countries and recording
  conditions are not balanced.
"""
