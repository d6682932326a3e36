"""The arrays that a run keeps beside its ten numbers."""

import pytest
import torch

from avvp.curves import (
    BINS,
    OVERLAPS,
    THRESHOLDS,
    one_modality_only,
    order_in_time,
    overlap_curve,
    reliability,
    telling_videos,
    threshold_curve,
)
from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS, Parsing, decode
from avvp.metrics import METRICS, evaluate


@pytest.fixture
def truth() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return tuple(torch.rand(6, CLASSES, SEGMENTS, generator=random) < 0.1 for _ in range(2))


@pytest.fixture
def parsing(truth) -> Parsing:
    random = torch.Generator().manual_seed(2)
    audio, visual = (
        (0.6 * mask + 0.4 * torch.rand(mask.shape, generator=random)).transpose(1, 2)
        for mask in truth
    )
    heard, seen = audio.amax(1), visual.amax(1)
    return Parsing(torch.maximum(heard, seen), heard, seen, audio, visual, {})


def test_the_curve_over_thresholds_passes_through_the_ten_numbers(parsing, truth):
    curve = threshold_curve(parsing, *truth, gate="video")
    assert curve.shape == (len(THRESHOLDS), len(METRICS))
    ten = evaluate(*decode(parsing), *truth)
    assert curve[THRESHOLDS.index(0.5)].tolist() == pytest.approx(list(ten.values()), abs=1e-9)
    assert curve[THRESHOLDS.index(0.5), 0] == 100  # 0.6 and 0.4 are on the two sides of 0.5
    assert curve[0, 0] < 50


def test_the_gate_matters_to_the_curve(parsing, truth):
    closed = parsing._replace(video=torch.zeros_like(parsing.video))
    assert threshold_curve(closed, *truth, gate="video").max() < 100
    assert threshold_curve(closed, *truth, gate=None).max() == 100


def test_what_is_heard_only_and_seen_only_is_counted_by_hand():
    masks = torch.zeros(4, 1, CLASSES, SEGMENTS, dtype=torch.bool)
    audio, visual, true_audio, true_visual = masks
    true_audio[0, 3, :6] = True  # heard only in seconds 0 to 3
    true_visual[0, 3, 4:] = True  # seen only in seconds 6 to 9
    audio[0, 3, :5] = True
    visual[0, 3, 3:] = True  # so heard only in 0 to 2, seen only in 5 to 9
    found = one_modality_only(audio, visual, true_audio, true_visual)
    assert found.counts[0, 0, 3].tolist() == [3, 0, 1]
    assert found.counts[0, 1, 3].tolist() == [4, 1, 0]
    ten = found.ten()
    assert ten["segment/audio"] == pytest.approx(600 / 7)
    assert ten["segment/visual"] == pytest.approx(800 / 9)


def test_a_stricter_overlap_never_scores_higher(truth):
    audio, visual = (mask.clone() for mask in truth)
    audio[:, :, 3] = True
    curve = overlap_curve(audio, visual, *truth)
    assert curve.shape == (len(OVERLAPS), 5)
    assert (curve.diff(dim=0) <= 1e-9).all()
    assert curve[0, 0] > curve[-1, 0]
    middle = list(evaluate(audio, visual, *truth).values())[5:]
    assert curve[OVERLAPS.index(0.5)].tolist() == pytest.approx(middle, abs=1e-9)


def test_reliability_counts_means_and_shares():
    probability = torch.tensor([[0.01, 0.02], [0.98, 1.2]])
    bins = reliability(probability, torch.tensor([[False, True], [True, True]]))
    assert bins.shape == (BINS, 3)
    assert bins[0].tolist() == pytest.approx([2, 0.015, 0.5])
    assert bins[-1].tolist() == pytest.approx([2, 1.09, 1.0])
    assert bins[1:-1, 0].sum() == 0
    assert bins[1:-1, 1:].isnan().all()


def test_reliability_refuses_unequal_shapes():
    with pytest.raises(AvvpError, match=r"\(2, 3\) and truth \(3, 2\)"):
        reliability(torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.bool))


def test_order_in_time_looks_at_each_class_of_a_video_by_itself():
    truth = torch.zeros(2, CLASSES, SEGMENTS, dtype=torch.bool)
    truth[0, 3, :4] = truth[0, 7] = truth[1, 5, 9] = True  # the second is on all the time
    score = torch.zeros(2, CLASSES, SEGMENTS)
    assert order_in_time(score, truth).tolist() == [0.5, 0.5]
    score[0, 3] = torch.arange(10, 0, -1)  # higher where it is on
    score[1, 5, 9], score[1, 5, 0] = 0.3, 0.4  # one of nine seconds is above it
    assert order_in_time(score, truth).tolist() == pytest.approx([1, 8 / 9])
    # Levels do not matter, other classes and videos do not either.
    score[0, 3] -= 100
    score[1, 6] = 7
    assert order_in_time(score, truth).tolist() == pytest.approx([1, 8 / 9])


def test_order_in_time_refuses_unequal_shapes():
    with pytest.raises(AvvpError, match=r"\(2, 3\) and truth \(3, 2\)"):
        order_in_time(torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.bool))


def test_timelines_are_chosen_by_what_starts_or_ends_inside():
    audio = torch.zeros(4, CLASSES, SEGMENTS, dtype=torch.bool)
    visual = audio.clone()
    audio[0, 0] = True  # the whole video: tells nothing
    audio[1, 0, 2:5] = True
    audio[3, 0, 2:5] = visual[3, 1, :4] = True
    assert telling_videos(audio, visual, count=1).tolist() == [3]
    assert telling_videos(audio, visual, count=2).tolist() == [1, 3]
    assert telling_videos(audio, visual, count=9).tolist() == [0, 1, 2, 3]
