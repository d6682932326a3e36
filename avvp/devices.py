"""Where tensors are computed: the one place that names a device."""

import platform
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor, nn

from avvp.errors import AvvpError


def choose_device(device: str = "auto", *, elsewhere: bool = False) -> torch.device:
    """The device to compute on: ``"auto"`` takes cuda, else mps, else cpu.

    With ``elsewhere`` other machines compute: a named device need not be on this one.

    Raises:
        AvvpError: when the named device is not on this machine, or nobody knows it.
    """
    counts = {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if device == "auto":
        device = next(name for name, count in counts.items() if count)
    # Not left to torch, which takes cuda:256 for cuda:0.
    asked = re.fullmatch("([a-z]+)(?::(0|[1-9][0-9]?))?", device)
    known = asked and asked[1] in counts
    if known and (elsewhere or int(asked[2] or 0) < counts[asked[1]]):
        return torch.device(device)
    there = [f"{name}:{n}" if n else name for name, count in counts.items() for n in range(count)]
    raise AvvpError(
        f"device {device!r} is not on this machine; it has {', '.join(there)}: name one of these, "
        "or auto."
    )


def asks_for_gpu(device: str) -> bool | None:
    """Whether a name as :func:`choose_device` takes it means a GPU; None: if there is one."""
    return None if device == "auto" else device.partition(":")[0] == "cuda"


def describe_device(device: torch.device) -> str:
    """What a run notes of the machine: the accelerator, or the processor and its threads."""
    if on_gpu(device):
        return f"cuda, {torch.cuda.get_device_name(device)}"
    kind = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    threads = torch.get_num_threads()
    return f"{device.type}, {kind}, {threads} thread{'s' * (threads > 1)}"


def on_gpu(device: torch.device) -> bool:
    """Whether a GPU computes there that has CUDA: what holds for one holds for no other device."""
    return device.type == "cuda"


def device_of(network: nn.Module) -> torch.device:
    """Where the parameters of ``network`` lie.

    Raises:
        AvvpError: it has none.
    """
    for parameter in network.parameters():
        return parameter.device
    raise AvvpError(f"{type(network).__name__} has no parameters; there is nothing to train.")


def wait_for(device: torch.device) -> None:
    """Return when all that was asked of the device is done: of several GPUs, of this one."""
    wait = torch.get_device_module(device).synchronize
    wait(device) if on_gpu(device) else wait()


class PeakMemory:
    """The most memory in use while the block runs, in ``bytes``: ``with PeakMemory(device) as p``.

    On cuda what PyTorch allocated there; elsewhere what the process holds in RAM, looked at five
    times a second.
    """

    def __init__(self, device: torch.device) -> None:
        self.bytes = 0
        self._device = device
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.bytes = max(self.bytes, process.memory_info().rss)
            if self._over.wait(0.2):
                return

    def __enter__(self) -> "PeakMemory":
        if on_gpu(self._device):
            torch.cuda.init()  # which the next line does not do for a numbered GPU
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        if on_gpu(self._device):
            self.bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self._over.set()
            self._watcher.join()


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute float32 as such, whatever the process, or its environment, has been told.

    cuDNN rounds factors to ten bits unless told otherwise, and matrix products are rounded where
    ``torch.set_float32_matmul_precision`` or a container's ``TORCH_ALLOW_TF32_CUBLAS_OVERRIDE``
    allows it.
    """
    backends = torch.backends
    parts = (
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.cuda.matmul,
        backends.mkldnn.matmul,
    )
    kept = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "ieee"
    try:
        yield
    finally:
        for part, precision in zip(parts, kept, strict=True):
            part.fp32_precision = precision


def launch_bound(device: torch.device) -> bool:
    """Whether small steps take there what launching them takes: several at once are for free."""
    return on_gpu(device)


def give_back_memory(device: torch.device) -> None:
    """Give back what PyTorch keeps of the memory of an accelerator."""
    if on_gpu(device):
        torch.cuda.empty_cache()


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The generators that dropout on a device draws from, by the kind of device."""
    state = {"cpu": torch.get_rng_state()}
    if on_gpu(device):
        state[device.type] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state[device.type] = torch.mps.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Go on with what :func:`random_state` returned."""
    torch.set_rng_state(state["cpu"].cpu())
    if on_gpu(device):
        torch.cuda.set_rng_state(state[device.type].cpu(), device)
    elif device.type == "mps" and device.type in state:  # a checkpoint of before has none
        torch.mps.set_rng_state(state[device.type].cpu())


def drawn_on(state: Mapping[str, Tensor]) -> str:
    """The kind of device that :func:`random_state` was asked for."""
    return next((kind for kind in state if kind != "cpu"), "cpu")
