"""A group's training from beginning to end: what it leaves, cut off or not."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from avvp import together
from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.losses import AdversarialObjective, AttentionObjective, Objective, Targets
from avvp.models import build
from avvp.together import fit_together
from avvp.training import (
    CHECKPOINT,
    SELECTED,
    TrainingConfig,
    TunedTraining,
    fit,
    read_weights,
    seeded,
)
from tests.made_up_videos import make_videos

SEEDS = (1, 2, 3)
CONFIG = TrainingConfig(epochs=3, batch_size=5, learning_rate=1e-3, decay_every=2)
CASES = {
    "han": ({"model": "han", "width": 16, "dropout": 0.0}, Objective(), CONFIG),
    "last": ({"model": "linear"}, Objective(), replace(CONFIG, selection="last", gate="modality")),
    "mgn": (
        {"model": "mgn", "depths": (1, 1, 1), "width": 16, "drop_path": 0.0, "audio_time": "own"},
        Objective({"video": 1.0, "token_class": 1.0}),
        replace(CONFIG, learning_rate=1e-4),
    ),
    "cross_modal": (
        {"model": "cross_modal", "width": 16, "dropout": 0.0},
        AdversarialObjective(),
        CONFIG,
    ),
    "stpn": (
        {"model": "stpn", "hidden": 8},
        AttentionObjective({"visual": 1.0, "sparsity": 1e-4}),
        TunedTraining(epochs=3, batch_size=5, tuned="pair", weight_decay=1e-3),
    ),
    "cmcs": (
        {"model": "cmcs", "base": 8, "width": 4, "dropout": 0.0},
        AttentionObjective({"visual": 25.0, "diversity": 0.2, "balance": 0.2}),
        TunedTraining(epochs=3, batch_size=5),
    ),
    "avg": (
        {"model": "avg", "hidden": 16, "layers": 1, "intermediate": 16},
        Objective(),
        replace(CONFIG, learning_rate=1e-4),
    ),
}


@pytest.fixture(scope="module")
def videos() -> Videos:
    made = make_videos(18, seed=5)
    truth = made.weak[:, :, None].expand(-1, -1, 10).clone()
    return replace(made, true_audio=truth, true_visual=truth)


def networks_of(model, **options):
    return [seeded(seed, lambda: build(model, **options)) for seed in SEEDS]


def train(case, videos, root, *, networks=None, **changes):
    options, objective, config = CASES[case]
    networks = networks or networks_of(**options)
    arguments = {
        "objectives": [objective] * len(SEEDS),
        "config": config,
        "seeds": SEEDS,
        "folder": root / "group",
        "folders": [root / str(seed) for seed in SEEDS],
        "names": [f"{case} seed {seed}" for seed in SEEDS],
        "progress": False,
        "checkpoint_seconds": 0.0,
    }
    return networks, fit_together(networks, videos, videos, **(arguments | changes))


def train_alone(case, member, videos, folder):
    options, objective, config = CASES[case]
    network = networks_of(**options)[member]
    result = fit(
        network, videos, videos, objective=objective, config=config, seed=SEEDS[member],
        folder=folder, progress=False, watch=getattr(network, "token_scores", None),
    )  # fmt: skip
    return network, result


@pytest.mark.parametrize("case", CASES)
def test_without_dropout_a_member_is_left_as_if_trained_alone(case, videos, tmp_path):
    networks, results = train(case, videos, tmp_path / "together")
    for member, (network, result) in enumerate(zip(networks, results, strict=True)):
        folder = tmp_path / "alone" / str(member)
        _, wanted = train_alone(case, member, videos, folder)
        assert [list(e) for e in result.history] == [list(e) for e in wanted.history]
        for ours, theirs in zip(result.history, wanted.history, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)
        assert result.selected_epoch == wanted.selected_epoch
        for ours, theirs in zip(result.thresholds, wanted.thresholds, strict=True):
            torch.testing.assert_close(ours, theirs)
        assert not network.training
        # The folder holds the selected weights, and a training that is at its end.
        ours = tmp_path / "together" / str(SEEDS[member])
        assert {p.name for p in ours.iterdir()} == {p.name for p in folder.iterdir()}
        again = networks_of(**CASES[case][0])[0]
        read_weights(again, ours / SELECTED)
        for (name, a), b in zip(
            again.state_dict().items(), network.state_dict().values(), strict=True
        ):
            assert torch.equal(a, b), name


def test_bfloat16_together_is_bfloat16_alone_but_for_its_rounding(videos, tmp_path):
    exact = CASES["han"][2]
    rough = replace(exact, precision="bfloat16")
    first = {}
    for precision, config in (("float32", exact), ("bfloat16", rough)):
        _, results = train("han", videos, tmp_path / precision, config=config)
        first[precision] = [entry["loss"] for entry in results[0].history]
    assert first["bfloat16"] != first["float32"]
    assert first["bfloat16"] == pytest.approx(first["float32"], rel=2e-3)


def test_whoever_fits_a_member_of_a_group_finds_it_trained(videos, tmp_path, monkeypatch):
    networks, results = train("han", videos, tmp_path)
    monkeypatch.setattr("avvp.training.train_step", None)
    for member, seed in enumerate(SEEDS):
        found, result = train_alone("han", member, videos, tmp_path / str(seed))
        assert result == results[member]
        assert result.together == ("han seed 1", "han seed 2", "han seed 3")
        assert result.peak_memory > 0
        for a, b in zip(found.parameters(), networks[member].parameters(), strict=True):
            assert torch.equal(a, b)
    assert results[0].seconds == results[1].seconds  # a share each


def test_what_training_a_member_alone_had_left_is_replaced(videos, tmp_path):
    train_alone("han", 0, videos, tmp_path / "1")
    before = (tmp_path / "1" / CHECKPOINT).read_bytes()
    _, results = train("han", videos, tmp_path)
    assert (tmp_path / "1" / CHECKPOINT).read_bytes() != before
    assert train_alone("han", 0, videos, tmp_path / "1")[1] == results[0]


@pytest.mark.parametrize("stop_after", [1, 4, 5, 11])
@pytest.mark.parametrize("case", ["han", "cross_modal"])
def test_a_group_cut_off_at_any_step_ends_the_same(case, videos, tmp_path, cut_off, stop_after):
    options, _, _ = CASES[case]
    dropping = {**options, "dropout": 0.2}
    whole, expected = train(case, videos, tmp_path / "a", networks=networks_of(**dropping))
    with cut_off(together, "train_step", after=stop_after):
        train(case, videos, tmp_path / "b", networks=networks_of(**dropping))
    fresh = networks_of(**dropping)
    torch.manual_seed(99)  # other random numbers in between, as in a new process
    resumed, result = train(case, videos, tmp_path / "b", networks=fresh)
    for one, other in zip(whole, resumed, strict=True):
        for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    assert [r.history for r in result] == [r.history for r in expected]
    assert [r.selected_epoch for r in result] == [r.selected_epoch for r in expected]


def test_each_member_selects_its_own_epoch(videos, tmp_path, monkeypatch):
    scripted = iter([(5.0, 1.0, 2.0), (4.0, 9.0, 2.0), (4.0, 3.0, 1.0)])
    kept = []
    whole = together.validate_together

    def validate(members, val, config):
        kept.append([{k: v.clone() for k, v in members.member_state(m).items()} for m in range(3)])
        told = whole(members, val, config)
        return [
            (scores | {"segment/type_av": score}, cut)
            for (scores, cut), score in zip(told, next(scripted), strict=True)
        ]

    monkeypatch.setattr(together, "validate_together", validate)
    networks, results = train("han", videos, tmp_path)
    assert [result.selected_epoch for result in results] == [1, 2, 2]
    for member, network in enumerate(networks):
        wanted = kept[results[member].selected_epoch - 1][member]
        assert all(torch.equal(v, wanted[k]) for k, v in network.state_dict().items())


def test_a_group_of_others_is_refused(videos, tmp_path):
    train("han", videos, tmp_path)
    with pytest.raises(AvvpError, match="another configuration"):
        train("han", videos, tmp_path, names=["a", "b", "c"])


class Own(nn.Module):
    """A reader's own network, which counts its steps on the processor."""

    def __init__(self):
        super().__init__()
        self.inner = build("linear")

    def forward(self, *features):
        return self.inner(*features)


