"""Tables show printed numbers as printed, and no number of a run that did not happen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avvp.data import load
from avvp.data.simulate import SPLITS
from avvp.data.store_writer import write_videos
from avvp.errors import AvvpError
from avvp.experiments import PROFILES, REGISTRY, Experiment, Profile, open_source
from avvp.metrics import METRICS
from avvp.published import published
from avvp.results import Run, estimate, run_hash, write_run
from avvp.tables import (
    KINDS,
    coverage_table,
    profile_table,
    provenance_table,
    result_table,
    rows_with_runs_table,
    runs_to_draw,
    status_table,
)


@pytest.fixture
def roots(tmp_path) -> dict[str, Path]:
    return {"runs": tmp_path / "runs", "results": tmp_path / "results"}


def store(root: Path, *, name: str = "han/han", profile: str = "full", **changes) -> Run:
    """Write a run of the present configuration that never happened."""
    experiment: Experiment = REGISTRY[name]
    size: Profile = PROFILES[profile]
    run = Run(
        experiment=name,
        profile=profile,
        data="sim",
        simulated=True,
        seed=1,
        configuration=experiment.configuration(size),
        data_fingerprint=open_source("sim", size).fingerprint,
        commit="c0ffee1" + "0" * 33,
        versions={"torch": "2.13"},
        device="an imaginary machine",
        seconds=1234.5,
        peak_memory=3 * 10**9,
        parameters=4_569_675,
        metrics=dict(zip(METRICS, np.linspace(41, 50, 10).tolist(), strict=True)),
        counts=[],
        hash="",
    )
    run = replace(run, **changes)
    run = replace(run, hash=run_hash(run.configuration, run.data_fingerprint, run.seed))
    write_run(root, run, {"per_video": np.zeros((1, 10), np.float16)})
    return run


def cells(table: str) -> list[list[str]]:
    """The lines of a Markdown table without header and rule."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


PRINTED = sorted({(row.paper, row.table, name) for name, e in REGISTRY.items() for row in e.rows})


@pytest.mark.parametrize(("paper", "table", "name"), PRINTED)
@pytest.mark.parametrize("level", ["segment", "event"])
def test_printed_values_are_those_of_published_csv(paper, table, name, level, roots):
    rows = [r for r in REGISTRY[name].rows if (r.paper, r.table) == (paper, table)]
    shown = cells(result_table([name], paper=paper, table=table, level=level, **roots))
    lines = [line[2:] for line in shown if line[1] == "published, LLP"]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        printed = published(*row)
        keys = [f"{level}/{kind}" for kind in KINDS]
        assert [key in printed for key in keys] == [cell != "–" for cell in line]
        for key, cell in zip(keys, line, strict=True):
            assert cell == "–" or float(cell) == printed[key]


def test_without_a_run_the_command_stands_in_its_place(roots):
    table = result_table(["han/han"], paper="mgn", table="Table 1", **roots)
    printed, absent = cells(table)
    assert printed[1] == "published, LLP"
    assert absent[1] == "not run: `avvp reproduce --profile full --only han/han`"
    assert set(absent[2:]) == {"·"} and table.count("·: not run.") == 1
    assert "Simulated LLP" not in table
    assert all(cell for line in cells(table) for cell in line)


def test_full_runs_come_first_and_medium_ones_are_named(roots):
    store(roots["results"], profile="medium", metrics=dict.fromkeys(METRICS, 33.3))
    (_, line) = cells(result_table(["han/han"], paper="mgn", table="Table 1", **roots))
    assert line[1:3] == ["simulated LLP, medium, 1 seed", "33.3"]
    values = [40.0, 41.0, 45.0]
    for seed, value in enumerate(values, start=1):
        store(roots["results"], seed=seed, metrics=dict.fromkeys(METRICS, value))
    table = result_table(["han/han"], paper="mgn", table="Table 1", **roots)
    (_, line) = cells(table)
    mean, half = estimate(values)
    assert line[1:3] == ["simulated LLP, full, 3 seeds", f"{mean:.1f} ±\u00a0{half:.1f}"]
    assert "reproduces no score on LLP" in table


