"""Networks to share: what is packed is what was trained, and what is not ours is one sentence."""

import json
import re
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from avvp.data import SimulatorConfig, load
from avvp.devices import choose_device, device_of
from avvp.errors import AvvpError
from avvp.events import LABELS, Thresholds
from avvp.experiments import REGISTRY, predict_again, run
from avvp.metrics import METRICS
from avvp.model_card import model_card, pack
from avvp.models import build, from_pretrained
from avvp.models.pretrained import CARD, WEIGHTS, Pretrained, read_pretrained, write_pretrained
from avvp.models.released import released_name
from avvp.registry import PROFILES
from avvp.results import read_arrays, read_run, root_of, run_path
from avvp.training import predict, seeded
from tests.unprivileged import unprivileged

OPTIONS = {"depths": [1, 1, 1], "width": 16}


def shared(folder, **changes):
    network = seeded(3, lambda: build("mgn", **OPTIONS)).eval()
    given = Pretrained(network, "mgn", OPTIONS, "video", Thresholds(0.5, 0.5), "mgn/mgn")
    write_pretrained(folder, given._replace(**changes), card="# A card\n")
    return network


def features(count=2):
    g = torch.Generator().manual_seed(0)
    return tuple(torch.randn(count, 10, width, generator=g) for width in (128, 2048, 512))


def test_what_is_written_is_read_back(tmp_path):
    network = shared(tmp_path / "a")
    with torch.no_grad():
        for path in (tmp_path / "a", tmp_path / "a" / WEIGHTS):
            assert torch.equal(
                from_pretrained(path)(*features()).segment_audio, network(*features()).segment_audio
            )
    back = read_pretrained(tmp_path / "a")
    assert not back.network.training
    assert back[1:] == ("mgn", OPTIONS, "video", Thresholds(0.5, 0.5), "mgn/mgn")
    assert (tmp_path / "a" / CARD).read_text() == "# A card\n"


def test_thresholds_a_class_are_read_back_to_the_last_digit(tmp_path):
    cuts = torch.rand(25, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shared(tmp_path / "a", thresholds=Thresholds(cuts, 0.3), gate=None)
    back = read_pretrained(tmp_path / "a")
    assert back.thresholds.video.dtype == torch.float64  # a float32 would decide ties otherwise
    assert torch.equal(back.thresholds.video, cuts)
    assert back.thresholds.segment == 0.3 and back.gate is None


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("x")
    with pytest.raises(AvvpError, match="is there and not empty"):
        shared(tmp_path / "a")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["thesis.txt"]


def spoil(path, **header):
    """Write the file again with another header; None leaves an entry out."""
    with safe_open(path, framework="pt") as file:
        was = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state |= header.pop("tensors", {})
    state = {name: value for name, value in state.items() if value is not None}
    new = {name: value for name, value in (was | header).items() if value is not None}
    save_file(state, path, metadata=new)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"avvp_schema": None}, "does not say which network it holds"),
        ({"avvp_classes": "10"}, "tells 10 classes apart; this package parses LLP's 25"),
        ({"avvp_network": "han", "avvp_options": "{}"}, "is not the HAN that it says"),
        ({"avvp_network": "transformer"}, "no model is called 'transformer'"),
        ({"avvp_options": json.dumps({"depths": [1, 1, 2]})}, "is not the MGN that it says"),
        ({"avvp_options": json.dumps({"depths": [1, 1, 1], "width": 24})}, "has shape"),
        ({"avvp_options": json.dumps({"hats": 3})}, "no option 'hats'"),
        ({"avvp_gate": json.dumps("door")}, "the gate 'door', which there is not"),
        ({"tensors": {"audio_token": torch.zeros(10, 16)}}, r"audio_token has shape \(10, 16\)"),
        ({"tensors": {"audio_token": None}}, "lacks audio_token"),
        ({"tensors": {"extra": torch.zeros(1)}}, "has extra"),
    ],
)
def test_another_file_is_one_sentence(change, told, tmp_path):
    shared(tmp_path / "a")
    spoil(tmp_path / "a" / WEIGHTS, **change)
    with pytest.raises(AvvpError, match=told) as caught:
        from_pretrained(tmp_path / "a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ("network", [None]),
        ("classes", [None]),
        ("experiment", [None]),
        ("options", [None, "{", "[1]", '{"width": "a"}', '{"width": []}']),
        ("gate", [None, "x"]),
        (
            "thresholds",
            [
                *(None, "[", "0.5", "[0.5]", "[0.5, 0.5, 0.5]", '["a", "b"]', "[true, 0.5]"),
                *("[NaN, 0.5]", "[-0.5, 0.5]", "[[0.5, 0.5], 0.5]", "[[[0.5]], 0.5]", "{}"),
                json.dumps([0.5, ["a"] * 25]),
            ],
        ),
    ],
)
def test_a_header_that_is_not_ours_is_one_sentence(entry, values, tmp_path):
    shared(tmp_path / "a")
    path = tmp_path / "a" / WEIGHTS
    whole = path.read_bytes()
    for value in values:
        path.write_bytes(whole)
        spoil(path, **{f"avvp_{entry}": value})
        found = repr(value) if len(repr(value)) <= 60 else f"{value!r:.60}..."
        told = f"its header has {found} as avvp_{entry}, which `avvp pack` does not write"
        with pytest.raises(AvvpError, match=re.escape(told)):
            read_pretrained(path)


