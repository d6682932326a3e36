"""AVG pre-training: labels from components, hinge losses, a protocol that can be cut off."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from avvp import experiments, grounding
from avvp.data import SimulatorConfig, simulate
from avvp.errors import AvvpError
from avvp.experiments import REGISTRY, Profile, run
from avvp.grounding import (
    Pretraining,
    connectivity,
    connectivity_of,
    grounding_loss,
    hinge,
    pretrain,
)
from avvp.models import build
from avvp.results import find_runs, read_arrays
from avvp.training import CHECKPOINT, seeded
from tests.made_up_videos import make_videos

EYE = torch.eye(10, dtype=torch.bool)


def turned(*degrees):
    """Unit vectors in the plane."""
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def pairs_of(matrix):
    return {(i, j) for i, j in matrix.nonzero().tolist() if i < j}


SAME = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("sound", "joined"),
    [
        ((4, 10), False),  # the earlier second is silent
        ((10, 4), True),  # the later one is, and is not tested
        ((10, 12), True),
        ((4, 5), False),
    ],
)
def test_only_the_earlier_second_is_tested_for_silence(sound, joined):
    found = connectivity(SAME, turned(*sound), turned(0)[0])
    assert found[0, 1] == found[1, 0] == joined
    assert connectivity(SAME, turned(*sound))[0, 1]


def test_thresholds_are_strict():
    cosine = 0.6  # exact: (3, 4) has length 5
    features = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    below = {"visual_threshold": cosine - 1e-3, "audio_threshold": cosine - 1e-3}
    at = torch.nn.functional.cosine_similarity(features[:1], features[1:], eps=1e-6).item()
    assert connectivity(features, features, **below)[0, 1]
    for name in below:
        assert not connectivity(features, features, **(below | {name: at}))[0, 1]
    silent = torch.tensor([3.0, 4.0])
    assert not connectivity(features, features, silent, **below, silent_threshold=at - 1e-3)[0, 1]
    assert connectivity(features, features, silent, **below, silent_threshold=at)[0, 1]


def test_both_modalities_have_to_be_similar_or_either_as_printed():
    alike, apart = turned(0, 1), turned(0, 80)
    assert connectivity(alike, alike)[0, 1]
    for visual, audio in ((alike, apart), (apart, alike)):
        assert not connectivity(visual, audio)[0, 1]
        assert connectivity(visual, audio, either=True)[0, 1]
    assert not connectivity(apart, apart, either=True)[0, 1]


def test_a_chain_is_one_component_and_a_gap_parts_two():
    """As in figure 5 of the paper: seconds 1, 2, 4 and 5 are one group, 3 stands alone."""
    features = turned(0, 6, 80, 12, 18)
    assert pairs_of(connectivity(features, features)) == {
        (i, j) for i in (0, 1, 3, 4) for j in (0, 1, 3, 4) if i < j
    }
    silent = turned(6)[0]  # second 1 and its neighbours pass nothing on, but may be reached
    assert pairs_of(connectivity(features, features, silent, silent_threshold=0.999)) == {
        (0, 1), (3, 4)
    }  # fmt: skip


def test_a_second_of_zeros_resembles_nothing_not_even_zeros():
    found = connectivity(torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(4))
    assert torch.equal(found, torch.eye(3, dtype=torch.bool))


def test_many_videos_at_once_give_what_each_gives():
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 1, 8, generator=generator)
    visual, audio = (base + 0.2 * torch.randn(6, 10, 8, generator=generator) for _ in range(2))
    options = {"visual_threshold": 0.95, "audio_threshold": 0.95, "silent_threshold": 0.97}
    silent = audio[2, 3]
    whole = connectivity(visual, audio, silent, **options)
    each = [connectivity(v, a, silent, **options) for v, a in zip(visual, audio, strict=True)]
    assert torch.equal(whole, torch.stack(each))
    assert 0.1 < whole.float().mean() < 0.9
    assert not torch.equal(whole, connectivity(visual, audio, **options))


def test_a_silent_vector_of_the_wrong_size_is_one_sentence():
    with pytest.raises(
        AvvpError, match=r"shape \(2, 128\); expected \(128,\), one number for each"
    ):
        connectivity(torch.ones(10, 2048), torch.ones(10, 128), torch.ones(2, 128))
    with pytest.raises(AvvpError, match=r"shape \(64,\); expected \(128,\)"):
        connectivity(torch.ones(10, 2048), torch.ones(10, 128), np.ones(64))


def test_features_that_do_not_fit_are_one_sentence():
    with pytest.raises(AvvpError, match=r"visual has shape \(80, 2048\) and audio \(10, 128\)"):
        connectivity(torch.ones(80, 2048), torch.ones(10, 128))


def test_hinge_by_hand():
    cosine = torch.tensor([0.9, 0.5, 0.9, 0.5])
    together = torch.tensor([True, True, False, False])
    assert hinge(cosine, together).tolist() == pytest.approx([0, 0.2, 0.2, 0])
    loose = hinge(cosine, together, positive_margin=1.0, negative_margin=0.0)
    assert loose.tolist() == pytest.approx([0.1, 0.5, 0.9, 0.5])


def test_losses_by_hand():
    """Two seconds; sound turns by 90 degrees, sight not at all, and stands at 0 degrees."""
    audio, visual = turned(0, 90)[None], turned(0, 0)[None]
    apart = torch.eye(2, dtype=torch.bool)[None]
    # uni, query 0: sound [1, 0] is right; sight [1, 1]: the second one is too near by 0.3.
    assert grounding_loss(audio, visual, apart, "uni", query=0).item() == pytest.approx(0.15)
    # cross, query 0: a0 with v [1, 1]: 0.3 too near; v0 with a [1, 0] is right.
    assert grounding_loss(audio, visual, apart, "cross", query=0).item() == pytest.approx(0.15)
    # cross, query 1: a1 with v [0, 0]: 0.7 too far from its own; v1 with a [1, 0]: 0.3 and 0.7.
    second = grounding_loss(audio, visual, apart, "cross", query=1).item()
    assert second == pytest.approx((0.7 + 0.3 + 0.7) / 2)
    every = grounding_loss(audio, visual, apart, "cross").item()
    assert every == pytest.approx((0.15 + second) / 2)
    both = grounding_loss(audio, visual, apart, "multi").item()
    assert both == pytest.approx(every + grounding_loss(audio, visual, apart, "uni").item())
    with pytest.raises(AvvpError, match="pairs is 'trans'; it must be one of uni, cross, multi"):
        grounding_loss(audio, visual, apart, "trans")


def test_multi_takes_turns_as_released_or_sums():
    assert [Pretraining().pairs_in(e) for e in (1, 2, 3)] == ["cross", "uni", "cross"]
    assert Pretraining(alternate=False).pairs_in(2) == "multi"
    assert Pretraining("uni").pairs_in(1) == "uni"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"pairs": "trans"}, "pairs is 'trans'"),
        ({"selection": "worst"}, "selection is 'worst'; it must be one of best, first, last"),
        ({"validated_on": "test"}, "validated_on is 'test'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"held_out": 1.0}, "held_out is 1.0"),
    ],
)
def test_a_wrong_setting_is_one_sentence(setting, sentence):
    with pytest.raises(AvvpError, match=sentence):
        Pretraining(**setting)


@pytest.mark.parametrize(
    ("absent", "sentence"),
    [
        ("audio", "has no sound: audio is zero in all 8 videos; grounding needs both"),
        ("visual_2d", "has no sight: visual_2d is zero in all 8 videos"),
    ],
)
def test_data_without_one_modality_is_one_sentence(absent, sentence, tmp_path):
    videos = make_videos(8, seed=1)
    videos = replace(videos, **{absent: torch.zeros_like(getattr(videos, absent))})
    with pytest.raises(AvvpError, match=sentence):
        started(videos, tmp_path)
    assert not list(tmp_path.iterdir())


def test_too_few_videos_are_one_sentence(tmp_path):
    with pytest.raises(AvvpError, match="3 videos are too few to hold 20% of them out"):
        started(make_videos(3, seed=1), tmp_path)
    with pytest.raises(AvvpError, match="has no video"):
        connectivity_of(make_videos(0, seed=1))


def network(seed=1, **options):
    sizes = {"hidden": 16, "layers": 1, "intermediate": 16, "width": 8}
    return seeded(seed, lambda: build("avg", **(sizes | options)))


def started(videos, folder, *, net=None, seed=1, **options):
    net = net or network()
    config = Pretraining(**{"epochs": 3, "batch_size": 4, "learning_rate": 1e-3, **options})
    done = pretrain(
        net, videos, config=config, seed=seed, folder=folder, simulated=True, progress=False,
        checkpoint_seconds=0.0,
    )  # fmt: skip
    return net, done


@pytest.fixture(scope="module")
def videos():
    return make_videos(24, seed=5)


def same_weights(one, other):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_labels_are_those_of_each_video(videos):
    thresholds = Pretraining(simulated_thresholds=(0.02, 0.1)).thresholds(simulated=True)
    found = connectivity_of(videos, batch_size=7, **thresholds)
    assert torch.equal(found, connectivity(videos.visual_2d, videos.audio, **thresholds))
    assert 0 < (found & ~EYE).float().mean() < 1
    released = Pretraining().thresholds(simulated=False)
    assert released == {"visual_threshold": 0.96, "audio_threshold": 0.99}
    assert torch.equal(connectivity_of(videos, **released), EYE.expand(24, 10, 10))


def test_the_thresholds_on_simulated_data_are_its_medians():
    """No truth and no score takes part in choosing them."""
    drawn = simulate(SimulatorConfig(train=200), "train")
    above = torch.ones(10, 10).triu(1).bool()
    medians = [
        torch.nn.functional.cosine_similarity(x[:, :, None], x[:, None], dim=-1)[:, above].median()
        for x in (drawn.visual_2d, drawn.audio)
    ]
    assert medians == pytest.approx(Pretraining().simulated_thresholds, abs=0.01)


def test_pre_training_lowers_the_loss_and_leaves_the_head_alone(videos, tmp_path):
    before = network()
    thresholds = {"simulated_thresholds": (0.02, 0.1)}
    net, done = started(
        videos, tmp_path, epochs=8, alternate=False, every_query=True,
        validated_on="connectivity", **thresholds,
    )  # fmt: skip
    losses = [epoch["loss"] for epoch in done.history]
    assert losses[-1] < losses[0]
    assert 0 < done.connected < 1
    kept = dict(before.named_parameters())
    moved = {n for n, p in net.named_parameters() if not torch.equal(p, kept[n])}
    head = ("read_", "fusion.", "pooling.")
    assert not any(name.startswith((*head, "visual_3d.")) for name in moved)
    encoder = {n for n in kept if not n.startswith((*head, "visual_3d."))}
    assert moved == encoder
    for stream in (net.audio, net.visual_2d):
        assert torch.equal(stream.positions, getattr(before, _name(net, stream)).positions)
        row = getattr(before, _name(net, stream)).mask_embedding[0]
        assert torch.equal(stream.mask_embedding[0], row)


def _name(net, module):
    return next(name for name, child in net.named_children() if child is module)


def test_the_3d_stream_is_shown_if_asked_for(videos, tmp_path):
    before = network()
    net, _ = started(videos, tmp_path, epochs=1, visual_3d=True)
    assert not torch.equal(net.visual_3d.linear.weight, before.visual_3d.linear.weight)


def test_dropout_is_on_in_pre_training_and_as_before_afterwards(videos, tmp_path):
    (dropped, _), (plain, _) = (
        started(videos, tmp_path / str(rate), epochs=1, dropout=rate) for rate in (0.5, 0.0)
    )
    assert not same_weights(dropped, plain)
    assert {m.p for m in dropped.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}


def test_adam_goes_on_with_what_it_has_counted(videos, tmp_path):
    net, done = started(videos, tmp_path)
    steps = 3 * math.ceil((24 - 4) / 4)
    names = [name for name, _ in net.named_parameters()]
    counted = {names[i]: int(entry["step"]) for i, entry in done.optimizer["state"].items()}
    assert set(counted.values()) == {steps}
    assert {n for n in names if n not in counted} == {
        n for n in names if n.startswith(("read_", "fusion.", "pooling."))
    }
    assert "visual_3d.linear.weight" in counted  # a gradient of zero is a step, too


@pytest.mark.parametrize(
    ("selection", "losses", "epoch"),
    [
        ("best", [3, 1, 2], 2),
        ("best", [1, 1, 2], 1),
        ("first", [3, 1, 2], 1),
        ("last", [3, 1, 2], 3),
    ],
)
def test_selection(videos, tmp_path, monkeypatch, selection, losses, epoch):
    left = iter(losses)
    monkeypatch.setattr(grounding, "_validate", lambda *a: next(left))
    net, done = started(videos, tmp_path / "all", selection=selection)
    assert done.selected_epoch == epoch
    left = iter([0] * epoch)
    # The weights are those of that epoch: train so many epochs and no more.
    other, _ = started(videos, tmp_path / "few", epochs=epoch, selection="last")
    assert same_weights(net, other)


def test_validation_compares_with_the_identity_as_released(videos, tmp_path):
    thresholds = {"simulated_thresholds": (-1.0, -1.0), "epochs": 1}
    losses = [
        started(videos, tmp_path / target, validated_on=target, **thresholds)[1].history[0]
        for target in ("identity", "connectivity")
    ]
    assert losses[0]["loss"] == losses[1]["loss"]
    assert losses[0]["val_loss"] != losses[1]["val_loss"]
    thresholds = {"simulated_thresholds": (1.0, 1.0), "epochs": 1}
    losses = [
        started(videos, tmp_path / f"{target}, alone", validated_on=target, **thresholds)[1]
        for target in ("identity", "connectivity")
    ]
    assert losses[0].history == losses[1].history


@pytest.mark.parametrize("stop_after", [1, 4, 5, 7, 14])
def test_cut_off_at_any_step_it_ends_the_same(videos, tmp_path, cut_off, stop_after):
    whole, expected = started(videos, tmp_path / "whole")
    with cut_off(grounding, "_step", after=stop_after):
        started(videos, tmp_path / "cut")
    resumed, done = started(videos, tmp_path / "cut", net=network(seed=9))
    assert same_weights(whole, resumed)
    assert done.history == expected.history
    for index, entry in expected.optimizer["state"].items():
        assert torch.equal(entry["exp_avg"], done.optimizer["state"][index]["exp_avg"])


def test_a_finished_one_is_not_repeated_and_another_one_is_refused(videos, tmp_path, monkeypatch):
    whole, _ = started(videos, tmp_path)
    monkeypatch.setattr(grounding, "_step", None)
    again, _ = started(videos, tmp_path, net=network(seed=9))
    assert same_weights(whole, again)
    with pytest.raises(AvvpError, match="another configuration"):
        started(videos, tmp_path, pairs="uni")
    with pytest.raises(AvvpError, match="another configuration"):
        started(videos, tmp_path, seed=2)


TINY = Profile("tiny", "tests", 48, 8, 8, epochs=2)


def test_a_run_cut_off_between_grounding_and_parsing_ends_the_same(tmp_path, monkeypatch, cut_off):
    """Pre-training and fine-tuning are one experiment, and one network."""
    experiment = replace(
        REGISTRY["cross_modal/pretrain_multi"],
        options={"hidden": 16, "layers": 1, "intermediate": 16, "dropout": 0.1},
    )
    options = {"profile": TINY, "device": "cpu", "progress": False}
    whole = run(experiment, runs=tmp_path / "whole", **options)
    with cut_off(experiments, "fit", after=0):
        run(experiment, runs=tmp_path / "cut", **options)
    monkeypatch.setattr(grounding, "_step", None)
    cut = run(experiment, runs=tmp_path / "cut", **options)
    assert cut.metrics == whole.metrics and cut.hash == whole.hash
    (one, _), (other, _) = (next(iter(find_runs(tmp_path / n).items())) for n in ("whole", "cut"))
    arrays, others = read_arrays(one), read_arrays(other)
    for key, value in arrays.items():
        np.testing.assert_array_equal(value, others[key], err_msg=key)
    assert arrays["pretraining/epoch"].tolist() == [1, 2]
    assert set(arrays) >= {"pretraining/val_loss", "pretraining/loss", "pretraining/connected"}
    assert list((tmp_path / "cut").rglob(f"pretraining/{CHECKPOINT}"))


def test_only_what_is_pre_trained_says_so_in_its_configuration():
    profile = Profile("medium", "", 10, 5, 5, epochs=12)
    multi, none = (
        REGISTRY[f"cross_modal/pretrain_{name}"].configuration(profile)
        for name in ("multi", "none")
    )
    assert "pretraining" not in none
    assert multi.pop("pretraining")["pairs"] == "multi"
    assert multi == none


def test_the_released_protocol_and_what_is_changed():
    full = Profile("full", "", 10, 5, 5)
    large = REGISTRY["cross_modal/pretrain_full_size"]
    assert large.at(full).training == replace(large.training, precision="float32")
    assert (large.training.learning_rate, large.training.batch_size) == (1e-6, 64)
    assert large.training.learning_rate_at(40) == 1e-6
    assert large.pretraining == Pretraining("multi", epochs=40, learning_rate=1e-6)
    assert not large.options and large.reduced is None
    small = REGISTRY["cross_modal/pretrain_multi"]
    changed = {c.field: (c.published, c.here) for c in small.changes(full)}
    assert changed["training.learning_rate"] == (1e-6, 1e-4)
    assert changed["pretraining.learning_rate"] == (1e-6, 1e-4)
    assert "hidden 256, 2 layers" in small.label
