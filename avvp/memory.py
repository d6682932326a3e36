"""Whether an error says that memory has run out, whoever raised it."""

import torch

TOLD = (
    "out of memory",
    "DefaultCPUAllocator",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""By a RuntimeError: of mps, of the processor's allocator, of C++, and of libraries on a GPU."""


def out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the device, or of the machine, was too small.

    Also where that came first: ``torch.save``, say, then ends in an error about its archive.
    """
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in TOLD)
    if told or isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return error.__context__ is not None and out_of_memory(error.__context__)
