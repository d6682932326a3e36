"""Properties of the metric, and its agreement with plain loops."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS
from avvp.metrics import (
    LEVELS,
    METRICS,
    MODALITIES,
    count,
    evaluate,
    evaluate_videos,
    f_score,
)
from benchmarks.naive_metrics import naive_event_count, naive_scores, naive_segment_count

USED_CLASSES = 3


def masks_from_codes(codes: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Ten-bit numbers (K, N, 3) -> K masks (N, C, T); the other classes stay empty."""
    on = (codes[..., None] >> np.arange(SEGMENTS)) & 1
    masks = np.zeros((*codes.shape[:2], CLASSES, SEGMENTS), dtype=bool)
    masks[:, :, :USED_CLASSES] = on
    return tuple(torch.from_numpy(mask) for mask in masks)


def four_masks(max_videos: int = 4) -> st.SearchStrategy:
    """pred_audio, pred_visual, true_audio, true_visual of a few videos."""
    shape = st.integers(1, max_videos).map(lambda videos: (4, videos, USED_CLASSES))
    return arrays(np.int64, shape, elements=st.integers(0, 2**SEGMENTS - 1)).map(masks_from_codes)


def mask_of(*runs: tuple[int, int], label: int = 0) -> torch.Tensor:
    """One video with runs (onset, offset) of one class."""
    mask = torch.zeros(1, CLASSES, SEGMENTS, dtype=torch.bool)
    for onset, offset in runs:
        mask[0, label, onset:offset] = True
    return mask


EMPTY = mask_of()


def event_count(predicted: torch.Tensor, true: torch.Tensor, **options) -> list[int]:
    """TP, FP, FN of audio events of class 0 in one video."""
    return count(predicted, EMPTY, true, EMPTY, **options)[1, 0, 0, 0].tolist()


@settings(deadline=None)
@given(four_masks(), st.sampled_from([Fraction(n, 10) for n in range(1, 11)]))
def test_agrees_with_plain_loops(masks, event_iou):
    ours = evaluate_videos(*masks, event_iou=float(event_iou)).per_video.numpy()
    loops = naive_scores(*(mask.numpy() for mask in masks), event_iou=event_iou)
    np.testing.assert_allclose(ours, loops, rtol=0, atol=1e-9)


