"""``avvp --with FILE.py``: a reader's own method under every command."""

import sys
from pathlib import Path

import pytest

from avvp.cli import main
from avvp.experiments import REGISTRY
from avvp.models import MODELS, from_pretrained
from avvp.results import find_runs

EXAMPLE = Path("examples/add_a_method.py")


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """A file adds its methods, its module and its folder to this process: take them out again."""
    kept = dict(REGISTRY), dict(MODELS), set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for known, before in zip((REGISTRY, MODELS), kept, strict=False):
        known.clear()
        known.update(before)
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


@pytest.fixture
def avvp(tmp_path, capsys):
    def command(file, *arguments) -> tuple[int, str]:
        status = main(["--with", str(file), *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out + told.err

    return command


def test_a_method_is_trained_listed_and_packed_by_the_command(avvp, tmp_path):
    file = tmp_path / "my_method.py"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    folders = [f"--{name}={tmp_path / name}" for name in ("runs", "results")]
    smoke = ["reproduce", "--profile=smoke", "--only=mine/*", "--device=cpu", *folders]
    # Two processes, which read the file by themselves.
    status, told = avvp(file, *smoke, "--seeds=2", "--jobs=2", "--backend=loky")
    assert (status, "2 runs made, 0 were there, 0 failed." in told) == (0, True), told
    assert "0 runs made, 2 were there, 0 failed." in avvp(file, *smoke, "--seeds=2")[1]
    first, _ = find_runs(tmp_path / "runs")
    assert avvp(file, "results", "list", *folders)[1].count("Type@AV") == 2

    status, told = avvp(file, "pack", first, f"--out={tmp_path / 'shared'}", "--device=cpu")
    assert status == 0, told
    assert type(from_pretrained(tmp_path / "shared")).__name__ == "Surest"
    status, told = avvp(file, "export", "--run", first, "--format=csv", f"--out={tmp_path / 'out'}")
    assert status == 0, told


def test_without_its_file_a_run_is_not_called_stale(avvp, tmp_path, capsys):
    file = tmp_path / "my_method.py"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    folders = [f"--{name}={tmp_path / name}" for name in ("runs", "results")]
    avvp(file, "reproduce", "--profile=smoke", "--only=mine/*", "--device=cpu", *folders)
    del REGISTRY["mine/surest"]
    assert main(["results", "list", *folders]) == 0
    assert capsys.readouterr().out.endswith("not in the registry\n")
    (path,) = find_runs(tmp_path / "runs")
    assert main(["pack", str(path), "--out", str(tmp_path / "shared")]) == 2
    assert "read from its file: avvp --with FILE.py COMMAND." in capsys.readouterr().err
    assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("my_file.txt", "", "is no Python file; name one that adds experiments to REGISTRY"),
        ("my-file.py", "", "cannot be imported; name it by letters, digits and underscores"),
        ("torch.py", "", "has the name of another module"),
        ("my_empty.py", "VALUE = 1\n", "adds nothing to avvp.experiments.REGISTRY"),
        ("my_fault.py", "\nx = (\n", "line 2: SyntaxError: '(' was never closed"),
        ("my_fault.py", "import json\n\njson.loads('{')\n", "line 3: JSONDecodeError: Expecting"),
        ("my_fault.py", "x = 1\nimport my_broken\n", "line 2: SyntaxError: '(' was never closed"),
        ("my_fault.py", "x = 1\0\n", "Error: source code string cannot contain null bytes"),
        ("my_fault.py", "import my_other_one\n", "line 1: ModuleNotFoundError: No module named"),
    ],
)
def test_a_file_that_is_no_method_is_one_sentence(name, content, sentence, avvp, tmp_path):
    (tmp_path / name).write_text(content)
    (tmp_path / "my_broken.py").write_text("\n\n\nx = (\n")
    status, told = avvp(tmp_path / name, "results", "list")
    assert status == 2
    assert told.startswith(f"avvp: {tmp_path / name}") and sentence in told
    assert told.count("\n") == 1


def test_a_file_that_is_not_there_is_one_sentence(avvp, tmp_path):
    status, told = avvp(tmp_path / "my_lost.py", "results", "list")
    assert status == 2
    assert "my_lost.py is no Python file" in told


def test_a_file_may_be_read_twice(avvp, tmp_path):
    file = tmp_path / "my_method.py"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    for _ in range(2):
        assert avvp(file, "results", "list", "mine/*")[0] == 0
