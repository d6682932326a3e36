"""Where videos come from: annotations, released features, one HDF5 file, or the simulator."""

from pathlib import Path

import torch

from avvp.data.annotations import Annotations, read_annotations
from avvp.data.simulate import PROFILE_SIZES, SPLITS, SimulatorConfig, Split, simulate
from avvp.data.store import SUFFIXES, StreamedVideos, check_limit, read_split
from avvp.data.videos import Batch, Videos
from avvp.devices import choose_device
from avvp.errors import AvvpError

__all__ = [
    "Annotations",
    "Batch",
    "SimulatorConfig",
    "StreamedVideos",
    "Videos",
    "load",
    "read_annotations",
    "simulate",
]


def load(
    source: str | Path | SimulatorConfig,
    split: Split,
    *,
    device: str | torch.device = "cpu",
    limit: int | None = None,
) -> Videos | StreamedVideos:
    """One split of a data set, ready to train on or to score against.

    Args:
        source: the path of an ``.h5`` file, a :class:`SimulatorConfig`, or the name of a profile
            (``"smoke"``, ``"quick"``, ``"medium"``, ``"full"``) for the simulated data of its size.
        split: ``"train"``, ``"val"`` or ``"test"``.
        device: where the tensors shall be. A split of a file that does not fit there is streamed.
        limit: take so many videos of a file, picked by the hash of their names.

    Returns:
        ``audio`` (N,T,128), ``visual_2d`` (N,T,2048), ``visual_3d`` (N,T,512), ``weak`` (N,C),
        ``true_audio`` and ``true_visual`` (N,C,T), ``ids``.

    Raises:
        AvvpError: there is no such split, data set or device, or ``limit`` is below 1.
    """
    if split not in SPLITS:
        raise AvvpError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}.")
    check_limit(limit)
    if isinstance(source, str) and source in PROFILE_SIZES:
        source = SimulatorConfig(**PROFILE_SIZES[source])
    if isinstance(source, SimulatorConfig):
        device = choose_device(str(device))
        return simulate(source, split).to(device)
    path = Path(source)
    if path.suffix not in SUFFIXES:
        raise AvvpError(
            f"{str(source)!r} is no data set: name an .h5 file or one of the simulator's profiles "
            f"({', '.join(PROFILE_SIZES)})."
        )
    return read_split(path, split, limit=limit, device=device)