class OwnObjective(Objective):
    """And a reader's own loss."""


def test_steps_are_recorded_where_all_of_them_is_known_to_stand_being_replayed(
    videos, tmp_path, monkeypatch
):
    """On a GPU; here there is none, and a step that is to be recorded ends in an error."""
    monkeypatch.setattr(together, "launch_bound", lambda device: True)
    asked = []

    class Asked(Exception):
        """Nothing can be recorded here."""

    def courses(*arguments, capturable, **options):
        asked.append(capturable)
        raise Asked

    monkeypatch.setattr(together, "_Courses", courses)
    own = [seeded(seed, Own) for seed in SEEDS]
    for number, changes in enumerate(
        ({}, {"networks": own}, {"objectives": [OwnObjective()] * len(SEEDS)})
    ):
        with pytest.raises(Asked):
            train("last", videos, tmp_path / str(number), **changes)
    assert asked == [True, False, False]


def test_what_cannot_be_trained_together_says_why(videos, tmp_path):
    with pytest.raises(AvvpError, match=r"cannot be trained together: .* plateau of its own"):
        train("stpn", videos, tmp_path, config=TunedTraining(epochs=1, patience=3))


def test_networks_without_probabilities_are_not_trained(videos, tmp_path):
    networks = networks_of("linear")
    with torch.no_grad():
        networks[0].visual.weight.fill_(torch.nan)
    with pytest.raises(AvvpError, match=r"LinearMeanPooling: .* of its parsing holds nan"):
        train("last", videos, tmp_path, networks=networks)
    assert not list(tmp_path.rglob("*.pt"))


