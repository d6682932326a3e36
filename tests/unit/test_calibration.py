"""Calibration: the rules of the search, its log, and the committed one."""

import json

import numpy as np
import pytest

from avvp import calibration
from avvp.calibration import (
    FIRST_DATA_SEED,
    MAX_CONFIRMATIONS,
    MAX_TRIALS,
    NEARBY,
    SEARCHED,
    TARGET,
    TRIAL_SIZES,
    append_log,
    confirm,
    distance,
    nearest,
    offset,
    propose,
    read_log,
    scores_of,
    search,
)
from avvp.cli import main
from avvp.data.simulate import SimulatorConfig
from avvp.errors import AvvpError
from avvp.metrics import METRICS
from avvp.results import RESULTS

LOW, HIGH = np.array(list(SEARCHED.values())).T


def entry(place: float, score: float) -> dict:
    """A trial at a share of every range, which missed every target by ``score``."""
    point = dict(zip(SEARCHED, LOW + place * (HIGH - LOW), strict=True))
    return {"config": point, "scores": {m: TARGET[m] + score for m in METRICS}, "seconds": 1.0}


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_target_is_hans_row():
    assert list(TARGET) == list(METRICS)
    assert TARGET["segment/type_av"] == 54.0 and TARGET["event/audio"] == 51.3


def test_distance_is_zero_at_the_target_and_weighs_the_worst():
    target = scores_of({"scores": TARGET})
    assert distance(target) == 0
    one_off = target + np.eye(10)[3] * 4
    assert distance(one_off) == pytest.approx(0.5 * 4 / np.sqrt(10) + 0.5 * 4)


@pytest.mark.parametrize("count", [0, 5, 6, NEARBY - 1, NEARBY])
def test_proposals_stay_in_range_and_repeat(count):
    trials = [entry(0.3 + 0.4 * i / NEARBY, i - 10.0) for i in range(count)]
    one, other = (propose(trials, [], generator=generator()) for _ in range(2))
    assert one == other and list(one) == list(SEARCHED)
    assert all(
        low <= x <= high for x, (low, high) in zip(one.values(), SEARCHED.values(), strict=True)
    )


def test_the_surrogate_finds_the_way():
    # Scores rise with every parameter; the target lies at 0.7 of the ranges.
    trials = [entry(place, 20 * (place - 0.7)) for place in np.linspace(0, 1, NEARBY + 4)]
    point = np.array(list(propose(trials, [], generator=generator()).values()))
    assert abs(((point - LOW) / (HIGH - LOW)).mean() - 0.7) < 0.1


def test_full_scale_adds_what_the_last_twin_says():
    trials, confirmed = [entry(0.5, -6.0), entry(0.6, -1.0)], [entry(0.5, 1.0)]
    assert offset(trials, []) == pytest.approx(np.zeros(10))
    assert offset(trials, [*confirmed, entry(0.9, 0.0)]) == pytest.approx(np.full(10, 7.0))
    assert nearest(trials, [])["scores"] == trials[1]["scores"]
    assert nearest(trials, confirmed)["scores"] == trials[0]["scores"]


def test_a_log_is_read_back_and_its_damage_told(tmp_path):
    path = tmp_path / "trials.jsonl"
    assert read_log(path) == []
    append_log(path, {"a": 1})
    append_log(path, {"b": 2})
    assert read_log(path) == [{"a": 1}, {"b": 2}]
    path.write_text('{"a": 1}\n{"b"', encoding="utf-8")
    with pytest.raises(AvvpError, match="line 2: not JSON"):
        read_log(path)


def test_the_procedure_ends(tmp_path, monkeypatch):
    (tmp_path / "trials.jsonl").write_text(f"{json.dumps(entry(0.5, 0.0))}\n" * MAX_TRIALS)
    with pytest.raises(AvvpError, match="the procedure allows 60"):
        search(tmp_path, trials=1)
    (tmp_path / "confirmations.jsonl").write_text("{}\n" * MAX_CONFIRMATIONS)
    with pytest.raises(AvvpError, match="the procedure allows 4"):
        confirm(tmp_path, {})


@pytest.mark.parametrize(
    "point",
    [
        *("[1]", "3", "{}", '{"nope": 1}', '{"smear": "0.1"}', '{"smear": 9}', '{"smear": NaN}'),
        *("{bad", "", "smear=0.1", '{"smear": 0.1', "[" * 9999),
    ],
)
@pytest.mark.parametrize("action", ["search", "confirm"])
def test_a_point_that_cannot_be_tried_is_one_sentence(action, point, tmp_path, capsys):
    words = ["calibrate", action, f"--folder={tmp_path}", f"--point={point}"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert f"--point is {point}; it must be a JSON object" in told
    assert "smear (0 to 0.5)" in told and len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_without_a_trial_there_is_nothing_to_confirm(tmp_path, monkeypatch, capsys):
    assert main(["calibrate", "confirm", f"--folder={tmp_path}"]) == 2
    assert "trials.jsonl has no trial to confirm" in capsys.readouterr().err
    tried = []
    monkeypatch.setattr(calibration, "confirm", lambda *given, **_: tried.append(given))
    assert main(["calibrate", "confirm", f"--folder={tmp_path}", '--point={"smear": 0.1}']) == 0
    append_log(tmp_path / "trials.jsonl", entry(0.5, 0.0))
    assert main(["calibrate", "confirm", f"--folder={tmp_path}"]) == 0
    assert tried == [(tmp_path, {"smear": 0.1}), (tmp_path, entry(0.5, 0.0)["config"])]


def test_a_trial_is_small_and_of_its_own_data(tmp_path, monkeypatch):
    seen = []

    def instead(config, *, epochs, device, folder=None):
        seen.append((config, epochs))
        return {**entry(0.5, 0.0), "epochs": epochs}

    monkeypatch.setattr(calibration, "run_han", instead)
    search(tmp_path, trials=2)
    assert len(read_log(tmp_path / "trials.jsonl")) == 2
    assert [c.seed for c, _ in seen] == [FIRST_DATA_SEED, FIRST_DATA_SEED + 1]
    assert all(c.train == TRIAL_SIZES["train"] and epochs == 12 for c, epochs in seen)
    fixed = {name for name in SimulatorConfig.__dataclass_fields__ if name not in SEARCHED}
    for name in fixed - {"train", "val", "test", "seed"}:
        assert {getattr(c, name) for c, _ in seen} == {getattr(SimulatorConfig(), name)}


def test_the_committed_log_keeps_the_rules():
    trials = read_log(RESULTS / "calibration" / "trials.jsonl")
    confirmations = read_log(RESULTS / "calibration" / "confirmations.jsonl")
    assert 0 < len(trials) <= MAX_TRIALS and 0 < len(confirmations) <= MAX_CONFIRMATIONS
    assert all(t["config"]["seed"] >= FIRST_DATA_SEED for t in [*trials, *confirmations])
    default = SimulatorConfig()
    for name in ("shared_dynamics", "asynchrony", "one_modality", "family_share"):
        assert {t["config"][name] for t in trials} == {getattr(default, name)}
    assert any(
        all(c["config"][name] == getattr(default, name) for name in SEARCHED) for c in confirmations
    ), "the simulator's default has no confirmation"
