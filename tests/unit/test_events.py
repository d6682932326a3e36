"""Decoding probabilities, and runs <-> segments."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avvp.errors import AvvpError
from avvp.events import (
    CLASSES,
    LABELS,
    SEGMENTS,
    Parsing,
    Run,
    check_parsing,
    decision_scores,
    decode,
    runs_to_segments,
    segments_to_runs,
)


def parsing(*, video=1.0, audio=1.0, visual=1.0, segment_audio=1.0, segment_visual=1.0) -> Parsing:
    """One video with the same probabilities for every class and second."""
    return Parsing(
        video=torch.full((1, CLASSES), video),
        audio=torch.full((1, CLASSES), audio),
        visual=torch.full((1, CLASSES), visual),
        segment_audio=torch.full((1, SEGMENTS, CLASSES), segment_audio),
        segment_visual=torch.full((1, SEGMENTS, CLASSES), segment_visual),
        extras={},
    )


def on(masks) -> tuple[bool, bool]:
    """Whether everything is on, by modality; fails if only some of it is."""
    assert all(mask.shape == (1, CLASSES, SEGMENTS) for mask in masks)
    assert all(mask.dtype == torch.bool for mask in masks)
    assert all(mask.all() == mask.any() for mask in masks)
    return tuple(bool(mask.all()) for mask in masks)


def test_there_are_25_different_labels():
    assert len(set(LABELS)) == CLASSES == 25
    assert SEGMENTS == 10


def test_a_score_at_the_threshold_is_on():
    below = float(np.nextafter(np.float32(0.5), np.float32(0)))
    assert on(decode(parsing(segment_audio=0.5, segment_visual=below))) == (True, False)
    for gate in ("video", "modality"):
        half = parsing(video=0.5, audio=0.5, visual=0.5)
        assert on(decode(half, gate=gate)) == (True, True)
        less = parsing(video=below, audio=below, visual=below)
        assert on(decode(less, gate=gate)) == (False, False)
        assert on(decode(half, gate=gate, threshold=0.51)) == (False, False)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"video": None}, "video of its parsing is NoneType; expected (1, 25)"),
        (
            {"audio": torch.zeros(1, 10, 25)},
            "audio of its parsing is (1, 10, 25); expected (1, 25)",
        ),
        ({"segment_visual": torch.zeros(1, 25, 10)}, "is (1, 25, 10); expected (1, 10, 25)"),
        (
            {"segment_audio": torch.full((1, 10, 25), -3.0)},
            "segment_audio of its parsing holds -3;",
        ),
        ({"visual": torch.full((1, 25), torch.nan)}, "visual of its parsing holds nan; expected"),
        ({"visual": torch.full((1, 25), torch.inf)}, "visual of its parsing holds inf; expected"),
        ({"audio": None}, "lacks a field; audio and segment_audio go together"),
        (dict.fromkeys(("audio", "visual", "segment_audio", "segment_visual")), "lacks a field"),
    ],
)
def test_what_is_no_parsing_is_told_by_its_field(wrong, sentence):
    check_parsing(parsing(video=1.5), videos=1, network="Net")
    check_parsing(parsing()._replace(audio=None, segment_audio=None), videos=1, network="Net")
    with pytest.raises(AvvpError, match=re.escape(sentence)):
        check_parsing(parsing()._replace(**wrong), videos=1, network="Net")


def test_a_network_that_returns_something_else_is_told_so():
    with pytest.raises(AvvpError, match=r"Net returns a Tensor; expected an avvp\.Parsing"):
        check_parsing(torch.zeros(1, 25), videos=1, network="Net")


def test_each_gate_asks_its_own_probability():
    only_audio = parsing(video=0.9, audio=0.9, visual=0.1)
    assert on(decode(only_audio, gate="video")) == (True, True)
    assert on(decode(only_audio, gate="modality")) == (True, False)
    absent = parsing(video=0.1, audio=0.9, visual=0.1)
    assert on(decode(absent, gate="video")) == (False, False)
    assert on(decode(absent, gate="modality")) == (True, False)
    assert on(decode(absent, gate=None)) == (True, True)


def test_the_video_gate_is_the_default():
    assert on(decode(parsing(video=0.1))) == (False, False)


def test_decode_puts_classes_before_seconds():
    scores = torch.zeros(1, SEGMENTS, CLASSES)
    scores[0, 3, 7] = 1.0
    audio, visual = decode(parsing()._replace(segment_audio=scores))
    assert audio.nonzero().tolist() == [[0, 7, 3]]
    assert visual.all()


def test_an_unknown_gate_is_refused():
    with pytest.raises(AvvpError, match="gate is 'both'; it must be"):
        decode(parsing(), gate="both")


@settings(deadline=None)
@given(arrays(bool, (2, CLASSES, SEGMENTS), elements=st.booleans(), fill=st.just(False)))
def test_runs_and_back(mask):
    runs = segments_to_runs(torch.from_numpy(mask))
    assert runs == sorted(runs)
    assert torch.equal(runs_to_segments(runs, videos=len(mask)), torch.from_numpy(mask))
    for run in runs:
        row = mask[run.video, run.label]
        assert run.onset < run.offset and row[run.onset : run.offset].all()
        assert run.onset == 0 or not row[run.onset - 1]
        assert run.offset == SEGMENTS or not row[run.offset]


def test_runs_by_hand():
    mask = torch.zeros(2, CLASSES, SEGMENTS, dtype=torch.bool)
    mask[0, 1, 0] = mask[0, 1, 9] = mask[1, 24, 2:5] = True
    assert segments_to_runs(mask) == [Run(0, 1, 0, 1), Run(0, 1, 9, 10), Run(1, 24, 2, 5)]
    assert segments_to_runs(torch.ones(1, 1, SEGMENTS)) == [Run(0, 0, 0, SEGMENTS)]
    assert segments_to_runs(torch.zeros(1, CLASSES, SEGMENTS)) == []


@pytest.mark.parametrize("gate", ["video", "modality", None])
def test_decoding_compares_one_score_with_a_threshold(gate):
    shapes = ((6, CLASSES),) * 3 + ((6, SEGMENTS, CLASSES),) * 2
    generator = torch.Generator().manual_seed(0)
    parsing = Parsing(*(torch.rand(shape, generator=generator) for shape in shapes), extras={})
    for threshold in (0.0, 0.3, 0.5, 0.9):
        decided = decode(parsing, threshold=threshold, gate=gate)
        scores = decision_scores(parsing, gate=gate)
        for mask, score in zip(decided, scores, strict=True):
            assert mask.equal(score >= threshold)


def test_scores_of_one_modality_and_an_unknown_gate():
    whole = parsing()
    heard = whole._replace(visual=None, segment_visual=None)
    assert decision_scores(heard, gate="video")[1] is None
    with pytest.raises(AvvpError, match="gate is 'door'"):
        decision_scores(whole, gate="door")
