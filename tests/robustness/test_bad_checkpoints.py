"""Files that are no checkpoint: one sentence, and nothing in them is run."""

import pickle
from pathlib import Path

import pytest
import torch

from avvp.errors import AvvpError
from avvp.models import build, load_released
from avvp.models.released import released_name
from avvp.training import read_weights
from tests.unprivileged import unprivileged


class Alarm:
    """An object whose unpickling would leave a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def write(kind: str, path: Path, trace: Path) -> None:
    if kind == "text":
        path.write_text("weights\n")
    elif kind == "empty":
        path.touch()
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Alarm(trace)))
    elif kind == "torch":
        torch.save({"state_dict": Alarm(trace)}, path)
    elif kind == "network":
        torch.save(build("linear"), path)
    else:
        torch.save(build("linear").state_dict(), path)
        path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize("kind", ["text", "empty", "pickle", "torch", "network", "half"])
def test_what_is_no_state_dict_is_one_sentence_and_is_not_run(kind, tmp_path):
    path, trace = tmp_path / "weights.pt", tmp_path / "trace"
    write(kind, path, trace)
    with pytest.raises(AvvpError, match=r"weights.pt is not a checkpoint of tensors") as caught:
        load_released("mgn", path)
    assert "\n" not in str(caught.value)
    with pytest.raises(AvvpError, match=r"weights.pt is not a checkpoint of tensors"):
        read_weights(build("han"), path)
    assert not trace.exists()


def test_a_machine_without_memory_does_not_call_a_file_damaged(tmp_path, monkeypatch):
    torch.save(build("linear").state_dict(), tmp_path / "weights.pt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        read_weights(build("linear"), tmp_path / "weights.pt")


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path):
    with pytest.raises(AvvpError, match=r"nowhere.pt is not there"):
        load_released("han", tmp_path / "nowhere.pt")
    with pytest.raises(AvvpError, match="is a folder"):
        load_released("han", tmp_path)


def test_a_file_that_may_not_be_read_is_one_sentence():
    with unprivileged() as folder:
        torch.save({}, folder / "a.pt")
        (folder / "a.pt").chmod(0)
        with pytest.raises(AvvpError, match=r"a.pt can't be read \(Permission denied\); change"):
            load_released("han", folder / "a.pt")


def test_released_weights_that_are_not_finite_are_one_sentence():
    network = build("han")
    state = {released_name("han", name): value for name, value in network.state_dict().items()}
    name = released_name("han", "front_end.audio.weight")
    state[name] = torch.full_like(state[name], torch.nan)
    with pytest.raises(AvvpError, match=f"{name}' holds values that are not finite"):
        load_released("han", state)


def test_a_released_checkpoint_is_read_from_its_file(tmp_path):
    network = build("mgn", depths=(1, 2, 1))
    released = {released_name("mgn", name): value for name, value in network.state_dict().items()}
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in released.items()}},
        tmp_path / "a.pt",
    )
    loaded = load_released("mgn", tmp_path / "a.pt")
    for name, value in network.state_dict().items():
        assert loaded.state_dict()[name].equal(value)


def _changed(change, released: dict) -> object:
    first = next(iter(released))
    return {
        "list": [released],
        "empty": {},
        "text": released | {first: "many"},
        "missing": {name: value for name, value in released.items() if name != first},
        "unknown": released | {"extra": torch.zeros(1)},
        "shape": released | {first: torch.zeros(3, 1)},
        "size": released,
    }[change]


@pytest.mark.parametrize("change", ["list", "empty", "text", "missing", "unknown", "shape", "size"])
def test_a_file_that_does_not_fit_is_named(change, tmp_path):
    state = build("mgn", depths=(1, 1, 1)).state_dict()
    released = {released_name("mgn", name): value for name, value in state.items()}
    path, content = tmp_path / "a.pt", _changed(change, released)
    torch.save(content, path)
    options = {"depths": (1, 1, 2)} if change == "size" else {}
    said = []
    for source in (path, str(path), content):
        with pytest.raises(AvvpError) as caught:
            load_released("mgn", source, **options)
        said.append(str(caught.value))
    assert said[0] == said[1] == said[2].replace("the checkpoint", str(path))
    assert str(path) in said[0] and "\n" not in said[0]


@pytest.mark.parametrize("change", [{"depths": (1, 1, 2)}, {"crossmodal_grouping": False}])
def test_weights_of_another_network_are_one_sentence(change, tmp_path):
    torch.save(build("mgn", depths=(1, 1, 1)).state_dict(), tmp_path / "selected.pt")
    with pytest.raises(AvvpError, match="does not hold the weights of a MGN with these options"):
        read_weights(build("mgn", **({"depths": (1, 1, 1)} | change)), tmp_path / "selected.pt")
