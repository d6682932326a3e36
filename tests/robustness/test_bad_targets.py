"""Places where nothing can be written: one sentence that names them, before any work."""

import importlib

import pytest

from avvp.atomic import atomic_path, check_file, check_folder, write_text
from avvp.cli import main
from avvp.data.features import import_features
from avvp.errors import AvvpError
from avvp.exchange import check_target
from tests.unprivileged import unprivileged


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(AvvpError) as caught:
        call(*arguments, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".") and ".part" not in sentence
    return sentence


def test_a_folder_is_no_file_to_write(tmp_path):
    (tmp_path / "a.json").mkdir()
    expected = f"{tmp_path / 'a.json'} is a folder; name a file to write."
    assert refusal(write_text, tmp_path / "a.json", "text") == expected
    with pytest.raises(AvvpError), atomic_path(tmp_path / "a.json"):
        pytest.fail("the work began")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("place", ["notes.txt/a.json", "notes.txt/deep/er/a.json"])
def test_a_file_is_no_folder_to_write_to(place, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert f"{tmp_path / 'notes.txt'} is no folder; name another" in refusal(
        write_text, tmp_path / place, "text"
    )
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("mode", [0o500, 0o600, 0o000])
@pytest.mark.parametrize("place", ["a.json", "there/a.json", "new/deep/a.json"])
def test_a_folder_that_takes_nothing_is_named(place, mode):
    with unprivileged() as folder:
        (folder / "shut" / "there").mkdir(parents=True)
        (folder / "shut" / "there").chmod(mode)
        (folder / "shut").chmod(mode)
        told = refusal(write_text, folder / "shut" / place, "text")
        assert f"Nothing can be written to {folder / 'shut'}" in told and "read-only" in told
        assert refusal(check_folder, (folder / "shut" / place).parent) == told
        (folder / "shut").chmod(0o700)
        assert [path.name for path in folder.rglob("*")] == ["shut", "there"]


def test_what_can_be_written_is_not_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("a.json", "new/deep/a.json", tmp_path / "b.json"):
        check_file(place)
        assert not list(tmp_path.iterdir())
    check_folder("")
    with unprivileged() as folder:
        (folder / "mine").mkdir()
        folder.chmod(0o500)  # the way there need not be writable
        write_text(folder / "mine" / "a" / "b.json", "text")
        assert (folder / "mine" / "a" / "b.json").read_text() == "text"


def test_a_folder_for_events_is_looked_at_before_they_are_found(tmp_path):
    (tmp_path / "notes.txt").touch()
    told = refusal(check_target, tmp_path / "notes.txt" / "a", form="csv", scores=False)
    assert f"{tmp_path / 'notes.txt'} is no folder" in told


def test_an_import_looks_at_its_target_before_it_reads(tmp_path):
    (tmp_path / "a.h5").mkdir()
    told = refusal(import_features, tmp_path / "nowhere", tmp_path / "nowhere", tmp_path / "a.h5")
    assert f"{tmp_path / 'a.h5'} is a folder; name a file" in told
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


FOLDER = "is a folder; name a file to write"
COMMANDS = {
    "simulate": ("data", "simulate", "--profile=smoke", "--out=a.h5"),
    "bench": ("bench", "--device=cpu", "--json=a.h5"),
    "oddities": ("oddities", "--annotations=nowhere", "--out=a.h5"),
    "reference lines": ("reference-lines", "--annotations=nowhere", "--out=a.h5"),
    "statistics": ("data", "statistics", "--annotations=nowhere", "--out=a.h5"),
    "json": ("predict", "features", "--checkpoint=nowhere", "--format=json", "--out=a.h5"),
    "figure": ("predict", "features", "--checkpoint=nowhere", "--figure=a.svg"),
    "page": ("predict", "a.mp4", "--weights=x", "--checkpoint=nowhere", "--html=a.h5"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_looks_at_its_target_first(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("features", "a.h5", "a.svg"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.mp4").touch()
    for name in ("bench", "data.simulate"):
        module = importlib.import_module(f"avvp.{name}")
        monkeypatch.setattr(module, name.split(".")[-1], lambda *_, **__: pytest.fail("work began"))
    assert main(COMMANDS[command]) == 2
    told = capsys.readouterr().err
    assert FOLDER in told and len(told.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "a.mp4", "a.svg", "features"}
