"""Weights of the three networks: read from a folder, or fetched, and refused if not theirs."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from avvp.errors import AvvpError
from avvp.extraction import weights
from avvp.extraction.weights import PUBLISHED, find_weights, load_network
from tests.unit.test_download import Server


class Small(nn.Module):
    """Stands for a network that would take a second to make."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(self.norm(x))


def small(stem: str, url: str = "http://127.0.0.1:9/none.pth", **options):
    return weights.Published(stem.upper(), stem, url, Small, classifier="fc", **options)


@pytest.fixture
def one(monkeypatch) -> None:
    """Of the three networks there is one, small, published nowhere."""
    monkeypatch.setattr(weights, "PUBLISHED", {"audio": small("net")})


def state() -> dict:
    torch.manual_seed(0)
    return Small().state_dict()


def saved(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    return path


def test_published_names_promise_the_beginning_of_a_checksum():
    assert {stream: n.file for stream, n in PUBLISHED.items()} == {
        "audio": "vggish-10086976.pth",
        "visual_2d": "resnet152-394f9c45.pth",
        "visual_3d": "r2plus1d_18-91a641e6.pth",
    }
    promised = [weights._promised(n) for p in PUBLISHED.values() for n in (p.file, *p.same)]
    assert promised == ["10086976", "394f9c45", "b121ed2d", "91a641e6"]


def test_urls_are_those_of_torchvision():
    from torchvision.models import ResNet152_Weights
    from torchvision.models.video import R2Plus1D_18_Weights

    assert PUBLISHED["visual_2d"].url == ResNet152_Weights.IMAGENET1K_V1.url
    assert PUBLISHED["visual_3d"].url == R2Plus1D_18_Weights.KINETICS400_V1.url


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("name", ["net.safetensors", "net.pth"])
def test_weights_of_ones_own(tmp_path, name):
    path = saved(tmp_path / name, state())
    assert find_weights(tmp_path, progress=False) == {"audio": path}
    network, sha256 = load_network("audio", path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert isinstance(network.fc, nn.Identity) and not network.training
    x = torch.randn(4, 3)
    torch.testing.assert_close(network(x), x / (1 + 1e-5) ** 0.5)


@pytest.mark.usefixtures("one")
def test_files_older_than_the_counters_and_halved_ones(tmp_path):
    content = {n: v.half() for n, v in state().items() if n != "norm.num_batches_tracked"}
    network, _ = load_network("audio", saved(tmp_path / "net.pth", content))
    assert {v.dtype for v in network.state_dict().values()} == {torch.float32, torch.int64}


def test_an_older_name_of_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "PUBLISHED", {"audio": small("net", same=("old-0011.pth",))})
    path = saved(tmp_path / "old-0011.pth", state())
    assert find_weights(tmp_path, progress=False) == {"audio": path}


def test_a_published_name_promises_its_checksum(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "PUBLISHED", {"audio": small("net")})
    path = saved(tmp_path / "net.pth", state())
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    right, wrong = tmp_path / f"net-{digits}.pth", tmp_path / "net-00000000.pth"
    wrong.write_bytes(path.read_bytes())
    path.rename(right)
    load_network("audio", right)
    with pytest.raises(AvvpError, match=r"its name promises 00000000: it is damaged or was cut"):
        load_network("audio", wrong)


def test_what_is_missing_is_fetched_and_goes_on_where_it_was_cut(tmp_path, monkeypatch):
    body = saved(tmp_path / "net.pth", state()).read_bytes() + bytes(200_000)
    name = f"net-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    server = Server()
    server.files[f"/{name}"] = body
    server.cuts = [131_072]
    try:
        network = small("net", f"{server.url}/{name}")
        monkeypatch.setattr(weights, "PUBLISHED", {"audio": network})
        folder = tmp_path / "weights"
        assert find_weights(folder, progress=False) == {"audio": folder / name}
        assert (folder / name).read_bytes() == body
        assert [span for _, span in server.requests] == [None, "bytes=131072-"]
        find_weights(folder, progress=False)
        assert len(server.requests) == 2
    finally:
        server.close()


def test_without_a_server_it_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(
        weights,
        "PUBLISHED",
        {n: replace(p, url=f"http://127.0.0.1:9/{p.file}") for n, p in PUBLISHED.items()},
    )
    (tmp_path / "vggish.pth").touch()
    with pytest.raises(AvvpError) as caught:
        find_weights(tmp_path, progress=False)
    said = str(caught.value)
    assert f"{tmp_path} lacks the weights of ResNet-152 and R(2+1)D-18" in said
    assert "put there resnet152-394f9c45.pth from http://127.0.0.1:9/resnet152-394f9c45.pth" in said
    assert "r2plus1d_18-91a641e6.pth" in said and "\n" not in said
    assert [p.name for p in tmp_path.iterdir()] == ["vggish.pth"]


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("fc.bias"), "fc.bias is missing"),
        (lambda s: s.update(more=torch.ones(1)), "more is not part of it"),
        (lambda s: s.update({"fc.bias": torch.ones(5)}), r"fc.bias is \(5,\), expected \(2,\)"),
        (lambda s: s.update({"fc.bias": torch.tensor([1, torch.nan])}), "values that are not fin"),
    ],
)
def test_weights_of_another_network(tmp_path, change, said):
    content = state()
    change(content)
    with pytest.raises(AvvpError, match=said):
        load_network("audio", saved(tmp_path / "net.safetensors", content))


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("name", "said"),
    [("net.pth", "not a checkpoint of tensors"), ("net.safetensors", "is no file of safetensors")],
)
def test_files_that_are_no_weights(tmp_path, name, said):
    (tmp_path / name).write_text("hello")
    with pytest.raises(AvvpError, match=said):
        load_network("audio", tmp_path / name)
    with pytest.raises(AvvpError, match="can't be read"):
        load_network("audio", tmp_path / "none.pth")


@pytest.mark.usefixtures("one")
def test_a_file_of_something_else(tmp_path):
    with pytest.raises(AvvpError, match="it is no table of tensors"):
        load_network("audio", saved(tmp_path / "net.pth", [1, 2]))


def test_another_of_the_three_networks(tmp_path):
    """Real names, told apart: an R(2+1)D-18's first tensor is not one of ResNet-152."""
    from torchvision.models.video import r2plus1d_18

    path = saved(tmp_path / "resnet152.safetensors", r2plus1d_18().state_dict())
    with pytest.raises(AvvpError, match=r"ResNet-152: conv1\.weight is missing; put there resnet"):
        load_network("visual_2d", path)
