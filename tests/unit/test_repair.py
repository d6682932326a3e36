"""Every wrong second has one kind of error, and what the repair of a kind brings."""

import numpy as np
import pytest
import torch

from avvp.events import CLASSES, SEGMENTS
from avvp.metrics import METRICS, evaluate
from avvp.repair import (
    KINDS,
    REPAIRS,
    error_kinds,
    gains,
    repaired,
    repaired_scores,
    wrong_seconds,
)


def video(**events):
    """One video: ``audio=[(class, onset, offset), ...]``, likewise visual."""
    masks = []
    for modality in ("audio", "visual"):
        mask = torch.zeros(1, CLASSES, SEGMENTS, dtype=torch.bool)
        for label, onset, offset in events.get(modality, ()):
            mask[0, label, onset:offset] = True
        masks.append(mask)
    return tuple(masks)


TRUTH = video(audio=[(0, 0, 3), (2, 0, 5), (3, 0, 10), (4, 2, 4)], visual=[(3, 0, 5), (4, 2, 4)])
PREDICTED = video(
    audio=[(3, 0, 6), (4, 2, 4)],
    visual=[(1, 0, 10), (2, 2, 4), (4, 2, 4)],
)
"""Class 0 missed; 1 made up; 2 in the wrong modality; 3 too short, and not seen; 4 right."""


def random_masks(videos=40):
    generator = torch.Generator().manual_seed(0)
    rate = torch.rand(4, videos, CLASSES, 1, generator=generator) ** 6
    return tuple(torch.rand(4, videos, CLASSES, SEGMENTS, generator=generator) < rate)


def test_kinds_by_hand():
    kinds = error_kinds(*PREDICTED, *TRUTH)
    marked = {
        kind: [mask[0].nonzero().flatten().tolist() for mask in pair]
        for kind, pair in kinds.items()
    }
    assert marked == {"class": [[0, 1], [0, 1]], "modality": [[2], [2, 3]], "time": [[3, 4], [4]]}


def test_wrong_seconds_by_hand():
    assert wrong_seconds(*PREDICTED, *TRUTH).tolist() == [
        [[0, 3], [10, 0]],  # class 0 missed in the sound, class 1 made up in the image
        [[0, 5], [2, 5]],  # class 2 in both, class 3 not seen
        [[0, 4], [0, 0]],  # class 3 heard for 6 of 10 seconds
    ]


@pytest.mark.parametrize(
    ("repairs", "audio", "visual"),
    [
        ((), PREDICTED[0], PREDICTED[1]),
        (
            ("class",),
            video(audio=[(0, 0, 3), (3, 0, 6), (4, 2, 4)])[0],
            video(visual=[(2, 2, 4), (4, 2, 4)])[1],
        ),
        (
            ("modality",),
            video(audio=[(2, 0, 5), (3, 0, 6), (4, 2, 4)])[0],
            video(visual=[(1, 0, 10), (3, 0, 5), (4, 2, 4)])[1],
        ),
        (("time",), video(audio=[(3, 0, 10), (4, 2, 4)])[0], PREDICTED[1]),
        (KINDS, *TRUTH),
    ],
)
def test_repairs_by_hand(repairs, audio, visual):
    fixed = repaired(repairs, *PREDICTED, *TRUTH)
    assert torch.equal(fixed[0], audio)
    assert torch.equal(fixed[1], visual)


def test_every_wrong_second_has_one_kind():
    pred_audio, pred_visual, true_audio, true_visual = masks = random_masks()
    counts = wrong_seconds(*masks)
    assert (counts > 0).all()
    made_up = [int((pred_audio & ~true_audio).sum()), int((pred_visual & ~true_visual).sum())]
    missed = [int((true_audio & ~pred_audio).sum()), int((true_visual & ~pred_visual).sum())]
    assert counts.sum(axis=0).tolist() == np.transpose([made_up, missed]).tolist()
    kinds = error_kinds(*masks)
    for modality in range(2):
        assert torch.stack([kinds[kind][modality] for kind in KINDS]).sum(dim=0).max() == 1


def test_all_three_repairs_give_100_and_the_gains_add_up():
    masks = random_masks()
    scores = repaired_scores(*masks)
    assert REPAIRS[0] == () and set(REPAIRS[-1]) == set(KINDS) and len(set(REPAIRS)) == 8
    assert scores[0].tolist() == list(evaluate(*masks).values())
    assert (scores[-1] == 100).all()
    brought = gains(scores)
    assert brought.shape == (len(KINDS), len(METRICS))
    np.testing.assert_allclose(brought.sum(axis=0), 100 - scores[0])


def test_gains_are_averaged_over_the_order_of_repair():
    truth = video(audio=[(0, 0, 10)])
    scores = repaired_scores(*video(audio=[(0, 0, 5), (1, 0, 1)]), *truth)
    column = METRICS.index("segment/audio")
    # Half of the seconds give 2/3, the class that is not there 0. Alone the class is worth a third
    # and time a sixth; after the other, one half and a third.
    expected = dict.fromkeys(REPAIRS, 100 / 3)
    for repairs in REPAIRS:
        expected[repairs] = (
            100 * (2 / 3 if "time" not in repairs else 1) / (1 + ("class" not in repairs))
        )
    np.testing.assert_allclose(scores[:, column], list(expected.values()))
    np.testing.assert_allclose(gains(scores)[:, column], [100 * 5 / 12, 0, 100 / 4])


def test_a_method_of_one_modality_has_errors_of_one_modality():
    truth = video(audio=[(0, 0, 10), (2, 0, 10)], visual=[(1, 0, 10)])
    heard = video(audio=[(0, 0, 5), (1, 0, 10), (3, 0, 2)])[0]
    counts = wrong_seconds(heard, None, *truth)
    assert counts[:, 0].tolist() == [[2, 10], [10, 0], [0, 5]]
    assert not counts[:, 1].any()
    scores = repaired_scores(heard, None, *truth)
    assert scores[-1, METRICS.index("segment/audio")] == 100
    assert np.isnan(scores[:, METRICS.index("segment/visual")]).all()
    assert repaired(("class",), heard, None, *truth)[1] is None