def test_every_pair_of_masks_of_six_seconds():
    codes = np.arange(2**6)
    on = ((codes[:, None] >> np.arange(SEGMENTS)) & 1).astype(bool)
    predicted, true = np.repeat(on, 64, axis=0), np.tile(on, (64, 1))
    pairs = -(-len(predicted) // CLASSES) * CLASSES
    padding = ((0, pairs - len(predicted)), (0, 0))
    p, t = (np.pad(m, padding).reshape(-1, CLASSES, SEGMENTS) for m in (predicted, true))
    counts = count(p, np.zeros_like(p), t, np.zeros_like(t))[:, 0].flatten(1, 2)
    for ours, naive in zip(counts, (naive_segment_count, naive_event_count), strict=True):
        expected = [naive(a, b) for a, b in zip(predicted, true, strict=True)]
        assert ours[: len(predicted)].tolist() == [list(row) for row in expected]


@settings(deadline=None)
@given(four_masks(), st.randoms(use_true_random=False))
def test_a_permutation_of_videos_permutes_the_scores(masks, random):
    order = list(range(len(masks[0])))
    random.shuffle(order)
    before, after = evaluate_videos(*masks), evaluate_videos(*(mask[order] for mask in masks))
    assert torch.equal(after.per_video, before.per_video[order])
    assert torch.equal(after.counts, before.counts)


@settings(deadline=None)
@given(four_masks(), st.permutations(range(CLASSES)))
def test_a_permutation_of_classes_permutes_the_counts(masks, order):
    before, after = evaluate_videos(*masks), evaluate_videos(*(mask[:, order] for mask in masks))
    torch.testing.assert_close(after.per_video, before.per_video, rtol=0, atol=1e-9)
    assert torch.equal(after.counts, before.counts[:, :, order])


@settings(deadline=None)
@given(four_masks())
def test_time_may_run_backwards(masks):
    before, after = evaluate_videos(*masks), evaluate_videos(*(mask.flip(-1) for mask in masks))
    assert torch.equal(after.per_video, before.per_video)


@settings(deadline=None)
@given(four_masks())
def test_the_truth_scores_100(masks):
    _, _, audio, visual = masks
    assert set(evaluate(audio, visual, audio, visual).values()) == {100.0}


@settings(deadline=None)
@given(four_masks())
def test_audio_and_visual_are_symmetric(masks):
    pred_audio, pred_visual, true_audio, true_visual = masks
    here = evaluate(pred_audio, pred_visual, true_audio, true_visual)
    there = evaluate(pred_visual, pred_audio, true_visual, true_audio)
    exchanged = {"audio": "visual", "visual": "audio"}
    for key, value in here.items():
        level, kind = key.split("/")
        assert there[f"{level}/{exchanged.get(kind, kind)}"] == pytest.approx(value, abs=1e-9)


@settings(deadline=None)
@given(four_masks(), st.sampled_from([0.5, 0.6, 1.0]))
def test_from_one_half_on_events_match_one_to_one(masks, event_iou):
    """Two runs that each fill half of a third one and do not touch would not fit into it."""
    pred_audio, pred_visual, true_audio, true_visual = masks
    here = count(pred_audio, pred_visual, true_audio, true_visual, event_iou=event_iou)
    there = count(true_audio, true_visual, pred_audio, pred_visual, event_iou=event_iou)
    assert torch.equal(here, there[..., [0, 2, 1]])


def test_below_one_half_several_runs_may_match_one():
    whole, halves = mask_of((0, 10)), mask_of((0, 5), (6, 10))
    assert event_count(halves, whole) == [1, 1, 0]
    assert event_count(halves, whole, event_iou=0.4) == [2, 0, 0]
    assert event_count(whole, halves, event_iou=0.4) == [1, 0, 0]


@settings(deadline=None)
@given(four_masks(max_videos=1), st.data())
def test_adding_a_true_second_never_lowers_the_segment_scores_of_its_modality(masks, data):
    pred_audio, pred_visual, true_audio, true_visual = masks
    missed = (true_audio & ~pred_audio).nonzero().tolist()
    assume(missed)
    better = pred_audio.clone()
    better[tuple(data.draw(st.sampled_from(missed)))] = True
    before = evaluate(pred_audio, pred_visual, true_audio, true_visual)
    after = evaluate(better, pred_visual, true_audio, true_visual)
    assert after["segment/audio"] > before["segment/audio"]
    assert after["segment/event_av"] > before["segment/event_av"]
    assert after["segment/visual"] == before["segment/visual"]


@settings(deadline=None)
@given(four_masks(max_videos=1), st.data())
def test_adding_an_audio_visual_second_to_both_never_lowers_any_segment_score(masks, data):
    pred_audio, pred_visual, true_audio, true_visual = masks
    missed = (true_audio & true_visual & ~(pred_audio & pred_visual)).nonzero().tolist()
    assume(missed)
    place = tuple(data.draw(st.sampled_from(missed)))
    before = evaluate(pred_audio, pred_visual, true_audio, true_visual)
    pred_audio[place] = pred_visual[place] = True
    after = evaluate(pred_audio, pred_visual, true_audio, true_visual)
    for key in METRICS[:5]:
        assert after[key] >= before[key]
    assert after["segment/type_av"] > before["segment/type_av"]


@settings(deadline=None)
@given(four_masks(max_videos=1), st.data())
def test_adding_a_whole_true_event_apart_from_the_others_raises_the_event_score(masks, data):
    pred_audio, pred_visual, true_audio, true_visual = masks
    onset = data.draw(st.integers(0, SEGMENTS - 1))
    offset = data.draw(st.integers(onset + 1, SEGMENTS))
    around = slice(max(onset - 1, 0), offset + 1)
    pred_audio[0, 0, around] = False
    true_audio[0, 0, around] = False
    true_audio[0, 0, onset:offset] = True
    before = evaluate(pred_audio, pred_visual, true_audio, true_visual)
    pred_audio[0, 0, onset:offset] = True
    after = evaluate(pred_audio, pred_visual, true_audio, true_visual)
    assert after["event/audio"] > before["event/audio"]
    assert after["event/event_av"] > before["event/event_av"]


def test_a_true_second_can_lower_the_audio_visual_and_the_event_score():
    """Why the three tests above do not claim more."""
    heard, seen, predicted_seen = mask_of((3, 6)), mask_of((3, 5)), mask_of((3, 6))
    # Second 5 is heard, and wrongly predicted to be seen: hearing it makes a false positive.
    deaf = evaluate(mask_of((3, 5)), predicted_seen, heard, seen)
    right = evaluate(heard, predicted_seen, heard, seen)
    assert right["segment/audio"] > deaf["segment/audio"]
    assert right["segment/audio_visual"] < deaf["segment/audio_visual"] == 100
    # Second 5 joins a good run to a bad one: 3..5 and 6..10 become 3..10, with IoU 3 / 7.
    assert event_count(mask_of((3, 5), (6, 10)), heard) == [1, 1, 0]
    assert event_count(mask_of((3, 10)), heard) == [0, 1, 1]


@settings(deadline=None)
@given(four_masks())
def test_counts_add_up(masks):
    counts = count(*masks)
    assert counts.shape == (len(LEVELS), len(MODALITIES), len(masks[0]), CLASSES, 3)
    assert torch.equal(counts[:, 3], counts[:, 0] + counts[:, 1])
    hits, false_positives, false_negatives = counts[0, 0].unbind(-1)
    assert torch.equal(hits + false_positives, masks[0].sum(-1))
    assert torch.equal(hits + false_negatives, masks[2].sum(-1))
    evaluation = evaluate_videos(*masks)
    assert torch.equal(evaluation.counts, counts.sum(2))
    assert evaluation.per_video.shape == (len(masks[0]), len(METRICS))
    ten = evaluate(*masks)
    assert evaluation.ten() == ten
    for level in LEVELS:
        three = [ten[f"{level}/{kind}"] for kind in ("audio", "visual", "audio_visual")]
        assert ten[f"{level}/type_av"] == pytest.approx(sum(three) / 3, abs=1e-9)


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [
        pytest.param([], [], [0, 0, 0], id="nothing"),
        pytest.param([(0, 10)], [], [0, 1, 0], id="false alarm"),
        pytest.param([], [(0, 10)], [0, 0, 1], id="miss"),
        pytest.param([(0, 5)], [(0, 10)], [1, 0, 0], id="IoU exactly 1/2"),
        pytest.param([(0, 4)], [(0, 9)], [0, 1, 1], id="IoU 4/9"),
        pytest.param([(1, 4)], [(2, 5)], [1, 0, 0], id="IoU 2/4, shifted"),
        pytest.param([(1, 3)], [(2, 4)], [0, 1, 1], id="IoU 1/3, shifted"),
        pytest.param([(0, 2)], [(2, 4)], [0, 1, 1], id="touching, no overlap"),
        pytest.param([(0, 1), (9, 10)], [(0, 1), (9, 10)], [2, 0, 0], id="first and last second"),
        pytest.param([(0, 10)], [(0, 5), (6, 10)], [1, 0, 1], id="one over two"),
    ],
)
def test_event_counts_by_hand(predicted, true, expected):
    assert event_count(mask_of(*predicted), mask_of(*true)) == expected


