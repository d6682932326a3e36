"""MA's exchange and refinement: who is swapped with whom, and every strict comparison."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.events import Parsing
from avvp.parity import open_golden
from avvp.refinement import (
    CUTS,
    Refinement,
    class_accuracies,
    draw_partners,
    exchanged,
    refine,
    refined_targets,
    removals,
    unreliable_labels,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def labels(*rows):
    """(N, 25) from lists of class numbers."""
    weak = torch.zeros(len(rows), 25, dtype=torch.bool)
    for row, classes in enumerate(rows):
        weak[row, list(classes)] = True
    return weak


def random_labels(videos, seed=0):
    weak = torch.rand(videos, 25, generator=generator(seed)) < 0.08
    weak[torch.arange(videos), torch.arange(videos) % 25] = True
    return weak


# Partners


def test_partners_share_no_label():
    weak = random_labels(500)
    partners = draw_partners(weak, generator=generator(), partners=3)
    assert partners.shape == (500, 3)
    assert partners.dtype == torch.int64
    assert not (weak[:, None] & weak[partners]).any()
    assert (partners != torch.arange(500)[:, None]).all()


def test_partners_follow_from_the_generator():
    weak = random_labels(200)
    one, same, other = (draw_partners(weak, generator=generator(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_every_disjoint_video_is_as_likely():
    weak = labels([0], [0, 1], [1], [2], [2], [1, 2], [3])
    partners = draw_partners(weak, generator=generator(), partners=20_000)
    for row in range(len(weak)):
        disjoint = ~(weak & weak[row]).any(dim=1)
        share = torch.bincount(partners[row], minlength=len(weak)) / 20_000
        assert (share[~disjoint] == 0).all()
        expected = 1 / disjoint.sum()
        assert (share[disjoint] - expected).abs().max() < 0.02


def test_the_only_disjoint_video_is_found():
    weak = labels(*[[0]] * 50, [1])
    partners = draw_partners(weak, generator=generator(), partners=2)
    assert (partners[:50] == 50).all()
    assert (partners[50] < 50).all()


@pytest.mark.parametrize(
    ("weak", "count", "sentence"),
    [
        (labels([0], [1], [0, 1]), 1, "video 2 shares a label with every other of the 3 videos"),
        (labels([0], [0, 3]), 1, r"video 0 shares a label .* \(2 such videos\)"),
        (labels([0], [1]), 0, "partners is 0; it must be at least 1"),
    ],
)
def test_impossible_partners_are_one_sentence(weak, count, sentence):
    with pytest.raises(AvvpError, match=sentence):
        draw_partners(weak, generator=generator(), partners=count)


# Exchange


class Recorder(nn.Module):
    """Its audio probability is 100 x the sound's mean + the image's; the visual one the other way.

    So that a result tells which tracks went in.
    """

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls = []

    def forward(self, audio, visual_2d, visual_3d):
        self.calls.append((len(audio), self.training, torch.is_grad_enabled()))
        a, v = audio.mean((1, 2)), visual_2d.mean((1, 2))
        assert torch.equal(v, visual_3d.mean((1, 2)))
        heard, seen = (x[:, None].expand(-1, 25) * self.weight for x in (100 * a + v, a + 100 * v))
        segments = heard[:, None].expand(-1, 10, -1)
        return Parsing(heard, heard, seen, segments, segments, {})


def numbered(count):
    number = torch.arange(count).float()[:, None, None]
    return Videos(
        ids=tuple(f"v{i}" for i in range(count)),
        audio=number.expand(-1, 10, 128),
        visual_2d=number.expand(-1, 10, 2048),
        visual_3d=number.expand(-1, 10, 512),
        weak=labels(*([i % 25] for i in range(count))),
        true_audio=None,
        true_visual=None,
        fingerprint="numbers",
    )


def test_each_track_is_replaced_in_turn():
    partners = torch.tensor([[3], [4], [0], [1], [2]])
    own, other = torch.arange(5).float(), partners[:, 0].float()
    done = exchanged(Recorder(), numbered(5), partners, batch_size=2)
    assert done.a.shape == (5, 25)
    expected = (
        (100 * own + own, own + 100 * own),
        (100 * own + other, own + 100 * other),  # the partner's image
        (100 * other + own, other + 100 * own),  # the partner's sound
    )
    for heard, seen, (a, v) in zip(done[::2], done[1::2], expected, strict=True):
        assert torch.equal(heard[:, 0], a)
        assert torch.equal(seen[:, 0], v)
    assert done._fields == ("a", "v", "a_v", "v_v", "a_a", "v_a")


def test_several_partners_are_averaged():
    partners = torch.tensor([[1, 2], [2, 0], [0, 1]])
    both = exchanged(Recorder(), numbered(3), partners)
    one, two = (exchanged(Recorder(), numbered(3), partners[:, k : k + 1]) for k in (0, 1))
    for mean, first, second in zip(both, one, two, strict=True):
        assert mean.allclose((first + second) / 2)


def test_exchange_runs_whole_batches_without_training():
    network = Recorder().train()
    exchanged(network, numbered(5), torch.zeros(5, 1, dtype=torch.long), batch_size=4)
    assert sorted(network.calls) == [(1, False, False)] * 3 + [(4, False, False)] * 3
    assert network.training


def test_partners_of_another_split_are_one_sentence():
    with pytest.raises(AvvpError, match=r"partners has shape \(4, 1\); expected \(5, K\)"):
        exchanged(Recorder(), numbered(5), torch.zeros(4, 1, dtype=torch.long))


# Accuracy


def test_accuracy_counts_both_kinds_of_right_answers_strictly():
    weak = labels([0], [0], [1], [1])
    probability = torch.zeros(4, 25)
    probability[:, 0] = torch.tensor([0.9, 0.5, 0.1, 0.51])  # right, a miss, right, wrong
    accuracy = class_accuracies(probability, weak)
    assert accuracy[0] == 0.5
    assert accuracy[1] == 0.5
    assert (accuracy[2:] == 1).all()


# The rule


def unlabelled(**changes):
    """Arguments of ``unreliable_labels`` for one video that has every class: nothing is dropped."""
    one = torch.ones(1, 25)
    accuracy = torch.full((25,), 0.75)
    return {
        **dict.fromkeys(("a_v", "v_v", "a_a", "v_a"), one),
        "weak": torch.ones(1, 25, dtype=torch.bool),
        "accuracy_audio": accuracy,
        "accuracy_visual": accuracy,
        **changes,
    }


def dropped(**changes):
    return unreliable_labels(**unlabelled(**changes))


def test_nothing_is_dropped_where_everything_is_found():
    audio, visual = dropped()
    assert audio.shape == visual.shape == (1, 25)
    assert audio.dtype == visual.dtype == torch.bool
    assert not audio.any()
    assert not visual.any()


def test_audio_is_tested_with_a_replaced_image_and_visual_with_a_replaced_sound():
    nothing = torch.zeros(1, 25)
    audio, visual = dropped(a_v=nothing, v_v=nothing)
    assert audio.all()
    assert not visual.any()
    audio, visual = dropped(a_a=nothing, v_a=nothing)
    assert visual.all()
    assert not audio.any()


@pytest.mark.parametrize("found", ["a_v", "v_v", "a_a", "v_a"])
def test_one_confident_modality_keeps_the_label(found):
    lost = {name: torch.zeros(1, 25) for name in ("a_v", "v_v", "a_a", "v_a")}
    audio, visual = dropped(**{**lost, found: torch.full((1, 25), 0.5)})
    assert audio.all() == (found not in ("a_v", "v_v"))
    assert visual.all() == (found not in ("a_a", "v_a"))


@pytest.mark.parametrize("names", [("a_v", "v_v"), ("a_a", "v_a")])
def test_a_quotient_of_exactly_the_threshold_keeps_the_label(names):
    # Two classes: an error of 1/2, the worst, and one of 1/4, half as large.
    accuracy = torch.full((25,), 0.75)
    accuracy[0] = 0.5
    below = torch.nextafter(torch.tensor(0.5), torch.tensor(0.0)).item()
    for value, of_first, of_others in (
        (0.5, False, False),
        (below, True, False),
        (0.25, True, False),
        (below / 2, True, True),
    ):
        drop = dropped(
            **{name: torch.full((1, 25), value) for name in names},
            accuracy_audio=accuracy,
            accuracy_visual=accuracy,
        )["a_a" in names]
        assert drop[0, 0] == of_first, value
        assert (drop[0, 1:] == of_others).all(), value


def test_the_worst_class_is_that_of_the_same_modality():
    """A quarter of error is the worst of audio, but half of the worst of visual."""
    visual = torch.full((25,), 0.75)
    visual[0] = 0.5
    low = torch.full((1, 25), 0.3)
    drop_audio, drop_visual = dropped(a_v=low, v_v=low, a_a=low, v_a=low, accuracy_visual=visual)
    assert drop_audio.all()
    assert drop_visual[0, 0]
    assert not drop_visual[0, 1:].any()


def test_a_class_without_error_loses_nothing():
    nothing, accuracy = torch.zeros(1, 25), torch.full((25,), 0.75)
    accuracy[3] = 1.0
    tiny = torch.full((1, 25), 1e-30)
    for low in (nothing, tiny):
        both = dropped(
            a_v=low, v_v=low, a_a=low, v_a=low, accuracy_audio=accuracy, accuracy_visual=accuracy
        )
        for drop in both:
            assert not drop[0, 3]
            assert drop.sum() == 24


def test_nothing_is_dropped_where_every_class_is_right():
    low, right = torch.zeros(1, 25), torch.ones(25)
    for drop in dropped(
        a_v=low, v_v=low, a_a=low, v_a=low, accuracy_audio=right, accuracy_visual=right
    ):
        assert not drop.any()


def test_only_labels_are_dropped_and_both_modalities_can_lose_one():
    low = torch.zeros(1, 25)
    weak = labels([2, 7])
    audio, visual = dropped(a_v=low, v_v=low, a_a=low, v_a=low, weak=weak)
    assert torch.equal(audio, weak)
    assert torch.equal(visual, weak)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"v_a": torch.ones(2, 25)}, r"v_a has shape \(2, 25\); weak has \(1, 25\)"),
        ({"accuracy_audio": torch.ones(24)}, r"accuracy_audio has shape \(24,\); expected \(25,\)"),
        ({"accuracy_visual": torch.full((25,), 97.0)}, "accuracy_visual must lie in"),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(change, sentence):
    with pytest.raises(AvvpError, match=sentence):
        dropped(**change)


# Targets


@pytest.fixture
def case():
    """Classes 1 to 4 are labels; 2 is dropped from audio, 3 from visual, 4 from both."""
    return labels([1, 2, 3, 4]), labels([2, 4]), labels([3, 4])


def values(target):
    return [round(x, 4) for x in target[0, :5].tolist()]


def test_as_released_the_video_target_loses_what_audio_loses(case):
    video, audio, visual = refined_targets(*case)
    assert values(audio) == [0, 1, 0, 1, 0]
    assert values(video) == [0, 1, 0, 1, 0]
    assert values(visual) == [0.05, 0.95, 0.95, 0, 0]


def test_as_intended_the_video_target_keeps_the_weak_label(case):
    video, audio, visual = refined_targets(*case, released=False)
    assert values(video) == [0, 1, 1, 1, 1]
    assert values(audio) == [0, 1, 0, 1, 0]
    assert values(visual) == [0.05, 0.95, 0.95, 0, 0]


def test_one_modality_can_be_refined_alone(case):
    video, audio, visual = refined_targets(*case, modality="audio")
    assert values(video) == values(audio) == [0, 1, 0, 1, 0]
    assert values(visual) == [0.05, 0.95, 0.95, 0.95, 0.95]
    for released in (True, False):
        video, audio, visual = refined_targets(*case, modality="visual", released=released)
        assert values(video) == values(audio) == [0, 1, 1, 1, 1]
        assert values(visual) == [0.05, 0.95, 0.95, 0, 0]


def test_smoothing_is_a_parameter_and_classes_without_label_keep_theirs(case):
    weak, audio, _ = case
    everything = torch.ones_like(weak)
    visual = refined_targets(weak, audio, everything, visual_smoothing=0.2).visual
    assert values(visual) == [0.1, 0, 0, 0, 0]


def test_an_unknown_modality_is_one_sentence(case):
    with pytest.raises(AvvpError, match="modality is 'sound'; it must be"):
        refined_targets(*case, modality="sound")


# The stage as a whole


class Knowing(nn.Module):
    """Hears and sees what the first channels of its features say, and nothing else."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, audio, visual_2d, visual_3d):
        heard, seen = (x.mean(1)[:, :25] * self.weight for x in (audio, visual_2d))
        return Parsing(heard, heard, seen, audio[:, :, :25], visual_2d[:, :, :25], {})


