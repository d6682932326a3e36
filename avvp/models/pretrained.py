"""Trained networks to share: a safetensors file that says how to build and use the network.

A folder holds ``model.safetensors``, whose header names the network, its options and how its
probabilities become decisions, and ``README.md``, the model card. Neither can hold code.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from avvp.atomic import atomic_path, check_new_folder, write_text
from avvp.devices import choose_device
from avvp.errors import AvvpError
from avvp.events import CLASSES, Gate, Thresholds
from avvp.models.networks import build

WEIGHTS = "model.safetensors"
CARD = "README.md"
SCHEMA = "1"
_ENTRIES = {
    "network": str,
    "options": json.loads,
    "classes": str,
    "gate": json.loads,
    "thresholds": json.loads,
    "experiment": str,
}
"""Of the header, each after ``avvp_``, and how it is read."""


class Pretrained(NamedTuple):
    """A trained network, and how its probabilities become decisions."""

    network: nn.Module
    """In evaluation mode."""
    name: str
    """As in :func:`avvp.models.networks.build`."""
    options: dict[str, Any]
    gate: Gate | None
    thresholds: Thresholds
    experiment: str
    """What it was trained as, a name of the registry."""


def write_pretrained(folder: str | Path, trained: Pretrained, *, card: str) -> Path:
    """Write weights and card to ``folder``; returns the path of the weights.

    Args:
        folder: a new or empty one.
        trained: what to write.
        card: Markdown; see :func:`avvp.model_card.model_card`.

    Raises:
        AvvpError: the folder has files in it, or takes none.
    """
    folder = Path(folder)
    check_new_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    header = {
        "format": "pt",
        "avvp_schema": SCHEMA,
        "avvp_network": trained.name,
        "avvp_options": json.dumps(trained.options),
        "avvp_classes": str(CLASSES),
        "avvp_gate": json.dumps(trained.gate),
        "avvp_thresholds": json.dumps([_plain(cut) for cut in trained.thresholds]),
        "avvp_experiment": trained.experiment,
    }
    # Tensors that share memory, or are views, have no place of their own in the file.
    state = {k: v.detach().cpu().contiguous() for k, v in trained.network.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(state, temporary, metadata=header)
    write_text(folder / CARD, card)
    return folder / WEIGHTS


def _plain(cut: float | Tensor) -> float | list[float]:
    return cut.tolist() if isinstance(cut, Tensor) else float(cut)


def read_pretrained(path: str | Path, *, device: torch.device | str = "cpu") -> Pretrained:
    """Read what :func:`write_pretrained` wrote: its folder, or the file of weights.

    Args:
        path: of the folder, or of the file of weights in it.
        device: to put the network on; see :func:`avvp.devices.choose_device`.

    Raises:
        AvvpError: there is no such file or device, the file can't be read or is damaged, it was not
            written by this package, or it holds another network, another number of classes or
            weights that are not finite.
    """
    path, device = Path(path), choose_device(str(device))
    if path.is_dir():
        path = path / WEIGHTS
    if not path.is_file():
        raise AvvpError(f"{path} is not there; name a folder that `avvp pack` made.")
    try:
        path.open("rb").close()  # of a file it may not open, safetensors says that there is none
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise AvvpError(
            f"{path} is no safetensors file, or a damaged one ({error}); a checkpoint of the "
            "papers' authors is read by avvp.models.load_released."
        ) from None
    except OSError as error:
        raise AvvpError(
            f"{path} can't be read ({error.strerror or error}); change that, or name another file."
        ) from None
    said = _read_header(header, path)
    try:
        network = build(said.name, **said.options).to(device)
    except AvvpError as error:
        raise AvvpError(f"{path}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        raise _odd(path, header, "options") from None
    _fill(network, state, path)
    return Pretrained(network.eval(), *said)


class _Header(NamedTuple):
    """What a header says; see :class:`Pretrained`."""

    name: str
    options: dict[str, Any]
    gate: Gate | None
    thresholds: Thresholds
    experiment: str


def _read_header(header: Mapping[str, str], path: Path) -> _Header:
    if header.get("avvp_schema") != SCHEMA:
        raise AvvpError(
            f"{path} does not say which network it holds; expected a file that `avvp pack` wrote."
        )
    said = {}
    for entry, read in _ENTRIES.items():
        try:
            said[entry] = read(header[f"avvp_{entry}"])
        except (KeyError, ValueError, RecursionError):
            raise _odd(path, header, entry) from None
    if said["classes"] != str(CLASSES):
        raise AvvpError(
            f"{path} tells {said['classes']} classes apart; this package parses LLP's {CLASSES}."
        )
    if said["gate"] is not None and said["gate"] not in get_args(Gate):
        raise AvvpError(f"{path} asks for the gate {said['gate']!r}, which there is not.")
    if not isinstance(said["options"], dict):
        raise _odd(path, header, "options")
    cuts = said["thresholds"]
    if not isinstance(cuts, list) or len(cuts) != 2 or not all(map(_is_threshold, cuts)):
        raise _odd(path, header, "thresholds")
    # They were tuned and scored in float64: another precision decides ties differently.
    cuts = (
        torch.tensor(cut, dtype=torch.float64) if isinstance(cut, list) else cut for cut in cuts
    )
    return _Header(
        said["network"], said["options"], said["gate"], Thresholds(*cuts), said["experiment"]
    )


def _is_threshold(cut: object) -> bool:
    """Whether it is a number, or one a class. What is never on has one just above 1."""
    numbers = cut if isinstance(cut, list) and len(cut) == CLASSES else [cut]
    return all(type(number) in (int, float) and 0 <= number < math.inf for number in numbers)


def _odd(path: Path, header: Mapping[str, str], entry: str) -> AvvpError:
    name = f"avvp_{entry}"
    found = repr(header.get(name))
    if len(found) > 60:
        found = f"{found[:60]}..."
    return AvvpError(
        f"{path}: its header has {found} as {name}, which `avvp pack` does not write; "
        "pack the run again."
    )


def _fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    wanted = network.state_dict()
    kind = type(network).__name__
    odd = sorted(set(wanted) ^ set(state))
    if odd:
        verb = "lacks" if odd[0] in wanted else "has"
        raise AvvpError(
            f"{path} is not the {kind} that it says: it {verb} {odd[0]} and differs in {len(odd)} "
            "entries."
        )
    for entry, value in wanted.items():
        if state[entry].shape != value.shape:
            raise AvvpError(
                f"{path}: {entry} has shape {tuple(state[entry].shape)}; a {kind} with these "
                f"options has {tuple(value.shape)}."
            )
    network.load_state_dict(state)
    for entry, value in network.state_dict().items():
        if not value.isfinite().all():
            raise AvvpError(
                f"{path}: {entry} holds values that are not finite; pack the run again."
            )


def from_pretrained(path: str | Path, *, device: torch.device | str = "cpu") -> nn.Module:
    """The network in a folder that ``avvp pack`` made, in evaluation mode.

    Args:
        path: of the folder, or of the file of weights in it.
        device: to put it on; see :func:`avvp.devices.choose_device`.

    Raises:
        AvvpError: see :func:`read_pretrained`.
    """
    return read_pretrained(path, device=device).network
