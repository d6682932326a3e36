"""The store of results: written whole, read with care, summarised over seeds."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avvp import results
from avvp.cli import main
from avvp.errors import AvvpError
from avvp.metrics import METRICS
from avvp.results import (
    Run,
    estimate,
    find_runs,
    mark_stale,
    publish,
    read_arrays,
    read_run,
    root_of,
    run_hash,
    summarise,
    write_run,
)

ARRAYS = {"per_video": np.zeros((3, 10), np.float16)}


def made(**changes) -> Run:
    """A run that never happened, for tests of the store."""
    run = Run(
        experiment="han/han",
        profile="medium",
        data="sim",
        simulated=True,
        seed=1,
        configuration={"model": "han"},
        data_fingerprint="f" * 16,
        commit="0" * 40,
        versions={"torch": "2"},
        device="a machine",
        seconds=12.5,
        peak_memory=1 << 30,
        parameters=7,
        metrics={name: 10.0 + i for i, name in enumerate(METRICS)},
        counts=[[[[1, 2, 3]] * 25] * 4] * 2,
        hash="",
    )
    run = replace(run, **changes)
    return replace(run, hash=run_hash(run.configuration, run.data_fingerprint, run.seed))


def test_a_run_comes_back_as_it_was_written(tmp_path):
    run = made()
    path = write_run(tmp_path, run, ARRAYS)
    assert path == tmp_path / "sim" / "medium" / "han" / "han" / "seed-1.json"
    assert read_run(path) == run
    assert read_arrays(path)["per_video"].dtype == np.float16
    assert [p.name for p in sorted(path.parent.iterdir())] == ["seed-1.json", "seed-1.npz"]


def test_the_hash_depends_on_what_determines_a_run_and_on_nothing_else():
    run = made()
    assert made(commit="1" * 40, seconds=1.0, device="another").hash == run.hash
    assert made(seed=2).hash != run.hash
    assert made(configuration={"model": "linear"}).hash != run.hash
    assert made(data_fingerprint="e" * 16).hash != run.hash


def test_runs_are_found_by_pattern_in_natural_order(tmp_path):
    for seed in (10, 2, 1):
        write_run(tmp_path, made(seed=seed), ARRAYS)
    write_run(tmp_path, made(experiment="reference/linear"), ARRAYS)
    write_run(tmp_path, made(profile="full", data="llp"), ARRAYS)
    found = find_runs(tmp_path, data="sim", experiment="han/*")
    assert [run.seed for run in found.values()] == [1, 2, 10]
    assert len(find_runs(tmp_path)) == 5
    assert len(find_runs(tmp_path, profile="full")) == 1
    assert len(find_runs(tmp_path, seed=1)) == 3
    assert find_runs(tmp_path / "nothing") == {}


def test_the_first_root_wins(tmp_path):
    first, second = tmp_path / "runs", tmp_path / "results"
    write_run(first, made(device="first"), ARRAYS)
    write_run(second, made(device="second"), ARRAYS)
    write_run(second, made(device="second", seed=2), ARRAYS)
    found = find_runs([first, second]).values()
    assert [run.device for run in found] == ["first", "second"]


def test_one_run_has_no_interval_and_three_have_students():
    assert estimate([4.0]) == (4.0, None)
    mean, half = estimate([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302653 / 3**0.5, abs=1e-5)  # t(2) at 97.5 %, s = 1


def test_a_summary_covers_every_metric_over_seeds():
    runs = [made(seed=s, metrics=dict.fromkeys(METRICS, 50.0 + s)) for s in (1, 2, 3)]
    summary = summarise(runs)
    assert summary.runs == 3
    assert not summary.stale
    assert set(summary.metrics) == set(METRICS)
    assert summary.metrics["event/audio"].mean == 52
    assert summarise([*runs, made(seed=4, stale=True)]).stale


@pytest.mark.parametrize(
    "other",
    [made(seed=1), made(seed=2, profile="full"), made(seed=2, data_fingerprint="another")],
)
def test_a_summary_refuses_runs_that_do_not_belong_together(other):
    with pytest.raises(AvvpError, match="not different seeds of one experiment"):
        summarise([made(), other])
    with pytest.raises(AvvpError, match="no runs"):
        summarise([])


@pytest.fixture
def roots(tmp_path) -> dict[str, Path]:
    return {"runs": tmp_path / "runs", "results": tmp_path / "results"}


def current(run: Run) -> bool:
    """Whether the registry of these tests would make the run today."""
    return run.configuration == {"model": "han"}


def test_publishing_copies_both_files_of_medium_and_full_runs(roots):
    write_run(roots["runs"], made(), ARRAYS)
    write_run(roots["runs"], made(profile="smoke"), ARRAYS)
    write_run(roots["runs"], made(experiment="reference/linear"), ARRAYS)
    done = publish("han/*", current=current, **roots)
    (path,) = done.copied
    assert not done.present and not done.skipped
    assert path == roots["results"] / "sim" / "medium" / "han" / "han" / "seed-1.json"
    assert read_run(path) == made()
    assert read_arrays(path).keys() == ARRAYS.keys()
    assert len(find_runs(roots["results"])) == 1


def test_publishing_again_adds_arrays_and_takes_none_away(roots):
    more = {"gates": np.zeros((3, 10)), "by_length": np.zeros((2, 10))}
    write_run(roots["runs"], made(), ARRAYS | {"gates": more["gates"]})
    path = write_run(roots["results"], made(device="its own"), ARRAYS | more)
    before = path.with_suffix(".npz").read_bytes()
    assert publish("*", current=current, **roots).present == [path]
    assert path.with_suffix(".npz").read_bytes() == before

    committed = {"per_video": ARRAYS["per_video"] + 1, "by_length": more["by_length"]}
    write_run(roots["results"], made(device="its own"), committed)
    assert publish("*", current=current, **roots).copied == [path]
    assert read_arrays(path).keys() == {"per_video", "gates", "by_length"}
    assert (read_arrays(path)["per_video"] == 1).all()
    assert read_run(path) == made(device="its own")

    mark_stale(path)  # but the registry has come back to it
    assert publish("*", current=current, **roots).copied == [path]
    assert not read_run(path).stale


def test_an_outgrown_run_replaces_none_and_is_replaced(roots):
    old, new = made(configuration={"model": "older"}), made()
    path = write_run(roots["runs"], old, ARRAYS)
    committed = write_run(roots["results"], new, ARRAYS)
    done = publish("*", current=current, **roots)
    assert done.skipped == {path: "the registry or the simulator has outgrown it, or lacks it"}
    assert read_run(committed) == new

    write_run(roots["runs"], new, ARRAYS)
    write_run(roots["results"], old, {"gone": np.zeros(1)})
    assert publish("*", current=current, **roots).copied == [committed]
    assert read_run(committed) == new
    assert read_arrays(committed).keys() == ARRAYS.keys()


def test_the_command_says_what_it_skipped_and_why(roots, monkeypatch, capsys):
    monkeypatch.setattr("avvp.experiments.is_current", current)
    old = write_run(roots["runs"], made(configuration={"model": "older"}), ARRAYS)
    write_run(roots["runs"], made(seed=2), ARRAYS)
    folders = [f"--{name}={folder}" for name, folder in roots.items()]
    assert main(["results", "publish", "*", *folders]) == 0
    copied, skipped, counts = capsys.readouterr().out.splitlines()
    assert copied == str(roots["results"] / "sim/medium/han/han/seed-2.json")
    assert skipped == f"skipped: {old}: the registry or the simulator has outgrown it, or lacks it"
    assert counts == "1 runs published, 0 were there, 1 skipped."


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metrics": {name: 11.0 for name in METRICS}}, "is the same run with other scores"),
        ({"data_fingerprint": "e" * 16}, "was made on other data of that name"),
    ],
)
def test_a_committed_run_that_is_current_is_not_replaced(roots, changes, reason):
    path = write_run(roots["runs"], made(**changes), ARRAYS)
    committed = write_run(roots["results"], made(), ARRAYS)
    assert reason in publish("*", current=current, **roots).skipped[path]
    assert read_run(committed) == made()


def test_a_run_without_its_arrays_is_not_published(roots):
    path = write_run(roots["runs"], made(), ARRAYS)
    path.with_suffix(".npz").unlink()
    with pytest.raises(AvvpError, match=r"seed-1\.npz is not there"):
        publish("*", current=current, **roots)
    assert not roots["results"].exists()


@pytest.mark.parametrize("killed_at", [".npz", ".json"])
def test_a_kill_never_leaves_new_arrays_beside_an_old_run(tmp_path, monkeypatch, killed_at):
    path = write_run(tmp_path, made(), ARRAYS)
    replace_file = Path.replace

    def replaced(self, target):
        if target.suffix == killed_at:
            raise KeyboardInterrupt
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, made(device="another"), ARRAYS)
    assert not find_runs(tmp_path)
    monkeypatch.undo()
    assert read_run(write_run(tmp_path, made(device="another"), ARRAYS)).device == "another"
    assert sorted(p.name for p in path.parent.iterdir()) == ["seed-1.json", "seed-1.npz"]


def test_a_name_is_found_as_it_is_and_not_as_a_set_of_characters(tmp_path):
    write_run(tmp_path, made(data="llp[v2].h5"), ARRAYS)
    write_run(tmp_path, made(data="llpv.h5"), ARRAYS)
    (run,) = find_runs(tmp_path, data="llp[v2].h5", experiment="han/*").values()
    assert run.data == "llp[v2].h5"


def test_a_stale_run_is_marked_and_nothing_else_changes(tmp_path):
    path = write_run(tmp_path, made(), ARRAYS)
    mark_stale(path)
    assert read_run(path) == replace(made(), stale=True)


def test_the_file_has_one_line_an_entry(tmp_path):
    path = write_run(tmp_path, made(), ARRAYS)
    lines = path.read_text().splitlines()
    assert len(lines) == len(json.loads(path.read_text())) + 2
    assert len(path.read_text()) < 10_000


def _damage_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.pop("seed"), "no entry 'seed'"),
        (lambda c: c.update(schema=99), "schema 99"),
        (lambda c: c.pop("schema"), "has no schema, so it is not"),
        (lambda c: c.update(seed="one"), "'seed' is 'one', expected int"),
        (lambda c: c.update(seed=True), "'seed' is True, expected int"),
        (lambda c: c.update(hallo=1), "unknown entry 'hallo'"),
        (lambda c: c["metrics"].pop("event/audio"), "the ten numbers"),
        (lambda c: c["metrics"].update({"event/audio": "high"}), "the ten numbers"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, change, sentence):
    path = write_run(tmp_path, made(), ARRAYS)
    _damage_json(path, change)
    with pytest.raises(AvvpError, match=re.escape(sentence)) as caught:
        read_run(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 1, 200])
def test_half_a_json_is_refused_in_one_sentence(tmp_path, kept):
    path = write_run(tmp_path, made(), ARRAYS)
    path.write_text(path.read_text()[:kept])
    with pytest.raises(AvvpError, match=r"seed-1\.json is not complete JSON.*delete it"):
        find_runs(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "pickled", "empty"])
def test_damaged_arrays_are_refused_in_one_sentence(tmp_path, damage):
    path = write_run(tmp_path, made(), ARRAYS).with_suffix(".npz")
    if damage == "pickled":
        np.savez(path, per_video=np.array([object()]))
    else:
        path.write_bytes(path.read_bytes()[: 60 if damage == "cut" else 0])
    with pytest.raises(AvvpError, match=r"seed-1\.npz cannot be read") as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_old_run_and_no_other_file(tmp_path, monkeypatch):
    path = write_run(tmp_path, made(), ARRAYS)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        write_run(tmp_path, made(device="another"), ARRAYS)
    assert read_run(path) == made()
    assert sorted(p.name for p in path.parent.iterdir()) == ["seed-1.json", "seed-1.npz"]


def test_numbers_that_json_does_not_know_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_run(tmp_path, made(seconds=float("nan")), ARRAYS)
    assert not list(tmp_path.rglob("*.json"))


def test_what_is_no_run_is_not_to_be_deleted(tmp_path):
    for name, content in (("llp.h5", b"\x89HDF"), ("other.json", b"{}")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AvvpError, match="is not the JSON file of a run") as error:
            read_run(tmp_path / name)
        assert name in str(error.value) and "delete" not in str(error.value)


def test_a_run_that_was_moved_does_not_say_where_all_runs_are(tmp_path):
    path = write_run(tmp_path / "runs", made(), ARRAYS)
    assert root_of(path, made()) == tmp_path / "runs"
    for name in ("seed-1.json", "sim/medium/other/han/seed-1.json"):
        moved = tmp_path / "elsewhere" / name
        with pytest.raises(AvvpError, match=r"in \.\.\./sim/medium/han/han/seed-1.json; .*--runs"):
            root_of(moved, made())