@pytest.fixture
def told():
    """60 videos whose features say what is heard and what is seen, some of it faintly."""
    g = generator(3)
    weak = random_labels(60)
    heard = weak & (torch.rand(60, 25, generator=g) < 0.6)
    seen = weak & (~heard | (torch.rand(60, 25, generator=g) < 0.5))
    audio, visual = torch.zeros(60, 10, 128), torch.zeros(60, 10, 2048)
    strength = torch.where(torch.rand(60, 25, generator=g) < 0.2, 0.3, 0.9)
    audio[:, :, :25] = (heard * strength)[:, None]
    visual[:, :, :25] = (seen * strength)[:, None]
    return Videos(
        ids=tuple(f"v{i}" for i in range(60)),
        audio=audio,
        visual_2d=visual,
        visual_3d=visual[:, :, :512],
        weak=weak,
        true_audio=heard[:, :, None].expand(-1, -1, 10),
        true_visual=seen[:, :, None].expand(-1, -1, 10),
        fingerprint="told",
    )


def test_refine_is_the_sequence_of_its_parts(told):
    config = Refinement(modality="visual", released=False, partners=2, threshold=0.6)
    done = refine(Knowing(), told, config=config, seed=5, visual_smoothing=0.2)
    partners = draw_partners(told.weak, generator=generator(5), partners=2)
    found = exchanged(Knowing(), told, partners)
    accuracies = class_accuracies(found.a, told.weak), class_accuracies(found.v, told.weak)
    dropped = unreliable_labels(*found[2:], told.weak, *accuracies, threshold=0.6)
    assert torch.equal(done.drop_audio, dropped[0])
    assert torch.equal(done.drop_visual, dropped[1])
    expected = refined_targets(
        told.weak, *dropped, modality="visual", released=False, visual_smoothing=0.2
    )
    for ours, theirs in zip(done.targets, expected, strict=True):
        assert torch.equal(ours, theirs)
    again = refine(Knowing(), told, config=config, seed=5, visual_smoothing=0.2)
    assert torch.equal(again.exchanged.a_v, done.exchanged.a_v)