def of_one(each):
    """The content of a checkpoint from before network and targets were kept."""
    return {k: v for k, v in each.items() if k not in ("network", "targets")}


def test_a_group_of_before_goes_on_and_one_of_other_targets_does_not(videos, tmp_path, cut_off):
    whole, _ = train("han", videos, tmp_path / "whole")
    with cut_off(together, "train_step", after=5):
        train("han", videos, tmp_path / "cut")
    label = torch.zeros_like(videos.weak, dtype=torch.float32)
    with pytest.raises(AvvpError, match="another configuration, network, seed, data set or targ"):
        train("han", videos, tmp_path / "cut", targets=[Targets(label, label, label), None, None])
    path = tmp_path / "cut" / "group" / CHECKPOINT
    content = torch.load(path, weights_only=True)
    identity = of_one(json.loads(content["identity"]))
    identity["together"] = [of_one(each) for each in identity["together"]]
    torch.save({**content, "identity": json.dumps(identity, sort_keys=True)}, path)
    resumed, _ = train("han", videos, tmp_path / "cut")
    for one, other in zip(whole, resumed, strict=True):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_member_with_targets_of_its_own_is_found_trained(videos, tmp_path, monkeypatch):
    label = videos.weak.flip(0).float()
    own = Targets(label, label, label)
    train("han", videos, tmp_path, targets=[own, own, None], targets_from=[None, "flip", None])
    monkeypatch.setattr("avvp.training.train_step", None)
    _, objective, config = CASES["han"]
    options = {"objective": objective, "config": config, "progress": False}
    for seed, named in ((1, {}), (2, {"targets_from": "flip"})):
        network = networks_of(**CASES["han"][0])[0]
        place = {"seed": seed, "folder": tmp_path / str(seed)}
        fit(network, videos, videos, targets=own, **place, **named, **options)
        with pytest.raises(AvvpError, match="data set or targets"):
            fit(network, videos, videos, **place, **options)


def test_the_history_of_each_is_plain_json(videos, tmp_path):
    _, results = train("mgn", videos, tmp_path)
    for result in results:
        assert json.loads(json.dumps(result.history)) == result.history
        assert "token_audio_f1" in result.history[0]
