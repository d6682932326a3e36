"""Where events lie in a network's feature space: t-SNE coordinates and how pure neighbourhoods are.

The papers show such pictures and judge them by eye (Figure 4, MGN). The purity puts a number on
what the eye is asked to see, in the space itself and not in its flattened picture.
"""

import numpy as np
import torch
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from avvp.data.videos import Videos
from avvp.devices import device_of, exact_float32
from avvp.training import Precision, autocast

SHOWN_CLASSES = 8
EVENTS_A_CLASS = 40
NEIGHBOURS = 10


def shown_events(true_audio: Tensor, true_visual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which (video, class) pairs a picture shows.

    The classes with the most videos in their rarer modality, and of each the first videos.

    Args:
        true_audio, true_visual: (N, C, T) bool.

    Returns:
        the classes (8,), and of each modality the pairs (n, 2): video, class.
    """
    present = torch.stack([true_audio.any(dim=-1), true_visual.any(dim=-1)])  # (2, N, C)
    classes = present.sum(dim=1).amin(dim=0).argsort(descending=True, stable=True)[:SHOWN_CLASSES]
    pairs = [
        torch.cat(
            [
                torch.stack([rows, rows.new_full(rows.shape, int(label))], dim=1)
                for label in classes
                for rows in [there[:, label].nonzero()[:EVENTS_A_CLASS, 0]]
            ]
        )
        for there in present
    ]
    return classes, *pairs


@exact_float32()
def event_embedding(
    network: nn.Module, videos: Videos, *, precision: Precision = "float32"
) -> dict[str, np.ndarray]:
    """Coordinates of annotated events, as ``network`` sees them.

    Args:
        network: with a method ``event_features``.
        videos: an annotated split.
        precision: of the network's matrix products.

    Returns:
        ``classes`` (8,); for each of ``audio`` and ``visual``: ``_xy`` (n, 2) float32, t-SNE of
        perplexity 30 (less for few events) from a PCA start; ``_label`` (n,); ``_purity``, the mean
        share of an event's 10 nearest neighbours, by cosine in feature space, that have its class.
    """
    true_audio, true_visual = videos.true_audio.cpu(), videos.true_visual.cpu()
    classes, *pairs = shown_events(true_audio, true_visual)
    rows = torch.cat(pairs)[:, 0].unique()
    device = device_of(network)
    was_training = network.training
    network.eval()
    pieces = []
    with torch.no_grad(), autocast(device, precision):
        for index in rows.split(64):
            batch = videos.rows(index)
            masks = (mask[index].to(device) for mask in (true_audio, true_visual))
            pieces.append(
                torch.stack(
                    network.event_features(*(x.to(device) for x in batch[1:4]), *masks)
                ).float()
            )
    network.train(was_training)
    features = torch.cat(pieces, dim=1).cpu()  # (2, R, C, D)
    found: dict[str, np.ndarray] = {"classes": classes.numpy()}
    for modality, pair, of_modality in zip(("audio", "visual"), pairs, features, strict=True):
        places = torch.searchsorted(rows, pair[:, 0].contiguous())
        points = of_modality[places, pair[:, 1]].numpy()
        labels = pair[:, 1].numpy()
        tsne = TSNE(
            perplexity=min(30.0, (len(points) - 1) / 3), init="pca", metric="cosine", random_state=0
        )
        neighbours = NearestNeighbors(
            n_neighbors=min(NEIGHBOURS, len(points) - 1), metric="cosine"
        ).fit(points)
        near = neighbours.kneighbors(return_distance=False)  # without the point itself
        found[f"{modality}_xy"] = tsne.fit_transform(points).astype(np.float32)
        found[f"{modality}_label"] = labels
        found[f"{modality}_purity"] = np.array((labels[near] == labels[:, None]).mean())
    return found
