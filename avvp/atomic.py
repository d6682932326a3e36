"""Write a file completely or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from avvp.errors import AvvpError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it over ``path`` when the block succeeds.

    When the block raises (disk full, Ctrl-C, bad input) the temporary file is removed and whatever
    stood at ``path`` before is left as it was.

    Raises:
        AvvpError: see :func:`check_file`.
    """
    path = Path(path)
    check_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes the file private; a result is as readable as any file of this user.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_file(path: str | Path) -> None:
    """Whether :func:`atomic_path` could write there: to be asked before minutes of work.

    Raises:
        AvvpError: a folder is there, or nothing can be written to the one that it would lie in.
    """
    path = Path(path)
    check_folder(path.parent)
    if path.is_dir():
        raise AvvpError(f"{path} is a folder; name a file to write.")


def check_folder(folder: str | Path) -> None:
    """Whether files could be written to a folder, which need not be there yet.

    Raises:
        AvvpError: they could not.
    """
    folder = Path(folder)
    may = partial(os.access, effective_ids=os.access in os.supports_effective_ids)
    # What lies in a folder that may not be entered counts as not there.
    there = next((path for path in (folder, *folder.parents) if may(path, os.F_OK)), folder)
    if not there.is_dir():
        raise AvvpError(f"{there} is no folder; name another place than {folder}.")
    if not may(there, os.W_OK | os.X_OK):
        raise AvvpError(
            f"Nothing can be written to {there}, which is read-only for this user; change that, or "
            "name another place."
        )


def check_new_folder(folder: str | Path) -> None:
    """Whether a folder could be made, or is there and empty: to be asked before minutes of work.

    Raises:
        AvvpError: there is something in it, or it could not be written to.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AvvpError(f"{folder} is there and not empty; name another folder.")
    check_folder(folder)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Delete what :func:`atomic_path` left beside ``folder / name`` when its process was killed.

    Args:
        folder: need not exist.
        name: a file name, or a pattern of some. No other process may be writing these files.
    """
    for path in folder.glob(f".{name}.*.part"):
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` (UTF-8), completely or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
