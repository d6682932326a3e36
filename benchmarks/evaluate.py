"""How long it takes to score 1,200 videos: ``python benchmarks/evaluate.py``.

Prints milliseconds (the best of several calls) of :func:`avvp.metrics.evaluate` beside a reference
that loops over videos and classes, on random masks of LLP's shape and density and on two extremes.
Exits with status 1 if the two disagree or the budget of 50 ms is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from naive_metrics import naive_scores

from avvp.events import CLASSES, SEGMENTS
from avvp.metrics import evaluate_videos

BUDGET_MS = 50.0


def random_masks(videos: int, generator: np.random.Generator) -> np.ndarray:
    """One to three classes a video, each on for one stretch: bool (videos, C, T)."""
    masks = np.zeros((videos, CLASSES, SEGMENTS), dtype=bool)
    for video in masks:
        for label in generator.choice(CLASSES, size=generator.integers(1, 4), replace=False):
            onset, offset = np.sort(generator.choice(SEGMENTS + 1, size=2, replace=False))
            video[label, onset:offset] = True
    return masks


def predictors(videos: int, seed: int) -> dict[str, tuple[np.ndarray, ...]]:
    """Masks to score, as (pred_audio, pred_visual, true_audio, true_visual), by name."""
    generator = np.random.default_rng(seed)
    audio, visual = random_masks(videos, generator), random_masks(videos, generator)
    noise = [generator.random(audio.shape) < 0.02 for _ in range(2)]
    ones = np.ones_like(audio)
    return {
        "truth": (audio, visual, audio, visual),
        "truth, 2 % of the decisions flipped": (audio ^ noise[0], visual ^ noise[1], audio, visual),
        "every class in every second": (ones, ones, audio, visual),
    }


def milliseconds(call: Callable[[], object], *, repeats: int) -> float:
    """The shortest of ``repeats`` calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--videos", type=int, default=1200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--device", default="cpu", help="where avvp.metrics counts")
    chosen = options.parse_args()

    print(f"{chosen.videos} videos, {chosen.device}, {torch.get_num_threads()} threads of torch")
    print(f"{'prediction':38}{'ours, ms':>10}{'loops, ms':>12}{'ratio':>8}{'difference':>13}")
    failed = False
    for name, masks in predictors(chosen.videos, chosen.seed).items():
        tensors = [torch.from_numpy(mask).to(chosen.device) for mask in masks]
        evaluate_videos(*tensors)  # the first call allocates
        ours = milliseconds(lambda tensors=tensors: evaluate_videos(*tensors).ten(), repeats=51)
        loops = milliseconds(lambda masks=masks: naive_scores(*masks), repeats=1)
        scores = evaluate_videos(*tensors).per_video.numpy()
        difference = np.abs(scores - naive_scores(*masks)).max()
        print(f"{name:38}{ours:10.1f}{loops:12.0f}{loops / ours:8.0f}{difference:13.1e}")
        failed |= ours > BUDGET_MS * max(1, chosen.videos / 1200) or difference > 1e-9
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
