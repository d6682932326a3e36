"""Which events a picture of feature space shows, and what its purity counts."""

import numpy as np
import pytest
import torch
from torch import nn

from avvp.data import load
from avvp.embedding import EVENTS_A_CLASS, SHOWN_CLASSES, event_embedding, shown_events
from avvp.models import build
from avvp.training import seeded


@pytest.fixture(scope="module")
def videos():
    return load("smoke", "test")


class Sorted(nn.Module):
    """Its features say the class and nothing else, or nothing at all."""

    def __init__(self, *, telling: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.telling = telling

    def event_features(self, audio, visual_2d, visual_3d, heard, seen):
        own = torch.eye(25) if self.telling else torch.ones(25, 25)
        g = torch.Generator().manual_seed(0)
        noise = 0.01 * torch.randn(len(audio), 25, 25, generator=g)
        return own + noise, own - noise


def test_shown_events_are_annotated_and_of_the_commonest_classes(videos):
    classes, heard, seen = shown_events(videos.true_audio, videos.true_visual)
    assert len(classes) == SHOWN_CLASSES
    for pairs, truth in ((heard, videos.true_audio), (seen, videos.true_visual)):
        assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
        for video, label in pairs.tolist():
            assert truth[video, label].any()
            assert label in classes
        assert pairs[:, 1].bincount().max() <= EVENTS_A_CLASS
    present = torch.stack([x.any(-1).sum(0) for x in (videos.true_audio, videos.true_visual)])
    least = present.amin(dim=0)
    others = [c for c in range(25) if c not in classes]
    assert least[classes].min() >= least[others].max()


def test_purity_is_one_where_features_tell_the_class_and_lower_where_they_do_not(videos):
    _, *pairs = shown_events(videos.true_audio, videos.true_visual)
    telling, silent = (event_embedding(Sorted(telling=x), videos) for x in (True, False))
    for name, pair in zip(("audio", "visual"), pairs, strict=True):
        counts = pair[:, 1].bincount()
        # Of a rare class all its others are near, and then some that are not.
        neighbours = min(10, len(pair) - 1)
        most = sum(n * min(n - 1, neighbours) / neighbours for n in counts.tolist()) / len(pair)
        assert telling[f"{name}_purity"] == pytest.approx(most)
        assert silent[f"{name}_purity"] < most
        assert telling[f"{name}_xy"].shape == (len(pair), 2)
        assert telling[f"{name}_label"].tolist() == pair[:, 1].tolist()


@pytest.mark.parametrize(("model", "options"), [("han", {}), ("mgn", {"depths": (1, 1, 1)})])
def test_networks_embed_events_the_same_way_each_time(model, options, videos):
    network = seeded(1, lambda: build(model, **options)).train()
    first, second = (event_embedding(network, videos) for _ in range(2))
    assert network.training
    for name, value in first.items():
        assert np.array_equal(value, second[name])
        assert np.isfinite(value).all()


def test_an_event_of_han_is_the_mean_of_its_seconds(videos):
    network = build("han").eval()
    batch = videos.rows(torch.arange(4))
    with torch.no_grad():
        _, _, a_hat, v_hat, _ = network.features(*batch[1:4])
        masks = videos.true_audio[:4], videos.true_visual[:4]
        for mask, x, features in zip(
            masks, (a_hat, v_hat), network.event_features(*batch[1:4], *masks), strict=True
        ):
            for video, label in mask.any(-1).nonzero().tolist():
                mean = x[video, mask[video, label]].mean(dim=0)
                assert features[video, label].allclose(mean, atol=1e-5)
