"""Make torchvision importable beside a PyTorch that its compiled operators were not made for.

The torchvision that PyPI serves is compiled for CUDA. Beside a build of PyTorch for CPUs its
library cannot be loaded, and ``import torchvision`` then fails: it describes two operators, for
boxes around objects, that nobody has declared. No network of this project calls them, so declaring
them is enough; they get no kernel, and whoever called one would be told so by PyTorch.
"""

from importlib.util import find_spec
from pathlib import Path

import torch

DECLARATIONS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def declare_missing_operators() -> bool:
    """Declare what ``import torchvision`` describes, if its own library can't; True if it was so.

    Call it before the first import of torchvision; more calls change nothing.
    """
    folder = Path(find_spec("torchvision").origin).parent
    try:
        for library in folder.glob("_C*"):
            if library.suffix in (".so", ".pyd"):
                torch.ops.load_library(library)
    except OSError:
        pass
    missing = [name for name in DECLARATIONS if not _is_declared(name)]
    for name in missing:
        torch.library.define(name, DECLARATIONS[name])
    return bool(missing)


def _is_declared(name: str) -> bool:
    namespace, operator = name.split("::")
    return hasattr(getattr(torch.ops, namespace), operator)