@pytest.mark.parametrize(("event_iou", "hits"), [(0.3, 1), (0.3001, 0), (1e-9, 1), (1.0, 0)])
def test_the_iou_threshold_is_inclusive_and_exact(event_iou, hits):
    assert event_count(mask_of((0, 3)), mask_of((0, 10)), event_iou=event_iou)[0] == hits


def test_f_score_of_nothing_is_1():
    counts = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 2], [1, 1, 1]])
    assert f_score(counts).tolist() == [1.0, 0.0, 0.0, 0.5]


def test_counting_stays_on_the_device_of_the_masks():
    """Whatever is made on the way would land on the default device if none were named."""
    masks = (mask_of((0, 5), (6, 10)), mask_of((2, 3)), mask_of((0, 9)), mask_of((1, 3)))
    expected = count(*masks)
    with torch.device("meta"):
        assert torch.equal(count(*masks), expected)


def test_numpy_views_are_read():
    true = np.zeros((2, CLASSES, SEGMENTS), dtype=bool)
    true[0, 3, 2:5] = True
    true.flags.writeable = False
    backwards = true[::-1]
    assert evaluate(true, true, backwards, backwards)["segment/audio"] == 0
    assert evaluate(backwards, backwards, backwards, backwards)["event/type_av"] == 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_tensors_score_the_same():
    codes = np.random.default_rng(0).integers(0, 2**SEGMENTS, (4, 50, USED_CLASSES))
    masks = masks_from_codes(codes)
    here, there = evaluate_videos(*masks), evaluate_videos(*(mask.cuda() for mask in masks))
    assert torch.equal(here.per_video, there.per_video)
    assert torch.equal(here.counts, there.counts)
    mixed = evaluate_videos(masks[0].cuda(), masks[1].cuda(), masks[2], masks[3])
    assert torch.equal(here.counts, mixed.counts)


@pytest.mark.parametrize(
    ("position", "bad", "words"),
    [
        (0, EMPTY.float(), "pred_audio is torch.float32; decisions are bool"),
        (3, EMPTY.numpy().astype(np.uint8), "true_visual is uint8; decisions are bool"),
        (1, [[True]], "pred_visual is list; decisions are bool"),
        (0, EMPTY.transpose(1, 2), r"pred_audio has shape \(1, 10, 25\); it must be"),
        (2, EMPTY[0], r"true_audio has shape \(25, 10\); it must be"),
        (2, EMPTY.repeat(2, 1, 1), "true_audio has 2 videos and pred_audio 1"),
    ],
)
def test_bad_masks_are_named(position, bad, words):
    masks = [EMPTY, EMPTY, EMPTY, EMPTY]
    masks[position] = bad
    with pytest.raises(AvvpError, match=words):
        evaluate(*masks)


def test_no_videos_have_no_score():
    with pytest.raises(AvvpError, match="no videos to score"):
        evaluate(*[EMPTY[:0]] * 4)


@pytest.mark.parametrize("event_iou", [0.0, -0.5, 1.5, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(event_iou):
    with pytest.raises(AvvpError, match="event_iou is"):
        count(EMPTY, EMPTY, EMPTY, EMPTY, event_iou=event_iou)
