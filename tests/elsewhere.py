"""A stand-in for a tensor on a GPU, for computers that have none."""

from typing import Any

import torch
from torch.utils._pytree import tree_leaves


class Elsewhere(torch.Tensor):
    """Meets no tensor of this computer before it is moved, as one on a GPU would not.

    ``torch.ones(2).as_subclass(Elsewhere)``; a number, which has no axis, goes with the order.
    """

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func in (torch.Tensor.cpu, torch.Tensor.to):
            return args[0].as_subclass(torch.Tensor)
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        with torch._C.DisableTorchFunctionSubclass():
            given = [x for x in given if x.ndim]
        if not all(isinstance(x, cls) for x in given):
            raise RuntimeError("Expected all tensors to be on the same device")
        return super().__torch_function__(func, types, args, kwargs or {})