def test_a_table_compares_methods_at_one_scale(roots):
    store(roots["results"], profile="full")
    store(roots["results"], profile="medium", metrics=dict.fromkeys(METRICS, 20.0))
    store(roots["results"], name="ma/c", profile="medium", metrics=dict.fromkeys(METRICS, 30.0))

    def sources(*names: str) -> list[str]:
        shown = cells(result_table(names, paper="mgn", table="Table 1", **roots))
        return [line[1] for line in shown if line[1] != "published, LLP"]

    assert sources("han/han") == ["simulated LLP, full, 1 seed"]
    medium, full = (f"simulated LLP, {name}, 1 seed" for name in ("medium", "full"))
    assert sources("han/han", "ma/c") == [medium, full, medium]
    assert sources("ma/c", "han/han") == [medium, medium, full]
    # One that was never run decides nothing.
    assert sources("han/han", "ma/r")[0] == "simulated LLP, full, 1 seed"
    beside = runs_to_draw("han/han", beside=["ma/c"], **roots)
    assert beside.told == "simulated LLP, medium, 1 seed"
    assert runs_to_draw("han/han", **roots).told == "simulated LLP, full, 1 seed"
    store(roots["results"], name="ma/r", profile="full")
    assert len(set(sources("ma/c", "ma/r"))) == 2  # nothing in common: each its own


def test_this_build_has_a_line_of_its_own(roots):
    store(roots["results"])
    store(roots["runs"], profile="smoke", metrics=dict.fromkeys(METRICS, 5.0))
    options = {"paper": "mgn", "table": "Table 1", **roots}
    lines = cells(result_table(["han/han"], profile="smoke", **options))
    assert [line[1] for line in lines] == [
        "published, LLP",
        "simulated LLP, full, 1 seed",
        "this build: simulated LLP, smoke, 1 seed",
    ]
    lines = cells(result_table(["han/han"], profile="quick", **options))
    assert lines[-1][1] == "not run: `avvp reproduce --profile quick --only han/han`"
    # A build with the committed profile has nothing to add to the committed runs.
    lines = cells(result_table(["han/han"], profile="full", **options))
    assert [line[1] for line in lines] == ["published, LLP", "simulated LLP, full, 1 seed"]


@pytest.mark.parametrize("source", ["LLP", "simulated"])
def test_runs_on_a_file_are_called_after_it_unless_it_is_simulated(source, tmp_path, roots):
    splits = {split: load("smoke", split) for split in SPLITS}
    file = tmp_path / "mine.h5"
    fingerprint = write_videos(file, splits, {"source": source})
    on_file = {"profile": "smoke", "data": "mine.h5", "simulated": source == "simulated"}
    store(roots["runs"], data_fingerprint=fingerprint, **on_file)
    here = {"profile": "smoke", "data": str(file), **roots}
    table = result_table(["han/han"], paper="mgn", table="Table 1", **here)
    world = {"LLP": "mine.h5", "simulated": "simulated LLP"}[source]
    assert cells(table)[-1][1] == f"this build: {world}, smoke, 1 seed"
    caption = table.partition("\n\n")[0]
    assert f"{world}: trained and scored here".lower() in caption.lower()
    assert ("imulated" in caption) == (source == "simulated")
    assert runs_to_draw("han/han", **here).told == f"{world}, smoke, 1 seed"

    # Another file of the same name is another data set.
    write_videos(file, splits, {"source": source, "made": "again"})
    table = result_table(["han/han"], paper="mgn", table="Table 1", **here)
    command = f"`avvp reproduce --profile smoke --only han/han --data {file}`"
    assert cells(table)[-1][1] == f"not run: {command}"
    assert not runs_to_draw("han/han", **here).runs


def test_runs_that_only_this_machine_made_are_not_shown_as_committed(roots):
    store(roots["runs"])
    (_, line) = cells(result_table(["han/han"], paper="mgn", table="Table 1", **roots))
    assert line[1].startswith("not run: ")


def test_stale_runs_are_shown_as_stale_and_only_if_there_are_no_others(roots):
    store(roots["results"], configuration={"model": "older"}, seed=1)
    options = {"paper": "mgn", "table": "Table 1", **roots}
    table = result_table(["han/han"], **options)
    assert cells(table)[1][1] == "simulated LLP, full, 1 seed (stale)"
    assert "Stale: made before" in table
    store(roots["results"], seed=2)
    table = result_table(["han/han"], **options)
    assert cells(table)[1][1] == "simulated LLP, full, 1 seed"
    assert "stale" not in table.lower()


def test_reference_rows_and_reduced_methods_say_what_they_are(monkeypatch, roots):
    reduced = replace(REGISTRY["han/han"], reduced="width 64")
    monkeypatch.setitem(REGISTRY, "han/han", reduced)
    table = result_table(["han/han", "reference/linear"], paper="ma", table="Table 1", **roots)
    assert [line[0] for line in cells(table)] == [
        "HAN",  # as printed
        "HAN (reduced: width 64)",
        "Linear, mean pooling",
    ]


