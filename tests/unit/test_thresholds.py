"""Tuned thresholds: the best there are, by brute force, and of the split they are given alone."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from avvp.errors import AvvpError
from avvp.events import Thresholds, decode, of_one_modality
from avvp.metrics import evaluate
from avvp.thresholds import best_of_each_class, best_pair


def drawn(videos: int, classes: int, seed: int, *, steps: int = 0):
    g = torch.Generator().manual_seed(seed)
    probability = torch.rand(videos, classes, generator=g)
    if steps:  # many equal ones
        probability = (probability * steps).round() / steps
    truth = torch.rand(videos, classes, generator=g) < 0.3 + 0.4 * probability
    return probability, truth


def micro(probability, truth, thresholds) -> float:
    on = (probability >= thresholds).numpy()
    return f1_score(truth.numpy(), on, average="micro", zero_division=0)


@pytest.mark.parametrize("steps", [0, 4])
@pytest.mark.parametrize("seed", range(5))
def test_no_thresholds_have_a_higher_micro_f1(seed, steps):
    probability, truth = drawn(7, 3, seed, steps=steps)
    found = best_of_each_class(probability, truth)
    grids = [torch.cat((column.unique(), torch.tensor([1.1]))) for column in probability.T]
    best = max(micro(probability, truth, torch.stack(cuts)) for cuts in product(*grids))
    assert micro(probability, truth, found) == pytest.approx(best)


def test_class_thresholds_of_a_small_case():
    probability = torch.tensor([[0.9, 0.6], [0.8, 0.2], [0.3, 0.4], [0.1, 0.5]])
    truth = torch.tensor([[1, 0], [1, 0], [0, 0], [0, 0]]).bool()
    # The first class is cut between 0.8 and 0.3; the second, never on, above its highest.
    assert best_of_each_class(probability, truth).tolist() == pytest.approx([0.55, 0.8])


def test_the_cut_lies_between_neighbours_that_hardly_differ():
    high = np.float32(0.5)
    low = np.nextafter(high, np.float32(0))
    probability, truth = torch.tensor([[high], [low]]), torch.tensor([[True], [False]])
    cut = best_of_each_class(probability, truth)
    assert (probability >= cut).flatten().tolist() == [True, False]


def test_class_thresholds_refuse_what_they_cannot_be_tuned_on():
    with pytest.raises(AvvpError, match="nothing to tune a threshold on"):
        best_of_each_class(torch.rand(3, 2), torch.zeros(3, 2).bool())
    with pytest.raises(AvvpError, match=r"shape \(3, 2\) and truth \(2, 3\)"):
        best_of_each_class(torch.rand(3, 2), torch.zeros(2, 3).bool())


def test_no_pair_has_a_higher_segment_score():
    g = torch.Generator().manual_seed(4)
    video, segment = torch.rand(12, 25, generator=g), torch.rand(12, 10, 25, generator=g)
    truth = torch.rand(12, 25, 10, generator=g) < 0.2
    candidates = (0.1, 0.3, 0.6, 0.8)

    def score(pair) -> float:
        parsing = of_one_modality("visual", video, segment)
        _, seen = decode(parsing, threshold=Thresholds(*pair), gate="modality")
        return evaluate(None, seen, truth, truth)["segment/visual"]

    found = best_pair(video, segment, truth, candidates=candidates)
    best = max(map(score, product(candidates, repeat=2)))
    assert score(found) == pytest.approx(best)


def test_of_equal_pairs_the_one_in_the_middle_is_taken():
    truth = torch.zeros(2, 25, 10).bool()
    truth[:, 3] = True
    video = truth.any(-1).float()
    assert best_pair(video, truth.transpose(1, 2).float(), truth) == (0.5, 0.5)


def test_decoding_takes_one_threshold_a_class():
    segment = torch.full((1, 10, 25), 0.4)
    cuts = torch.full((25,), 0.5)
    cuts[7] = 0.4
    heard, seen = decode(
        of_one_modality("audio", segment[:, 0], segment), threshold=Thresholds(0.0, cuts)
    )
    assert seen is None
    assert heard[0, 7].all()
    assert heard.sum() == 10
    heard, _ = decode(
        of_one_modality("audio", segment[:, 0], segment), threshold=Thresholds(cuts, 0.0)
    )
    assert heard.sum() == 10
