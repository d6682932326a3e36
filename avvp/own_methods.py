"""Methods of a reader's own: a Python file that adds to the registry, read before a command.

Reading such a file runs it, as ``python FILE.py`` would.
"""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path

from avvp.errors import AvvpError
from avvp.models import MODELS
from avvp.registry import REGISTRY


def read_methods(path: str | Path) -> None:
    """Import a file that adds experiments to ``REGISTRY``, and perhaps networks to ``MODELS``.

    Its folder joins ``sys.path``, so that worker processes find its classes too.

    Raises:
        AvvpError: there is no such file, its name is no module's or another one's, it fails, or
            adds nothing.
    """
    path = Path(path).resolve()
    if not path.is_file() or path.suffix != ".py":
        raise AvvpError(f"{path} is no Python file; name one that adds experiments to REGISTRY.")
    name = path.stem
    if not name.isidentifier():
        raise AvvpError(f"{path} cannot be imported; name it by letters, digits and underscores.")
    there = sys.modules.get(name) or importlib.util.find_spec(name)
    if there is not None:
        known = getattr(there, "__file__", None) or getattr(there, "origin", None)
        if known is None or Path(known).resolve() != path:
            raise AvvpError(f"{path} has the name of another module, {known}; give it another one.")
    before = dict(REGISTRY), dict(MODELS)
    sys.path.insert(0, str(path.parent))
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever a reader's file may raise
        own = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
        # Without a line of it the file could not even be read as Python.
        line = own[-1].lineno if own else getattr(error, "lineno", None)
        place = f"{path}, line {line}" if line else f"{path}"
        told = str(error).splitlines()[0] if str(error) else ""
        raise AvvpError(f"{place}: {type(error).__name__}: {told}") from None
    if before == (REGISTRY, MODELS) and there is None:
        raise AvvpError(f"{path} adds nothing to avvp.experiments.REGISTRY; see its last lines.")
