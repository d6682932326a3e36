"""The three networks that made the released features, and where their weights come from.

A folder of weights holds a file for each: the published one under its own name, whose digits after
the dash begin its SHA-256 and are compared, or weights of one's own as ``vggish.safetensors``,
``resnet152.safetensors``, ``r2plus1d_18.safetensors`` (or ``.pth``), taken as they are. A file that
is missing is fetched. Nothing is unpickled but tensors.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import resnet152
from torchvision.models.video import r2plus1d_18

from avvp.checkpoints import read_checkpoint
from avvp.data.download import fetch
from avvp.errors import AvvpError
from avvp.extraction.audio import VGGish


@dataclass(frozen=True)
class Published:
    """A network whose weights are published.

    Attributes:
        name: as papers call it.
        stem: name of a file with weights of one's own, without ending.
        url: of the published file.
        build: makes the network, to the names in the file.
        same: names under which the same weights were published before.
        classifier: last layer, which is cut off after loading.
    """

    name: str
    stem: str
    url: str
    build: Callable[[], nn.Module]
    same: tuple[str, ...] = ()
    classifier: str | None = None

    @property
    def file(self) -> str:
        """Name of the published file."""
        return self.url.rpartition("/")[2]


PUBLISHED: dict[str, Published] = {
    "audio": Published(
        "VGGish",
        "vggish",
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        VGGish,
    ),
    "visual_2d": Published(
        "ResNet-152",
        "resnet152",
        "https://download.pytorch.org/models/resnet152-394f9c45.pth",
        resnet152,
        same=("resnet152-b121ed2d.pth",),
        classifier="fc",
    ),
    "visual_3d": Published(
        "R(2+1)D-18",
        "r2plus1d_18",
        "https://download.pytorch.org/models/r2plus1d_18-91a641e6.pth",
        r2plus1d_18,
        classifier="fc",
    ),
}
"""Stream -> network. ResNet-152 with the first of torchvision's two weights, learnt on ImageNet,
which the release had from the package pretrainedmodels; R(2+1)D-18's were learnt on Kinetics."""


def find_weights(folder: str | Path, *, progress: bool = True) -> dict[str, Path]:
    """Stream -> file of weights; what is not in the folder is fetched into it.

    Args:
        folder: of the weights; it is made where it is missing.
        progress: show a bar while fetching.

    Raises:
        AvvpError: a file is neither there nor to be had.
    """
    folder = Path(folder)
    found = {stream: _find(folder, network) for stream, network in PUBLISHED.items()}
    missing = [network for stream, network in PUBLISHED.items() if found[stream] is None]
    for network in missing:
        try:
            _fetch(folder, network, progress)
        except AvvpError as error:
            absent = [network for network in missing if _find(folder, network) is None]
            raise AvvpError(
                f"{folder} lacks the weights of {' and '.join(n.name for n in absent)}, and they "
                f"can't be fetched ({str(error).partition(';')[0].rstrip('.')}); put there "
                f"{' and '.join(f'{n.file} from {n.url}' for n in absent)}."
            ) from error
    return {stream: _find(folder, network) for stream, network in PUBLISHED.items()}


def load_network(stream: str, path: str | Path) -> tuple[nn.Module, str]:
    """A network that gives features, in evaluation mode, and the SHA-256 of its weights.

    Args:
        stream: ``audio``, ``visual_2d`` or ``visual_3d``.
        path: of a state_dict, ``.safetensors`` or what ``torch.save`` wrote.

    Raises:
        AvvpError: the file is not there, damaged, or holds the weights of another network.
    """
    path, published = Path(path), PUBLISHED[stream]
    sha256 = _checked_sum(path)
    with torch.device("meta"):
        network = published.build()
    network.load_state_dict(_fitting(_read(path), network, published, path), assign=True)
    if published.classifier:
        setattr(network, published.classifier, nn.Identity())
    return network.eval().requires_grad_(False), sha256


def _find(folder: Path, network: Published) -> Path | None:
    own = (f"{network.stem}.safetensors", f"{network.stem}.pth")
    paths = [folder / name for name in (network.file, *network.same, *own)]
    return next((path for path in paths if path.is_file()), None)


def _fetch(folder: Path, network: Published, progress: bool) -> None:
    digits = _promised(network.file)
    fetch(network.url, folder / network.file, sha256=digits, attempts=3, progress=progress)


def _promised(name: str) -> str:
    """The first digits of the SHA-256, which the name of a published file ends with."""
    match = re.search(r"-([0-9a-f]{8,64})\.pth$", name)
    return match[1] if match else ""


def _checked_sum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AvvpError(f"{path} can't be read ({error.strerror}); name a file there.") from error
    promised = _promised(path.name)
    if not found.startswith(promised):
        raise AvvpError(
            f"{path} has the SHA-256 {found[:12]}..., and its name promises {promised}: it is "
            "damaged or was cut off; remove it, and the next call fetches it again."
        )
    return found


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return read_checkpoint(path, advice="remove it and fetch the published file again")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise AvvpError(
            f"{path} is no file of safetensors, or it is damaged ({error}); write it again."
        ) from error


def _fitting(
    state: dict[str, Tensor], network: nn.Module, published: Published, path: Path
) -> dict[str, Tensor]:
    """The state as float32, if it is this network's."""
    expected = {name: value.shape for name, value in network.state_dict().items()}
    # Files older than these counters, which only training reads, lack them.
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    problem = None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        problem = "it is no table of tensors"
    elif missing := [n for n in expected if n not in state and n not in counters]:
        problem = f"{missing[0]} is missing"
    elif unknown := [n for n in state if n not in expected]:
        problem = f"{unknown[0]} is not part of it"
    elif wrong := [n for n in state if state[n].shape != expected[n]]:
        name = wrong[0]
        problem = f"{name} is {tuple(state[name].shape)}, expected {tuple(expected[name])}"
    if problem:
        raise AvvpError(
            f"{path} does not hold the weights of {published.name}: {problem}; put there "
            f"{published.file} from {published.url}."
        )
    broken = [name for name, value in state.items() if not value.isfinite().all()]
    if broken:
        raise AvvpError(f"{path}: {broken[0]} holds values that are not finite; fetch it again.")
    zero = {name: torch.tensor(0) for name in counters}
    return zero | {
        name: value if name in counters else value.float() for name, value in state.items()
    }
