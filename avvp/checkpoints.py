"""Files of tensors: written whole or not at all, read without running what is in them."""

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from avvp.atomic import atomic_path
from avvp.errors import AvvpError
from avvp.memory import out_of_memory


def write_checkpoint(content: dict, path: Path) -> None:
    """Write tensors and plain containers to ``path``, whole or not at all."""
    # Serialised in memory first: torch.save to a full disk speaks of positions in an archive, and
    # the operating system of the disk.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_checkpoint(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    advice: str = "save the network's state_dict",
) -> Any:
    """What ``torch.save`` wrote to ``path``: tensors and plain containers, nothing that runs code.

    Args:
        path: of the file.
        device: for the tensors.
        advice: what to do where the file is damaged.

    Raises:
        AvvpError: there is no such file, it may not be read, it is no checkpoint, or it holds other
            objects.
    """
    try:
        return torch.load(path, weights_only=True, map_location=device)
    except FileNotFoundError:
        raise AvvpError(f"{path} is not there; name a checkpoint file.") from None
    except IsADirectoryError:
        raise AvvpError(f"{path} is a folder; name a checkpoint file in it.") from None
    except PermissionError as error:
        raise AvvpError(
            f"{path} can't be read ({error.strerror}); change that, or name another file."
        ) from None
    # On bytes that it did not write, torch.load raises whatever they lead it to.
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        ImportError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
        struct.error,
    ) as error:
        if out_of_memory(error):  # a RuntimeError that says nothing of the file
            raise
        raise AvvpError(
            f"{path} is not a checkpoint of tensors that torch can read safely: it is damaged, or "
            f"it holds other objects, which are not unpickled; {advice}."
        ) from None
