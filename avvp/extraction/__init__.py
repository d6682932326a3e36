"""Features of one's own videos, made as the released ones were.

:mod:`~avvp.extraction.clips` decodes; :mod:`~avvp.extraction.audio` and
:mod:`~avvp.extraction.visual` make of a clip what the three networks are given;
:mod:`~avvp.extraction.weights` finds or fetches the networks' weights;
:mod:`~avvp.extraction.extract` runs them over a folder.
"""

from importlib.util import find_spec

from avvp.errors import AvvpError
from avvp.extraction.operators import declare_missing_operators

_missing = [name for name in ("av", "torchvision") if find_spec(name) is None]
if _missing:
    raise AvvpError(
        f"extraction needs {' and '.join(_missing)}, which this environment lacks; install them in "
        "the folder of this repository with: pip install --editable '.[extract]'"
    )
declare_missing_operators()  # before any module of the package imports torchvision
