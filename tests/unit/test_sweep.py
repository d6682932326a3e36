"""The sweep over the simulator's parameters: its definition, its runs, resumption."""

from dataclasses import asdict, replace

import pytest

from avvp.cli import main
from avvp.data.simulate import SimulatorConfig, simulate
from avvp.errors import AvvpError
from avvp.experiments import REGISTRY, is_current, open_source, run
from avvp.registry import PROFILES
from avvp.results import RESULTS, find_runs, read_arrays
from avvp.sweep import GROUPING, KNOBS, REFINEMENT, STAGES, points, progress, publish_sweep, sweep
from avvp.worlds import PARAMETERS, SWEEP, at_world, is_world, simulator_of

TINY = replace(SWEEP, train=16, val=4, test=6, epochs=1)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A sweep of one point and two experiments, the second of which comes after the first."""
    for module in ("avvp.sweep", "avvp.experiments"):
        monkeypatch.setattr(f"{module}.SWEEP", TINY)
    stage = STAGES[1]._replace(experiments=("ma/c", "ma/r"))
    monkeypatch.setattr("avvp.sweep.STAGES", (stage,))
    return {"runs": tmp_path / "runs", "results": tmp_path / "results"}


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)
def test_a_parameter_moves_what_it_names_and_nothing_else(parameter):
    low, middle, high = parameter.values
    assert low < middle < high
    assert parameter.default in parameter.values
    default = asdict(simulator_of("sim", SWEEP))
    for value in parameter.values:
        world = parameter.world(value)
        assert is_world(world)
        config = asdict(simulator_of(world, SWEEP))
        changed = {name for name in config if config[name] != default[name]}
        assert bool(changed) == (value != parameter.default)
        assert changed <= set(parameter.changes(value))


def test_the_default_world_is_the_calibrated_simulator():
    sizes = {"train": SWEEP.train, "val": SWEEP.val, "test": SWEEP.test}
    assert simulator_of("sim", SWEEP) == SimulatorConfig(**sizes)
    assert open_source("sim", PROFILES["full"]).origin == SimulatorConfig()
    for parameter in PARAMETERS.values():
        assert parameter.world(parameter.default) == "sim"


def test_the_share_of_one_modality_events_is_the_one_that_the_range_names():
    parameter = PARAMETERS["one_modality"]
    for value, share in zip(parameter.values, ("18 %", "37 %", "63 %"), strict=True):
        config = replace(simulator_of(parameter.world(value), SWEEP), test=1_500)
        videos = simulate(config, "test")
        heard, seen = videos.true_audio.any(2), videos.true_visual.any(2)
        found = 100 * (heard ^ seen).sum() / (heard | seen).sum()
        assert abs(found - float(share.split()[0])) < 1
        assert share in parameter.why


def test_a_world_of_another_size_changes_the_profile_too():
    assert at_world(SWEEP, "sim-train-500").train == 500
    assert at_world(SWEEP, "sim-asynchrony-1") == at_world(SWEEP, "sim") == SWEEP
    assert at_world(SWEEP, "somewhere/llp.h5") == SWEEP


def test_worlds_that_there_are_not():
    assert not is_world("sim-2.h5")
    with pytest.raises(AvvpError, match="moves 'colour'; a simulated world moves one of shared"):
        open_source("sim-colour-3", SWEEP)
    with pytest.raises(AvvpError, match="No world of the sweep"):
        points("sim-colour-*")


def test_the_sweep_has_every_point_once():
    told = points()
    pairs = [(point.world, name) for point in told for name in point.experiments]
    assert len(pairs) == len(set(pairs)) == 70
    assert set(REFINEMENT) | set(GROUPING) | set(KNOBS) <= set(REGISTRY)
    refined = {world for world, name in pairs if name == "ma/cr"}
    assert len(refined) == 2 * len(PARAMETERS) + 1
    assert {world.split("-")[1] for world in refined if world != "sim"} == set(PARAMETERS)
    grouped = {world for world, name in pairs if name in GROUPING}
    assert len(grouped) == 5
    assert sum(entry.runs for entry in progress()) == 210


def test_what_an_experiment_comes_after_is_in_its_stage():
    for stage in STAGES:
        for name in stage.experiments:
            before = REGISTRY[name].after
            assert before is None or before in (*stage.experiments, "ma/c")


def test_a_tiny_sweep_end_to_end(tiny):
    made = list(sweep(seeds=1, device="cpu", **tiny))
    assert [(run.data, run.experiment) for run in made] == [
        (world, name)
        for world in ("sim-shared_dynamics-0", "sim-shared_dynamics-3")
        for name in ("ma/c", "ma/r")
    ]
    assert all(is_current(run) and run.simulated for run in made)
    assert len({run.data_fingerprint for run in made}) == 2
    assert not list(tiny["runs"].rglob("*.pt"))  # weights are gone with their point

    published = publish_sweep(**tiny).copied
    assert len(published) == 4
    arrays = read_arrays(published[0])
    assert arrays["per_video"].shape == (TINY.test, 10)
    assert "gates" in arrays
    assert not [name for name in arrays if name.startswith("timelines/")]
    again = publish_sweep(**tiny)  # nothing is copied twice
    assert (again.copied, again.present, again.skipped) == ([], published, {})
    assert is_current(next(iter(find_runs(tiny["results"]).values())))


def test_a_sweep_goes_on_where_it_was_cut_off(tiny):
    first = sweep(seeds=1, device="cpu", **tiny)
    assert next(first).experiment == "ma/c"
    first.close()
    assert [entry.missing for entry in progress(seeds=1, **tiny)] == [1, 2]
    rest = [(run.data[-1], run.experiment) for run in sweep(seeds=1, device="cpu", **tiny)]
    assert rest == [("0", "ma/r"), ("3", "ma/c"), ("3", "ma/r")]
    assert not list(sweep(seeds=1, device="cpu", **tiny))


def test_a_run_goes_stale_with_its_world(tiny, monkeypatch):
    done = run(
        REGISTRY["ma/c"],
        profile=TINY,
        data="sim-train-8",
        device="cpu",
        progress=False,
        runs=tiny["runs"],
    )
    assert done.configuration["videos"]["train"] == 8
    assert is_current(done)
    axis = PARAMETERS["train"]
    other = replace(axis, changes=lambda value: {"train": int(value) + 1})
    monkeypatch.setitem(PARAMETERS, "train", other)
    assert not is_current(done)


def test_the_command_says_what_is_missing(tiny, capsys):
    folders = [f"--{name}={folder}" for name, folder in tiny.items()]
    assert main(["sweep", "list", "--seeds=2", *folders]) == 0
    assert "8 of 8 runs of the sweep are missing." in capsys.readouterr().out
    assert main(["sweep", "list", "--worlds=sim-colour-*", *folders]) == 2
    assert "No world of the sweep matches" in capsys.readouterr().err
    command = ["sweep", "--worlds=sim-shared_dynamics-3", "--seeds=1", "--device=cpu", *folders]
    assert main(command) == 0
    assert "2 of 2  sim-shared_dynamics-3 ma/r seed 1" in capsys.readouterr().out
    assert main(["sweep", "publish", *folders]) == 0
    *paths, counts = capsys.readouterr().out.splitlines()
    assert len(paths) == 2
    assert counts == "2 runs published, 0 were there, 0 skipped."


@pytest.mark.parametrize("seeds", [0, -2])
@pytest.mark.parametrize("action", ["run", "list"])
def test_fewer_seeds_than_one_are_refused(tiny, action, seeds, capsys):
    folders = [f"--{name}={folder}" for name, folder in tiny.items()]
    assert main(["sweep", action, f"--seeds={seeds}", *folders]) == 2
    told = capsys.readouterr()
    assert f"seeds is {seeds}; it must be at least 1." in told.err and not told.out
    with pytest.raises(AvvpError, match="at least 1"):
        next(sweep(seeds=seeds, device="cpu", **tiny))


def test_the_committed_sweep_is_whole_and_nothing_else(tmp_path):
    assert not sum(told.missing for told in progress(runs=tmp_path, results=RESULTS))
    wanted = {(point.world, name) for point in points() for name in point.experiments}
    found = find_runs(RESULTS, data="sim*", profile=SWEEP.name).values()
    assert {(run.data, run.experiment) for run in found} == wanted
    assert len(found) == sum(told.runs for told in progress(runs=tmp_path, results=RESULTS))
