"""How well the events are found that last as long as the clip, and those that do not.

Many of LLP's (video, class) pairs are on in all ten seconds of the clip. Who knows the class and
marks all seconds has these right, and learns nothing about time. So the pairs are scored apart.
"""

import numpy as np
import torch
from torch import Tensor

from avvp.metrics import MODALITIES, count, mean_over_classes

LENGTHS = ("shorter", "whole")
"""Than the clip: the pair is on in some of its seconds; or in all."""


def scores_by_length(
    pred_audio: Tensor | None, pred_visual: Tensor | None, true_audio: Tensor, true_visual: Tensor
) -> np.ndarray:
    """The ten metrics over annotated (video, class) pairs of each of ``LENGTHS``: (2, 10) float64.

    A pair is one of a modality: it belongs to the length that the class has there (audio-visual:
    that the seconds have in which it is both heard and seen). A score is what
    :func:`avvp.metrics.evaluate` says it is, with three differences: the classes of a video are
    those of its pairs of that length, so that a class which is not annotated costs nothing; the
    mean is over the videos that have any; and ``Type@AV`` is the mean of its three parts after, not
    before, the mean over videos. ``Event@AV`` pools those pairs of sound and image that have the
    length.

    To mark every annotated class in all ten seconds scores 100 where events last the whole clip.

    Returns:
        in per cent, columns in the order of :data:`avvp.metrics.METRICS`; NaN where a modality was
        not parsed, or where there is no such pair.
    """
    counts = count(pred_audio, pred_visual, true_audio, true_visual)  # (2, 4, N, C, 3)
    true = torch.stack((true_audio, true_visual, true_audio & true_visual)).cpu()
    kept = {
        "shorter": true.any(dim=-1) & ~true.all(dim=-1),  # (3, N, C)
        "whole": true.all(dim=-1),
    }
    rows = []
    for length in LENGTHS:
        pairs = kept[length]
        inside = counts[:, :3] * pairs.unsqueeze(-1)
        inside = torch.cat((inside, inside[:, :1] + inside[:, 1:2]), dim=1)
        pairs = torch.cat((pairs, (pairs[0] | pairs[1])[None]))
        videos = pairs.any(dim=-1)  # (4, N)
        score = 100 * mean_over_classes(inside)  # (2, 4, N)
        means = (score * videos).sum(dim=-1) / videos.sum(dim=-1)  # (2, 4); 0 / 0 is NaN
        for index, parsed in enumerate(_parsed(pred_audio, pred_visual)):
            if not parsed:
                means[:, index] = torch.nan
        audio, visual, audio_visual, pooled = means.unbind(dim=1)
        type_av = (audio + visual + audio_visual) / 3
        columns = torch.stack((audio, visual, audio_visual, type_av, pooled), dim=1)
        rows.append(columns.flatten())
    return torch.stack(rows).numpy()


def in_all_seconds(mask: Tensor | None) -> Tensor | None:
    """What is on somewhere in a video, in all of its seconds: bool (N, C, T), as ``mask`` is.

    What is left of a parsing without what it says about time.
    """
    return None if mask is None else mask.any(dim=-1, keepdim=True).expand_as(mask)


def _parsed(pred_audio: Tensor | None, pred_visual: Tensor | None) -> tuple[bool, ...]:
    """Whether each of :data:`avvp.metrics.MODALITIES` was parsed."""
    heard, seen = pred_audio is not None, pred_visual is not None
    parsed = {"audio": heard, "visual": seen}
    return tuple(parsed.get(modality, heard and seen) for modality in MODALITIES)