def test_removals_are_counted_against_the_truth(told):
    done = refine(Knowing(), told, config=Refinement(), seed=1)
    counted = removals(done, told)
    drops = {"audio": done.drop_audio, "visual": done.drop_visual}
    truths = {"audio": told.true_audio, "visual": told.true_visual}
    assert counted["labels"].tolist() == told.weak.sum(dim=0).tolist()
    for row, name in enumerate(drops):
        removed = absent = right = 0
        for video, label in told.weak.nonzero().tolist():
            dropped, gone = drops[name][video, label], not truths[name][video, label].any()
            removed, absent, right = removed + dropped, absent + gone, right + (dropped and gone)
        totals = [int(counted[key][row].sum()) for key in ("removed", "absent", "right")]
        assert totals == [int(removed), int(absent), int(right)]
        assert 0 < totals[2] <= min(totals[:2])
    middle = CUTS.index(0.5)
    assert torch.equal(counted["removed_at"][middle], counted["removed"].sum(dim=1))
    assert torch.equal(counted["right_at"][middle], counted["right"].sum(dim=1))
    assert (counted["removed_at"].diff(dim=0) >= 0).all()
    both = (done.drop_audio & done.drop_visual).sum(dim=0)
    assert torch.equal(counted["removed_both"], both)
    for row, weak, drop in zip(
        counted["example_rows"],
        counted["example_weak"],
        counted["example_drop_visual"],
        strict=True,
    ):
        assert weak.sum() > 1
        assert drop.any()
        assert torch.equal(weak, told.weak[row])


