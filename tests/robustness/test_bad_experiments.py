"""Bad input to ``avvp reproduce`` and ``avvp results``: one sentence, a status, no file."""

import pytest

from avvp.cli import main
from avvp.cluster import BACKENDS
from avvp.errors import AvvpError
from avvp.fan_out import reproduce


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--profile=huge"], "There is no profile 'huge'; choose one of published, smoke"),
        (["--profile=published"], "trains nothing; choose smoke"),
        (["--only=hen/han"], "No experiment matches 'hen/han'; there are han/han"),
        (["--data=nowhere.h5"], "nowhere.h5"),
        (["--seeds=0"], "seeds is 0; it must be at least 1"),
        (["--jobs=-1"], "jobs is -1; it must be at least 1"),
        (["--backend=slurm"], "no backend 'slurm'; choose one of sequential, loky, dask, ray"),
        (["--device=abacus"], "device 'abacus' is not on this machine"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, sentence, tmp_path, capsys):
    folders = [f"--runs={tmp_path / 'runs'}", f"--results={tmp_path / 'results'}"]
    assert main(["reproduce", "--profile=smoke", *folders, *options]) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.startswith("avvp: ")
    assert told.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_backend_whose_package_is_absent_is_named(name, tmp_path, monkeypatch):
    monkeypatch.setitem(BACKENDS, name, "a_package_that_nobody_has")
    with pytest.raises(AvvpError, match="needs the package a_package_that_nobody_has"):
        reproduce(
            profile="smoke", backend=name, only="reference/oracle", runs=tmp_path, results=tmp_path
        )
    assert not list(tmp_path.iterdir())


def test_half_a_result_stops_every_command_with_its_name(tmp_path, capsys):
    folders = [f"--runs={tmp_path / 'runs'}", f"--results={tmp_path / 'results'}"]
    path = tmp_path / "runs" / "sim" / "medium" / "reference" / "oracle" / "seed-1.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": 1, "experiment": "reference/or')
    for command in (
        ["reproduce", "--profile=medium", "--only=reference/oracle"],
        ["results", "list"],
        ["results", "publish", "*"],
    ):
        assert main([*command, *folders]) == 2
        told = capsys.readouterr().err
        assert f"{path} is not complete JSON" in told
        assert "delete it" in told
        assert told.count("\n") == 1
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