def test_what_is_no_safetensors_file_is_one_sentence(tmp_path):
    with pytest.raises(AvvpError, match="is not there"):
        from_pretrained(tmp_path)
    torch.save(build("linear").state_dict(), tmp_path / "weights.pt")
    with pytest.raises(AvvpError, match=r"no safetensors file.*load_released"):
        from_pretrained(tmp_path / "weights.pt")
    shared(tmp_path / "a")
    path = tmp_path / "a" / WEIGHTS
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AvvpError, match="or a damaged one"):
        from_pretrained(path)


@pytest.mark.parametrize("device", ["cuda:99", torch.device("cuda", 99), "tpu"])
def test_a_device_that_is_not_there_is_one_sentence(device, tmp_path):
    shared(tmp_path / "a")
    with pytest.raises(AvvpError, match=rf"device '{device}' is not on this machine; it has"):
        from_pretrained(tmp_path / "a", device=device)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), "auto"])
def test_a_device_is_chosen_as_everywhere(device, tmp_path):
    shared(tmp_path / "a")
    network = from_pretrained(tmp_path / "a", device=device)
    assert device_of(network).type == choose_device(str(device)).type


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_one_sentence(number, tmp_path):
    shared(tmp_path / "a")
    spoil(tmp_path / "a" / WEIGHTS, tensors={"audio_token": torch.full((25, 16), number)})
    with pytest.raises(
        AvvpError, match=r"model.safetensors: audio_token holds values that are not fin"
    ):
        from_pretrained(tmp_path / "a")


def test_a_file_that_may_not_be_read_is_not_called_damaged():
    with unprivileged() as folder:
        shared(folder / "a")
        (folder / "a" / WEIGHTS).chmod(0)
        with pytest.raises(
            AvvpError, match=r"model.safetensors can't be read \(Permission denied\)"
        ):
            from_pretrained(folder / "a")


