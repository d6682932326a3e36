"""What runs took, and what a profile would take."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from avvp.costs import cost_table, foretold, made_table, replay
from avvp.experiments import PROFILES, REGISTRY
from avvp.figures.costs import costs_of_runs, time_left_replayed
from avvp.results import RESULTS, Run, find_runs
from avvp.time_left import work_of


@pytest.fixture(scope="module")
def committed() -> list[Run]:
    return list(find_runs([RESULTS], data="sim", profile="medium").values())


def test_every_committed_run_says_what_made_it(committed):
    first, *others = committed
    elsewhere = replace(first, device="cuda, H100", commit="0123456789")
    *here, there = made_table([*others, elsewhere]).split("Runs that were made on: ")
    assert there.startswith("cuda, H100.\n\n| Experiment |") and "| 0123456 |" in there
    lines = "".join(here).splitlines()
    for name in {run.experiment for run in others}:
        rows = [line for line in lines if line.startswith(f"| `{name}` |")]
        own = [run for run in others if run.experiment == name]
        assert all(any(run.commit[:7] in row for row in rows) for run in own)
    assert made_table([]) == "There are no runs."


def test_seconds_a_step_are_those_of_the_run(committed):
    run = next(run for run in committed if run.experiment == "han/han")
    steps = work_of(run.configuration).steps
    exact = replace(run, seconds=steps * 0.125)
    assert made_table([exact]).splitlines()[-1].endswith("| 125 |")
    other = replace(exact, seconds=steps * 0.0042, seed=2)
    assert made_table([exact, other]).splitlines()[-1].endswith("| 4.2 to 125 |")


def test_a_profile_costs_what_its_runs_cost_in_proportion(committed):
    run = next(run for run in committed if run.experiment == "han/han")
    medium, full = (
        work_of(REGISTRY["han/han"].configuration(PROFILES[name])).steps
        for name in ("medium", "full")
    )
    exact = replace(run, seconds=100.0)
    low, high = foretold(PROFILES["full"], [exact, replace(exact, seed=2)])["han/han"]
    assert low == pytest.approx(80 * full / medium, rel=0.01)
    assert high == pytest.approx(125 * full / medium, rel=0.01)


def test_what_nothing_is_known_of_is_called_unknown(committed):
    run = next(run for run in committed if run.experiment == "han/han")
    lines = cost_table(PROFILES["full"], [run]).splitlines()
    (older,) = [line for line in lines if line.startswith("| older |")]
    assert older.endswith("| 0 | unknown | unknown |")
    assert "| unknown | unknown |" in cost_table(PROFILES["full"], []).splitlines()[-1]


def test_a_replay_ends_with_nothing_left(committed):
    moments = replay(committed)
    whole = sum(run.seconds for run in committed)
    assert len(moments) == len(committed)
    for moment in moments:
        assert moment.elapsed + moment.left == pytest.approx(whole)
    last = moments[-1]
    assert last.left == pytest.approx(0, abs=1e-6)
    assert (last.by_count, last.known, last.unknown) == (0, (0, 0), 0)
    assert moments[0].unknown > 0


def test_a_replay_of_equal_runs_holds_what_is_left(committed):
    run = next(run for run in committed if run.experiment == "han/han")
    moments = replay([replace(run, seed=seed, seconds=60.0) for seed in range(1, 6)])
    for moment in moments:
        assert moment.known.low <= moment.left <= moment.known.high
        assert moment.by_count == pytest.approx(moment.left)


def test_figures_draw_what_there_is(committed):
    figure = costs_of_runs({"committed, medium": committed})
    (ax,) = figure.axes
    assert sorted(ax.lines[0].get_xdata()) == sorted(run.seconds for run in committed)
    figure = time_left_replayed(replay(committed), title="x")
    assert figure.axes[0].get_ylabel() == "time left (hours)"
    plt.close("all")
