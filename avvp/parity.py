"""Weights, inputs and files that our models are held to: the rules of the golden numbers.

The released networks were run on weights that follow from the name of each entry and on inputs that
follow from a seed; what they gave lies in ``tests/parity/golden``.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def names_and_shapes(archive: np.lib.npyio.NpzFile, prefix: str = "") -> dict[str, list[int]]:
    """The state_dict entries of a golden file, under a prefix such as ``main__``."""
    shapes = archive[f"{prefix}sd_shapes"]
    shapes = json.loads(str(shapes)) if shapes.shape == () else [json.loads(str(s)) for s in shapes]
    return dict(zip((str(n) for n in archive[f"{prefix}sd_names"]), shapes, strict=True))


def rule_state(
    shapes: dict[str, list[int]], norm_weights: list[str], seed: int = 0
) -> dict[str, Tensor]:
    """Weights by rule: every entry depends on its own name alone."""
    state = {}
    for name, shape in shapes.items():
        generator = np.random.default_rng(zlib.crc32(name.encode()) + seed)
        drawn = np.asarray(generator.standard_normal(shape)) * 0.05
        if name in norm_weights:
            drawn = 1 + drawn
        elif name.endswith("running_var"):
            drawn = 1 + np.abs(drawn)
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        state[name] = torch.from_numpy(drawn.astype(np.float32))
    return state


def rule_inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """audio (4,10,128), visual_2d (4,80,2048), visual_3d (4,10,512), labels (4,25)."""
    g = np.random.default_rng(1000 + seed)
    audio, visual_2d, visual_3d = (
        torch.from_numpy(g.standard_normal((4, *size)).astype(np.float32))
        for size in ((10, 128), (80, 2048), (10, 512))
    )
    labels = (g.random((4, 25)) < 0.12).astype(np.float32)
    for i in range(4):
        labels[i, (7 * i) % 25] = 1
    return audio, visual_2d, visual_3d, torch.from_numpy(labels)


def open_golden(folder: Path, name: str) -> tuple[np.lib.npyio.NpzFile, dict]:
    """A golden file and its ``meta_json``."""
    archive = np.load(folder / name, allow_pickle=False)
    return archive, json.loads(str(archive["meta_json"]))