def test_nothing_is_packed_where_nothing_can_be_written(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(AvvpError, match=r"notes.txt is no folder; name another place"):
        shared(tmp_path / "notes.txt" / "a")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    profile = PROFILES["smoke"]
    run(REGISTRY["older/talnet"], profile=profile, device="cpu", runs=root, progress=False)
    place = {"data": "sim", "profile": "smoke", "experiment": "older/talnet", "seed": 1}
    return root, run_path(root, **place)


def test_a_run_is_packed_with_a_card(trained, tmp_path):
    root, path = trained
    done = read_run(path)
    assert root_of(path, done) == root
    weights = pack(path, tmp_path / "packed", device="cpu", runs=root)
    back = read_pretrained(weights)
    assert back.experiment == "older/talnet" and back.gate == REGISTRY["older/talnet"].gate
    assert len(back.thresholds.video) == 25  # tuned, a class
    card = (tmp_path / "packed" / CARD).read_text()
    assert "Trained on simulated features" in card and done.data_fingerprint[:16] in card
    assert f"| this network | {done.metrics['segment/audio']:.1f} | – |" in card
    assert "weak label everywhere" in card and done.commit[:12] in card


def test_weights_that_score_something_else_are_not_packed(trained, tmp_path, monkeypatch):
    root, path = trained
    monkeypatch.setattr(
        "avvp.model_card.read_run",
        lambda p: replace(read_run(p), metrics=read_run(p).metrics | {"segment/audio": 99.0}),
    )
    with pytest.raises(AvvpError, match="records other scores"):
        pack(path, tmp_path / "packed", device="cpu", runs=root)
    assert not (tmp_path / "packed").exists()


def test_what_learns_nothing_has_no_network_to_pack(tmp_path):
    profile = PROFILES["smoke"]
    run(REGISTRY["reference/oracle"], profile=profile, device="cpu", runs=tmp_path, progress=False)
    place = {"data": "sim", "profile": "smoke", "experiment": "reference/oracle", "seed": 1}
    with pytest.raises(AvvpError, match="no network to pack"):
        pack(run_path(tmp_path, **place), tmp_path / "packed", device="cpu", runs=tmp_path)


def test_a_rescored_experiment_is_packed_with_the_training_that_it_comes_after(tmp_path):
    profile = PROFILES["smoke"]
    for name in ("mgn/mgn", "mgn/every_second"):
        run(REGISTRY[name], profile=profile, device="cpu", runs=tmp_path, progress=False)
    place = {"data": "sim", "profile": "smoke", "experiment": "mgn/every_second", "seed": 1}
    pack(run_path(tmp_path, **place), tmp_path / "packed", device="cpu", runs=tmp_path)
    assert read_pretrained(tmp_path / "packed").experiment == "mgn/every_second"
    rate = REGISTRY["mgn/mgn"].training.learning_rate
    card = (tmp_path / "packed" / CARD).read_text()
    assert f"1 epochs, batches of {REGISTRY['mgn/mgn'].training.batch_size}" in card
    assert f"learning rate {rate:g}" in card


def test_a_class_that_is_nowhere_is_not_among_the_worst(trained):
    done = read_run(trained[1])
    counts = torch.tensor(done.counts)
    counts[...] = torch.tensor([9, 1, 1])
    counts[..., 4, :], counts[..., 5, :] = 0, torch.tensor([0, 3, 9])
    card = model_card(replace(done, counts=counts.tolist()), dict.fromkeys(METRICS, 50.0))
    (told,) = (line for line in card.splitlines() if f"{LABELS[5].replace('_', ' ')} (0)" in line)
    assert LABELS[4].replace("_", " ") not in told


def test_only_a_real_data_set_is_not_called_simulated(trained):
    done = read_run(trained[1])
    weak = dict.fromkeys(METRICS, 50.0)
    assert "simulated" not in model_card(replace(done, simulated=False, data="llp.h5"), weak)
    assert "simulated" in model_card(done, weak)


def test_the_packed_network_parses_as_the_run_did(trained, tmp_path):
    root, path = trained
    again = predict_again(read_run(path), read_arrays(path), data="sim", device="cpu", runs=root)
    pack(path, tmp_path / "packed", device="cpu", runs=root)
    parsing = predict(from_pretrained(tmp_path / "packed"), again.videos)
    assert torch.equal(parsing.segment_audio, again.parsing.segment_audio)


PAGE = Path(__file__).resolve().parents[2] / "book" / "checkpoints.md"


def snippets():
    found = re.findall(r"^( *)```python\n(.*?)^ *```", PAGE.read_text("utf-8"), re.DOTALL | re.M)
    return [textwrap.dedent(code) for _, code in found]


def test_the_page_says_what_works(tmp_path, monkeypatch, capsys):
    """The code on the page runs as it stands, on a made-up checkpoint and a made-up file."""
    monkeypatch.chdir(tmp_path)
    shared(tmp_path / "shared" / "han")
    state = build("mgn", depths=(1, 1, 1)).state_dict()
    torch.save({released_name("mgn", name): value for name, value in state.items()}, "released.pt")
    names = dict(zip(("audio", "visual_2d", "visual_3d"), features(), strict=True))
    videos = load(SimulatorConfig(train=8, val=8, test=8), "test")
    monkeypatch.setattr("avvp.data.load", lambda source, split: videos)
    packed, released, scored = snippets()
    with torch.no_grad():
        exec(packed, names)
    assert names["heard"].shape == (2, 25, 10)
    exec(released, names)
    exec(scored, names)
    assert names["network"].unused_released == ()
    assert "'segment/type_av'" in capsys.readouterr().out
