"""Arrays are added to finished runs from their weights, and only where those still say the same."""

import json

import numpy as np
import pytest

from avvp import cli
from avvp.completion import complete
from avvp.errors import AvvpError
from avvp.experiments import PROFILES, REGISTRY, Profile, run
from avvp.results import find_runs, read_arrays, write_arrays

TINY = Profile("tiny", "tests", 16, 8, 8, epochs=1)
LATER = ("gates", "overlap_curve", "timelines/ids")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PROFILES, "tiny", TINY)


def made(name, runs):
    """A tiny run, and what it comes after; the path of its JSON."""
    if REGISTRY[name].after:
        made(REGISTRY[name].after, runs)
    run(REGISTRY[name], profile=TINY, device="cpu", runs=runs, progress=False)
    (path,) = find_runs(runs, experiment=name)
    return path


def forget(path, names=LATER):
    """Take arrays away from a run; returns those that it had."""
    arrays = read_arrays(path)
    write_arrays(path, {k: v for k, v in arrays.items() if k not in names})
    return arrays


def same(some, other):
    return some.keys() == other.keys() and all(
        np.array_equal(some[k], other[k], equal_nan=some[k].dtype.kind == "f") for k in some
    )


@pytest.mark.parametrize(
    "name",
    ["reference/linear", "reference/oracle", "older/talnet", "older/stpn", "mgn/every_second"],
)
def test_what_is_missing_is_added_and_nothing_else_changes(name, tmp_path):
    path = made(name, tmp_path)
    assert complete(path, device="cpu", runs=tmp_path) == []
    before = path.read_bytes()
    whole = forget(path)
    assert sorted(complete(path, device="cpu", runs=tmp_path)) == sorted(LATER)
    assert same(read_arrays(path), whole)
    assert path.read_bytes() == before


def test_an_array_that_is_there_is_not_replaced(tmp_path):
    path = made("reference/linear", tmp_path)
    arrays = forget(path)
    write_arrays(
        path, read_arrays(path) | {"per_video": arrays["per_video"] + 1, "more": arrays["gates"]}
    )
    complete(path, device="cpu", runs=tmp_path)
    now = read_arrays(path)
    assert (now["per_video"] == arrays["per_video"] + 1).all()
    assert (now["more"] == arrays["gates"]).all()


def test_a_run_that_is_predicted_differently_is_left_alone(tmp_path):
    path = made("reference/linear", tmp_path)
    forget(path)
    content = json.loads(path.read_text())
    content["metrics"]["segment/visual"] += 1e-9
    path.write_text(json.dumps(content))
    before = path.with_suffix(".npz").read_bytes()
    with pytest.raises(
        AvvpError, match=r"linear/seed-1\.json says segment/visual .* score .* here"
    ):
        complete(path, device="cpu", runs=tmp_path)
    assert path.with_suffix(".npz").read_bytes() == before


def test_a_stale_run_and_one_without_weights_are_refused(tmp_path, monkeypatch):
    path = made("reference/linear", tmp_path)
    with pytest.raises(AvvpError, match=r"linear \(profile tiny, seed 1\).*weights are not at"):
        complete(path, device="cpu", runs=tmp_path / "elsewhere")
    monkeypatch.setitem(PROFILES, "tiny", Profile("tiny", "tests", 16, 8, 8, epochs=2))
    with pytest.raises(AvvpError, match="is stale, or was made on other data than sim"):
        complete(path, device="cpu", runs=tmp_path)


def test_the_command_completes_copies_and_says_what_failed(tmp_path, capsys):
    runs, copies = tmp_path / "runs", tmp_path / "results"
    path = made("reference/linear", runs)
    copy = copies / path.relative_to(runs)
    copy.parent.mkdir(parents=True)
    for suffix in (".json", ".npz"):
        copy.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    whole = forget(copy)
    before = path.with_suffix(".npz").read_bytes()
    command = ["results", "complete", "--device", "cpu", "--results", str(copies), "--runs"]
    assert cli.main([*command, str(runs), "--lacking", "per_video"]) == 0
    assert capsys.readouterr().out == "0 of 0 runs are complete.\n"
    assert cli.main([*command, str(runs), "--lacking", "gates"]) == 0
    assert capsys.readouterr().out.endswith("3 arrays added\n1 of 1 runs are complete.\n")
    assert same(read_arrays(copy), whole)
    assert path.with_suffix(".npz").read_bytes() == before
    assert cli.main([*command, str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("failed: reference/linear (profile tiny, seed 1) cannot be predicted")
    assert told.endswith("0 of 1 runs are complete.\n")
