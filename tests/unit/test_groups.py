"""``avvp reproduce --together``: who is trained with whom, and what the store then holds."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avvp import groups, together, training
from avvp.cli import main
from avvp.data import store
from avvp.data.simulate import SPLITS
from avvp.data.store_writer import write_videos
from avvp.errors import AvvpError
from avvp.experiments import PROFILES, REGISTRY, open_source, open_split, run
from avvp.fan_out import reproduce
from avvp.groups import MEMBERS, in_groups, step_of, train_together, trained_alone
from avvp.memory import out_of_memory
from avvp.results import find_runs, read_arrays
from avvp.training import CHECKPOINT, SELECTED
from tests.made_up_videos import make_videos

SMOKE = PROFILES["smoke"]
CPU = torch.device("cpu")


@pytest.fixture
def here(tmp_path):
    def smoke(only, **changes):
        options = {"profile": "smoke", "device": "cpu", "progress": False, "only": only}
        folders = {"runs": tmp_path / "runs", "results": tmp_path / "results"}
        return reproduce(**(options | folders | changes))

    return smoke


def runs_of(root: Path) -> dict:
    return {f"{r.experiment} seed {r.seed}": r for r in find_runs(root).values()}


def test_runs_made_together_land_as_if_made_alone(here, tmp_path):
    """No dropout in the linear reference: the same numbers, and the same files."""
    assert here("reference/linear", seeds=3, together=3).made == [
        f"reference/linear seed {seed}" for seed in (1, 2, 3)
    ]
    here("reference/linear", seeds=3, runs=tmp_path / "alone")
    ours, theirs = runs_of(tmp_path / "runs"), runs_of(tmp_path / "alone")
    for name, made in ours.items():
        assert made.metrics == pytest.approx(theirs[name].metrics, abs=0.5)
        assert made.together == list(ours)
        assert theirs[name].together is None
        assert (made.hash, made.parameters) == (theirs[name].hash, theirs[name].parameters)
        assert made.peak_memory > 0 and made.seconds > 0
    files = [
        sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
        for root in (tmp_path / "runs", tmp_path / "alone")
    ]
    assert files[0] == files[1]
    arrays = [
        read_arrays(next(root.rglob("seed-2.json")))
        for root in (tmp_path / "runs", tmp_path / "alone")
    ]
    assert {k: v.shape for k, v in arrays[0].items()} == {k: v.shape for k, v in arrays[1].items()}


def test_what_comes_after_finds_the_weights_of_its_own_seed(here, tmp_path):
    done = here("ma/cr", seeds=2, together=2)
    assert done.made == ["ma/c seed 1", "ma/c seed 2", "ma/cr seed 1", "ma/cr seed 2"]
    made = runs_of(tmp_path / "runs")
    for seed in (1, 2):
        assert made[f"ma/cr seed {seed}"].after == made[f"ma/c seed {seed}"].hash
        assert made[f"ma/cr seed {seed}"].together == ["ma/cr seed 1", "ma/cr seed 2"]
    first, second = (read_arrays(path) for path in find_runs(tmp_path / "runs", experiment="ma/cr"))
    assert (first["refinement/accuracy"] != second["refinement/accuracy"]).any()


def test_experiments_of_one_shape_are_trained_together(here, tmp_path):
    here("ma/c_temperature_*", seeds=1, together=3)
    made = runs_of(tmp_path / "runs")
    names = [f"ma/c_temperature_{t} seed 1" for t in (0.1, 0.3, 0.4)]
    assert sorted(made) == names
    assert all(run.together == names for run in made.values())
    assert made[names[0]].configuration["objective"]["temperature"] == 0.1


def test_what_has_to_be_trained_alone_is_said(here, capsys, tmp_path):
    done = here("older/talnet", seeds=2, together=4)
    assert len(done.made) == 2
    assert done.said == ["trained alone: older/talnet: its recurrent layers have no batched form"]
    assert {run.together for run in runs_of(tmp_path / "runs").values()} == {None}
    folders = [f"--{name}={tmp_path / name}" for name in ("runs", "results")]
    options = ["--profile=smoke", "--device=cpu", "--only=reference/oracle", "--together=4"]
    assert main(["reproduce", *options, *folders]) == 0
    assert "trained alone: reference/oracle: nothing is trained" in capsys.readouterr().out


def test_the_experiments_that_are_trained_alone():
    alone = {name for name, experiment in REGISTRY.items() if trained_alone(experiment)}
    rescored = {n for n, experiment in REGISTRY.items() if experiment.training is None}
    pretrained = {n for n, experiment in REGISTRY.items() if experiment.pretraining}
    assert alone == rescored | pretrained | {"older/ave", "older/avsdn", "older/talnet"}


@pytest.mark.parametrize(
    "name",
    [
        *("han/han", "ma/c", "mgn/mgn", "mgn/hard_hard", "mgn/localising", "older/stpn"),
        *("older/cmcs", "cross_modal/adv_skip_gcaa", "cross_modal/pretrain_none"),
    ],
)
def test_a_network_of_every_kind_takes_a_step_together(name, monkeypatch):
    """As many losses as members, and no operation without a batched form."""
    monkeypatch.setattr(groups, "open_split", lambda *_: make_videos(4, seed=1))
    step = step_of(REGISTRY[name], profile=SMOKE, seeds=(1, 2), device="cpu")
    first = step()[0]
    assert first.shape == (2,)
    assert first[0] != first[1]
    assert not torch.equal(step()[0], first)


# Groups


def grouped(names, seeds, *, limit, runs, device=CPU):
    members = [(REGISTRY[name], seed) for seed in seeds for name in names]
    source = open_source("sim", SMOKE)
    found, alone = in_groups(
        members, limit=limit, profile=SMOKE, source=source, device=device, runs=runs
    )
    return [[f"{e.name} {seed}" for e, seed in group] for group in found], alone


def test_by_default_cuda_takes_all_seeds_of_an_experiment_and_others_one(tmp_path):
    names = ["ma/c", "ma/base", "older/ave"]
    cuda, alone = grouped(names, (1, 2), limit=None, runs=tmp_path, device=torch.device("cuda"))
    assert sorted(cuda) == [
        ["ma/base 1", "ma/base 2"],
        ["ma/c 1", "ma/c 2"],
        ["older/ave 1"],
        ["older/ave 2"],
    ]
    assert list(alone) == ["older/ave"]
    one, alone = grouped(names, (1, 2), limit=None, runs=tmp_path)
    assert [len(group) for group in one] == [1] * 6
    assert not alone


def test_a_limit_cuts_a_shape_into_groups(tmp_path):
    found, _ = grouped(["ma/c", "ma/base", "han/han", "mgn/mgn"], (1, 2, 3), limit=4, runs=tmp_path)
    assert sorted(map(len, found)) == [2, 3, 3, 4]  # six of MA, three of HAN, three of MGN
    assert {"ma/c", "ma/base"} == {member.split()[0] for member in max(found, key=len)}


def of_the_device():
    raise torch.OutOfMemoryError("CUDA out of memory.")


def of_the_machine():
    torch.empty(2**60, dtype=torch.uint8)


def of_a_file():
    """As torch.save to a buffer that cannot grow."""
    try:
        bytearray(2**62)
    finally:
        raise RuntimeError("unexpected pos 64 vs 0")


@pytest.mark.parametrize(
    "allocate", [of_the_device, of_the_machine, lambda: bytearray(2**62), of_a_file]
)
def test_memory_that_has_run_out_is_known_by_its_error(allocate):
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        allocate()
    assert out_of_memory(caught.value)


def test_another_error_of_a_network_is_not_one_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert not out_of_memory(caught.value)
    for library in ("CUBLAS", "CUDNN"):
        told = f"CUDA error: {library}_STATUS_ALLOC_FAILED when calling `create(handle)`"
        assert out_of_memory(RuntimeError(told))
    assert not out_of_memory(ValueError("the text on page 3 ran out of memory"))


def exhausted(monkeypatch, *, above: int, allocate=of_the_device) -> list[int]:
    """The memory of the device holds so many members; returns the sizes that were tried."""
    tried, whole = [], together.Stepper._take

    def take(self, index):
        if not tried or tried[-1] != len(index):
            tried.append(len(index))
        if len(index) > above:
            allocate()
        return whole(self, index)

    monkeypatch.setattr(together.Stepper, "_take", take)
    return tried


def test_a_group_too_large_for_the_device_is_halved_and_says_so(here, monkeypatch, tmp_path):
    tried = exhausted(monkeypatch, above=2, allocate=of_the_machine)
    done = here("reference/linear", seeds=5, together=5)
    assert not done.failed
    assert len(done.made) == 5
    assert tried == [5, 3, 2]  # and 2 of the other half, and one alone
    assert done.said == [
        "reference/linear seeds 1 2 3 4 5 do not fit into the memory of cpu together: trained as "
        "3 and 2.",
        "reference/linear seeds 1 2 3 do not fit into the memory of cpu together: trained as 2 and "
        "1.",
    ]
    made = runs_of(tmp_path / "runs")
    assert [len(run.together or [1]) for run in made.values()] == [2, 2, 1, 2, 2]
    assert not list((tmp_path / "runs").rglob("members.json"))


def test_a_split_too_large_for_the_device_is_trained_alone(here, monkeypatch, tmp_path, cut_off):
    data = tmp_path / "some.h5"
    splits = {name: make_videos(20, seed=seed) for seed, name in enumerate(SPLITS)}
    write_videos(data, splits, {"source": "made up"})
    options = {"data": str(data), "seeds": 3, "together": 3}
    with cut_off(together, "train_step", after=1):  # begun while there was room
        here("reference/linear", **options)
    assert list((tmp_path / "runs").rglob("members.json"))
    open_split.cache_clear()  # as in a new process
    monkeypatch.setattr(store, "RESIDENT_SHARE", 0)
    done = here("reference/linear", **options)
    assert not done.failed
    assert len(done.made) == 3
    assert done.said == [
        "trained alone: reference/linear seeds 1 2 3: the training split does not fit into the "
        "memory of the device and is streamed"
    ]
    assert {run.together for run in runs_of(tmp_path / "runs").values()} == {None}
    assert not list((tmp_path / "runs").rglob("members.json"))


def test_a_device_too_small_for_one_fails_the_runs(here, monkeypatch):
    exhausted(monkeypatch, above=0)

    monkeypatch.setattr(training, "train_step", lambda *_: of_the_device())
    done = here("reference/linear", seeds=2, together=2)
    assert not done.made
    assert all("OutOfMemoryError: CUDA out of memory" in why for why in done.failed.values())


def test_a_group_that_fails_fails_each_of_its_runs(here, monkeypatch):
    broken = replace(REGISTRY["ma/base"], name="bad/width", options={"width": -1})
    monkeypatch.setattr("avvp.experiments.REGISTRY", {broken.name: broken})
    done = here(None, seeds=2, together=2)
    assert set(done.failed) == {"bad/width seed 1", "bad/width seed 2"}
    assert all(why.startswith("RuntimeError") for why in done.failed.values())


# Cut off


def test_what_was_begun_together_goes_on_together(here, tmp_path, cut_off):
    with cut_off(together, "train_step", after=3):
        here("reference/linear", seeds=2, together=2)
    (folder,) = (tmp_path / "runs" / "sim" / "smoke" / "together").iterdir()
    assert json.loads((folder / "members.json").read_text()) == [
        "reference/linear seed 1",
        "reference/linear seed 2",
    ]
    # More seeds are asked for now: the two go on as they were, the others form a group.
    done = here("reference/linear", seeds=4, together=4)
    assert len(done.made) == 4
    made = runs_of(tmp_path / "runs")
    assert [run.together[0][-1] for run in made.values()] == ["1", "1", "3", "3"]
    assert not folder.exists()


def test_what_was_begun_alone_goes_on_alone(here, tmp_path):
    here("reference/linear", seeds=1)
    next((tmp_path / "runs").rglob("seed-1.json")).unlink()
    here("reference/linear", seeds=3, together=3)
    made = runs_of(tmp_path / "runs")
    assert [len(run.together or ()) for run in made.values()] == [0, 2, 2]


def test_killed_between_training_and_scoring_nothing_is_trained_again(here, monkeypatch, tmp_path):
    members = [(REGISTRY["reference/linear"], seed) for seed in (1, 2, 3)]
    options = {"profile": SMOKE, "device": "cpu", "runs": tmp_path / "runs", "progress": False}
    assert train_together(members, **options) == []
    run(members[0][0], seed=1, **options)
    monkeypatch.setattr(together, "train_step", None)
    monkeypatch.setattr(training, "train_step", None)
    done = here("reference/linear", seeds=3, together=3)
    assert done.made == ["reference/linear seed 2", "reference/linear seed 3"]
    made = runs_of(tmp_path / "runs")
    assert {tuple(run.together) for run in made.values()} == {tuple(made)}


@pytest.mark.parametrize(("module", "steps"), [(together, 1), (training, 0)])
def test_cut_off_in_a_half_the_halves_stay(here, monkeypatch, tmp_path, cut_off, module, steps):
    """In the first two; and in the one that is left alone, before it has a checkpoint."""
    exhausted(monkeypatch, above=2)
    with cut_off(module, "train_step", after=steps):
        here("reference/linear", seeds=6, together=3)
    assert not here("reference/linear", seeds=6, together=3).failed
    made = runs_of(tmp_path / "runs")
    assert [[name[-1] for name in run.together or ()] for run in made.values()] == [
        ["1", "2"],
        ["1", "2"],
        [],
        ["4", "5"],
        ["4", "5"],
        [],
    ]
    assert not list((tmp_path / "runs").rglob(MEMBERS))


def test_cut_off_while_it_is_halved_a_group_is_one(here, monkeypatch, tmp_path, cut_off):
    exhausted(monkeypatch, above=2)
    with cut_off(groups, "_remove", after=0):
        here("reference/linear", seeds=4, together=4)
    assert len(list((tmp_path / "runs").rglob(MEMBERS))) == 3
    found, _ = grouped(["reference/linear"], (1, 2, 3, 4), limit=4, runs=tmp_path / "runs")
    assert list(map(len, found)) == [4]


def trained_groups(monkeypatch) -> list[list[str]]:
    """The members of every group that is trained from now on."""
    found, whole = [], groups.fit_together

    def fit(*arguments, names, **options):
        found.append([name[-1] for name in names])
        return whole(*arguments, names=names, **options)

    monkeypatch.setattr(groups, "fit_together", fit)
    return found


def test_a_lost_worker_had_halved_a_group_and_the_next_one_goes_on(tmp_path, monkeypatch, cut_off):
    """Also where there is room for all."""
    members = [(REGISTRY["reference/linear"], seed) for seed in (1, 2, 3, 4, 5)]
    options = {"profile": SMOKE, "device": "cpu", "runs": tmp_path, "progress": False}
    with monkeypatch.context() as small:
        exhausted(small, above=2)
        with cut_off(groups, "fit_together", after=3):  # all, three of them, two of these
            train_together(members, **options)
    trained = trained_groups(monkeypatch)
    assert train_together(members, **options) == []
    assert trained == [["4", "5"]]
    assert train_together(members, **options) == []
    assert len(trained) == 1
    assert not list(tmp_path.rglob(MEMBERS))


def test_a_worker_is_lost_while_it_scores_and_the_next_one_trains_nothing(tmp_path, monkeypatch):
    members = [(REGISTRY["reference/linear"], seed) for seed in (1, 2)]
    options = {"profile": SMOKE, "device": "cpu", "runs": tmp_path, "progress": False}
    trained = trained_groups(monkeypatch)
    for _ in range(2):
        assert train_together(members, **options) == []
    assert trained == [["1", "2"]]


def test_cut_off_while_its_folder_is_removed_a_group_is_trained(here, monkeypatch, tmp_path):
    trained = trained_groups(monkeypatch)

    def cut_short(folder):
        assert [path.name for path in folder.iterdir()] == [MEMBERS]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(groups.shutil, "rmtree", cut_short)
        here("reference/linear", seeds=2, together=2)
    assert len(here("reference/linear", seeds=2, together=2).made) == 2
    assert trained == [["1", "2"]]
    assert not list((tmp_path / "runs" / "sim" / "smoke" / "together").iterdir())


@pytest.mark.parametrize(
    "content", ['["reference/lin', "3", '{"reference/linear seed 1": 1}', "[1]"]
)
def test_a_damaged_list_of_members_is_one_sentence(content, tmp_path):
    path = tmp_path / "sim" / "smoke" / "together" / "0123" / MEMBERS
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(AvvpError, match=r"members.json does not say who .*: delete its folder"):
        grouped(["reference/linear"], (1, 2), limit=2, runs=tmp_path)


def test_killed_at_any_moment_a_group_ends_with_the_same_numbers(here, tmp_path):
    roots = [f"--{name}={tmp_path / name}" for name in ("runs", "results")]
    options = ["--profile=smoke", "--device=cpu", "--only=reference/linear", "--seeds=3"]
    order = [sys.executable, "-m", "avvp.cli", "reproduce", *options, "--together=3", *roots]
    killed = 0
    for sign in (f"together/*/{CHECKPOINT}", f"seed-2/*/{SELECTED}"):
        process = subprocess.Popen(order, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not any((tmp_path / "runs").rglob(sign)) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed, "nothing was killed in time"
    assert not here("reference/linear", seeds=3, together=3).failed
    here("reference/linear", seeds=3, together=3, runs=tmp_path / "whole")
    resumed, whole = (
        {name: (run.metrics, run.together) for name, run in runs_of(root).items()}
        for root in (tmp_path / "runs", tmp_path / "whole")
    )
    assert len(resumed) == 3
    assert resumed == whole


def test_members_of_several_shapes_are_refused(tmp_path):
    members = [(REGISTRY["han/han"], 1), (REGISTRY["reference/linear"], 1)]
    with pytest.raises(AvvpError, match="differ in model, options or protocol"):
        train_together(members, profile=SMOKE, device="cpu", runs=tmp_path)


def test_what_has_to_be_trained_alone_is_refused(tmp_path):
    members = [(REGISTRY["older/ave"], seed) for seed in (1, 2)]
    with pytest.raises(AvvpError, match="older/ave is trained alone: its recurrent layers"):
        train_together(members, profile=SMOKE, device="cpu", runs=tmp_path)
    with pytest.raises(AvvpError, match="older/ave is trained alone: its recurrent layers"):
        step_of(REGISTRY["older/ave"], profile=SMOKE, seeds=(1,), device="cpu")