def test_metrics_can_be_chosen(roots):
    table = result_table(
        ["han/han"], paper="mgn", table="Table 1", metrics=["type_av", "event_av"], **roots
    )
    assert table.splitlines()[2] == "| Method | Source | Type@AV | Event@AV |"
    assert cells(table)[0][2:] == ["54.0", "55.4"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"experiments": ["hen/han"]}, "no experiment 'hen/han'; there are han/han"),
        ({"paper": "nature"}, "no 'Table 1' of paper 'nature'"),
        ({"table": "Table 9"}, "no 'Table 9' of paper 'mgn'"),
        ({"level": "frame"}, "No metric is called 'frame/audio'"),
        ({"metrics": ["accuracy"]}, "No metric is called 'segment/accuracy'"),
        ({"profile": "huge"}, "no profile 'huge'"),
        ({"profile": "quick", "data": "nowhere.h5"}, "nowhere.h5"),
    ],
)
def test_unknown_names_are_one_sentence(changes, sentence, roots):
    options = {"experiments": ["han/han"], "paper": "mgn", "table": "Table 1", **roots} | changes
    with pytest.raises(AvvpError, match=sentence.replace("(", r"\(")):
        result_table(options.pop("experiments"), **options)


def test_provenance_names_commit_device_time_and_versions(roots):
    for seed in (1, 2):
        store(roots["results"], seed=seed)
    table = provenance_table(["han/han"], **roots)
    made = ["simulated LLP, full", "1, 2", "1,234", "3.0", "4,569,675", "c0ffee1"]
    assert cells(table)[0][1:] == made
    assert "numbers above: an imaginary machine; torch 2.13." in table
    (line,) = cells(provenance_table(["reference/linear"], **roots))
    assert line[1] == "not run: `avvp reproduce --profile full --only reference/linear`"


def test_provenance_has_a_column_for_what_is_not_the_same_everywhere(roots):
    store(roots["results"])
    store(roots["results"], name="reference/linear", device="another machine")
    table = provenance_table(["han/han", "reference/linear", "ma/c"], **roots)
    assert [line[-1] for line in cells(table)] == ["an imaginary machine", "another machine", "·"]
    assert "numbers above: torch 2.13." in table


def test_the_status_lists_every_experiment_and_what_the_profile_changes(roots):
    store(roots["results"])
    store(roots["runs"], profile="quick", seconds=12.0)
    lines = {line[0].split("`")[1]: line for line in cells(status_table("quick", **roots))}
    assert list(lines) == list(REGISTRY)
    assert lines["han/han"][0] == "HAN `han/han`"
    assert "training.epochs 40 → 8 (profile quick)" in lines["han/han"][2]
    assert lines["han/han"][3] == (
        "simulated LLP, full, 1 seed, 1,234 s each; "
        "this build: simulated LLP, quick, 1 seed, 12 s each"
    )
    assert lines["reference/oracle"][2] == "nothing"
    assert (
        "`avvp reproduce --profile quick --only reference/oracle`" in lines["reference/oracle"][3]
    )
    assert lines["ma/c_smoothing_0"][3] == "`avvp sweep`"


def test_profiles_are_listed():
    profiles = {line[0]: line for line in cells(profile_table())}
    assert list(profiles) == list(PROFILES)
    assert profiles["quick"][1:] == [
        "1,000 / 200 / 400",
        "at most 8",
        "1",
        "core",
        "try the code on a laptop",
    ]


def test_coverage_counts_what_the_registry_regenerates(monkeypatch):
    monkeypatch.setattr("avvp.experiments.REGISTRY", {"han/han": REGISTRY["han/han"]})
    coverage = {tuple(line[:2]): line for line in cells(coverage_table())}
    assert coverage["MGN", "Table 1"][2:4] == ["10", "1"]
    assert "MGN (C+R)" in coverage["MGN", "Table 1"][4]


def test_rows_with_runs_are_counted_by_table_and_build(roots):
    store(roots["results"], name="mgn/mgn", profile="medium")
    store(roots["runs"], name="mgn/mgn", profile="smoke")
    store(roots["runs"], name="han/han", profile="smoke")
    lines = {tuple(line[:2]): line[2:] for line in cells(rows_with_runs_table(**roots))}
    assert lines["MGN", "Table 1"] == ["10", "10", "1"]
    lines = {
        tuple(line[:2]): line[2:] for line in cells(rows_with_runs_table(profile="smoke", **roots))
    }
    assert lines["MGN", "Table 1"] == ["10", "10", "1", "2"]
    assert lines["MA", "Table 3"] == ["3", "3", "0", "0"]


def test_a_notebook_shows_a_table_as_markdown():
    assert profile_table()._repr_markdown_() == profile_table()