def test_without_truth_nothing_is_called_right(told):
    blind = replace(told, true_audio=None, true_visual=None)
    counted = removals(refine(Knowing(), blind, config=Refinement(), seed=1), blind)
    assert not {"absent", "right", "right_at", "example_true_audio"} & set(counted)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"modality": "sound"}, "modality is 'sound'; it must be one of both, audio, visual"),
        ({"partners": 0}, "partners is 0; it must be at least 1"),
        ({"partners": 1.5}, "partners is 1.5; it must be at least 1"),
        ({"threshold": 0.0}, "threshold is 0.0; it must be above 0"),
    ],
)
def test_impossible_refinements_are_one_sentence(change, sentence):
    with pytest.raises(AvvpError, match=sentence):
        Refinement(**change)


# The golden data


def test_the_released_refinement(golden):
    archive, _ = open_golden(golden, "ma.npz")
    g = np.random.default_rng(2000)
    drawn = [g.random((200, 25)).astype(np.float32) for _ in range(6)]
    assert np.array_equal([x[:2] for x in drawn], archive["refine_first_rows"])
    _, _, a_v, v_v, a_a, v_a = map(torch.from_numpy, drawn)
    weak = torch.from_numpy(archive["refine_labels"]).bool()
    audio, visual = unreliable_labels(
        a_v,
        v_v,
        a_a,
        v_a,
        weak,
        torch.from_numpy(archive["refine_a_accs"]),
        torch.from_numpy(archive["refine_v_accs"]),
    )
    assert np.array_equal(audio, archive["refine_removed_a"])
    assert np.array_equal(visual, archive["refine_removed_v"])
    targets = refined_targets(weak, audio, visual)
    np.testing.assert_allclose(targets.audio, archive["refine_target_a"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(targets.visual, archive["refine_target_v"], rtol=0, atol=1e-7)
    assert torch.equal(targets.video, targets.audio)
    assert torch.equal(refined_targets(weak, audio, visual, released=False).video, weak.float())
