"""Events that last as long as the clip are scored apart from the others."""

import numpy as np
import pytest
import torch

from avvp.event_lengths import LENGTHS, in_all_seconds, scores_by_length
from avvp.metrics import METRICS, evaluate
from tests.unit.test_repair import random_masks, video


def scores(predicted, truth):
    """Length -> metric -> score."""
    table = scores_by_length(*predicted, *truth)
    return {
        length: dict(zip(METRICS, row, strict=True))
        for length, row in zip(LENGTHS, table.tolist(), strict=True)
    }


def together(*videos):
    return tuple(torch.cat(masks) for masks in zip(*videos, strict=True))


def test_scores_by_hand():
    truth = together(
        video(audio=[(0, 0, 10), (1, 0, 4)], visual=[(0, 5, 10)]),
        video(audio=[(2, 0, 10)], visual=[(2, 0, 10)]),
    )
    predicted = together(
        video(audio=[(0, 0, 5), (1, 0, 10), (3, 0, 10)], visual=[(0, 0, 10)]),
        video(audio=[(2, 0, 10)], visual=[(1, 0, 10)]),
    )
    found = scores(predicted, truth)
    shorter, whole = found["shorter"], found["whole"]
    # Class 1 is heard in 4 s and predicted in 10; class 3 is not annotated and costs nothing. The
    # second video has no short event and does not count.
    assert shorter["segment/audio"] == pytest.approx(100 * 8 / 14)
    assert shorter["segment/visual"] == pytest.approx(100 * 10 / 15)
    assert shorter["segment/audio_visual"] == 0  # heard and seen from 5 s on, predicted until 5 s
    assert shorter["segment/type_av"] == pytest.approx(100 * (8 / 14 + 10 / 15) / 3)
    # Event@AV: class 0 by its image, class 1 by its sound.
    assert shorter["segment/event_av"] == pytest.approx(100 * (8 / 14 + 10 / 15) / 2)
    assert shorter["event/audio"] == 0  # 4 s of 10
    assert shorter["event/visual"] == 100  # 5 s of 10 is enough
    assert whole["segment/audio"] == pytest.approx(100 * (10 / 15 + 1) / 2)
    assert whole["segment/visual"] == 0
    assert whole["segment/event_av"] == pytest.approx(100 * (10 / 15 + 20 / 30) / 2)
    assert whole["event/audio"] == 100


def test_the_truth_scores_100_and_all_ten_seconds_do_where_events_last_as_long():
    *_, audio, visual = random_masks()
    audio[::3] = audio[::3].any(dim=-1, keepdim=True)
    visual[::2] = visual[::2].any(dim=-1, keepdim=True)
    truth = audio, visual
    assert set(scores_by_length(*truth, *truth).ravel()) == {100.0}
    shorter, whole = scores_by_length(*map(in_all_seconds, truth), *truth)
    single = [
        METRICS.index(f"{level}/{m}")
        for level in ("segment", "event")
        for m in ("audio", "visual", "event_av")
    ]
    assert (whole[single] == 100).all()
    assert (shorter < 100).all()


def test_in_all_seconds_by_hand():
    audio, visual = video(audio=[(0, 3, 4), (2, 0, 1), (2, 8, 9)])
    assert in_all_seconds(audio).all(dim=-1)[0].nonzero().flatten().tolist() == [0, 2]
    assert in_all_seconds(audio).sum() == 20
    assert not in_all_seconds(visual).any()
    assert in_all_seconds(None) is None


def test_with_events_of_one_length_in_every_video_it_is_the_benchmark():
    truth = together(*(video(audio=[(n, 0, 4)], visual=[(n, 0, 5)]) for n in range(5)))
    predicted = together(*(video(audio=[(n, 0, n)], visual=[(n, 1, 7)]) for n in range(5)))
    shorter, whole = scores_by_length(*predicted, *truth)
    np.testing.assert_allclose(shorter, list(evaluate(*predicted, *truth).values()))
    assert np.isnan(whole).all()


def test_a_modality_that_is_not_parsed_has_no_score():
    truth = video(audio=[(0, 0, 4)], visual=[(0, 0, 4)])
    found = scores((None, truth[1]), truth)["shorter"]
    assert {name for name, score in found.items() if not np.isnan(score)} == {
        "segment/visual",
        "event/visual",
    }
