"""How long an epoch of HAN takes, fed in two ways: ``python benchmarks/feeding.py``.

As the released code feeds it: a ``.npy`` file a video and stream, a ``DataLoader`` with workers
that opens three files a video, and a front end that projects all 80 frames and then averages them.
As this package feeds it: pooled tensors resident in memory. Network, loss, optimiser, batch size
and precision are the same; the last row adds bfloat16, which the released code does not have.

The files hold random numbers in the shapes of LLP. They were just written, so the operating system
still has them in memory: a disk would make the first row slower. The shortest of several epochs
counts. Processor seconds, workers included, stand beside: other work on the machine changes them
less than it changes the clock.

In float32 the ratio stays below two on processors that are bound by arithmetic: projecting 80
frames instead of 10 averages multiplies the operations of a step by 1.7, and the rest of the
network is the same. Profile full trains in bfloat16. Exits with status 1 if the ratio in that
precision is below 2.5, or if the two front ends disagree.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from avvp.data import Videos
from avvp.data.videos import Batch
from avvp.devices import choose_device
from avvp.events import CLASSES, SEGMENTS
from avvp.experiments import PROFILES
from avvp.losses import Objective, weak_targets
from avvp.models import build
from avvp.models.layers import (
    AUDIO_SIZE,
    FRAMES_A_SEGMENT,
    VISUAL_2D_SIZE,
    VISUAL_3D_SIZE,
    FrontEnd,
    pool_frames,
)
from avvp.training import Precision, TrainingConfig, epoch_generator, seeded, train_step

LEAST_RATIO = 2.5
SHAPES = {
    "vggish": (SEGMENTS, AUDIO_SIZE),
    "res152": (SEGMENTS * FRAMES_A_SEGMENT, VISUAL_2D_SIZE),
    "r2plus1d_18": (SEGMENTS, VISUAL_3D_SIZE),
}
"""Folder of a stream -> shape of one video's file, as released."""


class FramesFrontEnd(FrontEnd):
    """The front end of the release: project every frame, then average the 8 of a second."""

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> tuple[Tensor, Tensor]:
        """Features of both modalities, each (B, T, width); ``visual_2d`` is (B, 8T, 2048)."""
        spatial = pool_projected(self.visual_2d(visual_2d))
        motion = self.visual_3d(visual_3d)
        return self.audio(audio), self.fusion(torch.cat([spatial, motion], dim=-1))


def pool_projected(frames: Tensor) -> Tensor:
    """(B, 8T, D) -> (B, T, D), by the pooling layer that the release uses."""
    return nn.functional.avg_pool1d(frames.transpose(1, 2), FRAMES_A_SEGMENT).transpose(1, 2)


class Files(Dataset):
    """One video at a time, from three files."""

    def __init__(self, folder: Path, weak: Tensor) -> None:
        self.folder, self.weak = folder, weak

    def __len__(self) -> int:
        return len(self.weak)

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        streams = (np.load(self.folder / stream / f"{row:05d}.npy") for stream in SHAPES)
        return (torch.tensor(row), *map(torch.from_numpy, streams), self.weak[row])


def write_files(folder: Path, videos: int, generator: np.random.Generator) -> Tensor:
    """Write three files a video; returns weak labels (videos, C), bool."""
    for stream, shape in SHAPES.items():
        (folder / stream).mkdir()
        for row in range(videos):
            values = generator.standard_normal(shape, dtype=np.float32)
            np.save(folder / stream / f"{row:05d}.npy", values)
    return torch.from_numpy(generator.random((videos, CLASSES)) < 0.07)


def resident(files: Files, device: torch.device) -> Videos:
    """The same videos, pooled, in memory."""
    audio, frames, motion = (
        torch.stack(rows) for rows in zip(*(files[i][1:4] for i in range(len(files))), strict=True)
    )
    return Videos(
        ids=tuple(f"{row:05d}" for row in range(len(files))),
        audio=audio,
        visual_2d=pool_frames(frames),
        visual_3d=motion,
        weak=files.weak,
        true_audio=None,
        true_visual=None,
        fingerprint="feeding",
    ).to(device)


class Cost(NamedTuple):
    """Seconds of one epoch, by the clock and of the processor, workers included."""

    clock: float
    processor: float


def processor_seconds() -> float:
    """Of this process and of its children that ended: workers do, after every epoch."""
    return sum(os.times()[:4])


def epoch_costs(
    network: nn.Module,
    feed: Callable[[int], Iterable[Batch]],
    *,
    epochs: int,
    precision: Precision,
    device: torch.device,
) -> list[Cost]:
    """What each epoch takes. One goes before them uncounted, so that all is allocated."""
    objective, config = Objective(), TrainingConfig()
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.learning_rate, fused=device.type in ("cuda", "cpu")
    )
    network.train()
    costs = []
    for epoch in range(epochs + 1):
        start, used = time.perf_counter(), processor_seconds()
        for batch in feed(epoch):
            parts = train_step(
                network,
                batch,
                optimizer,
                objective,
                lambda batch: weak_targets(batch.weak),
                device,
                precision,
            )
        loss = parts["loss"].item()  # waits for an accelerator
        costs.append(Cost(time.perf_counter() - start, processor_seconds() - used))
        assert np.isfinite(loss)
    return costs[1:]


def largest_difference(network: nn.Module, released: nn.Module, files: Files) -> float:
    """Between the answers of both networks for one video."""
    _, audio, frames, motion, _ = files[0]
    both = []
    with torch.no_grad():
        for candidate in (network, released):
            candidate.eval()
            both.append(candidate(audio[None], frames[None], motion[None]).segment_visual)
    return float((both[0] - both[1]).abs().max())


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--videos", type=int, default=320)
    options.add_argument("--epochs", type=int, default=3, help="counted epochs of each row")
    options.add_argument("--workers", type=int, default=2, help="of the DataLoader; release: 12")
    options.add_argument("--batch-size", type=int, default=16)
    options.add_argument("--device", default="cpu")
    chosen = options.parse_args()
    device = choose_device(chosen.device)

    def network(front_end: type[FrontEnd]) -> nn.Module:
        made = seeded(1, lambda: build("han"))
        state = made.front_end.state_dict()
        made.front_end = front_end()
        made.front_end.load_state_dict(state)
        return made

    with tempfile.TemporaryDirectory() as folder:
        weak = write_files(Path(folder), chosen.videos, np.random.default_rng(0))
        files = Files(Path(folder), weak)
        difference = largest_difference(network(FrontEnd), network(FramesFrontEnd), files)
        # A loader of the release starts its workers anew for every epoch, and so does this one.
        loader = DataLoader(
            files,
            batch_size=chosen.batch_size,
            shuffle=True,
            num_workers=chosen.workers,
            pin_memory=device.type == "cuda",
        )
        videos = resident(files, device)
        feeds: dict[str, tuple[type[FrontEnd], Callable[[int], Iterable[Batch]], Precision]] = {
            f"files, {chosen.workers} workers, 80 frames": (
                FramesFrontEnd,
                lambda _: (Batch(*batch) for batch in loader),
                "float32",
            ),
        }
        for precision in ("float32", "bfloat16"):
            feeds[f"resident, pooled, {precision}"] = (
                FrontEnd,
                lambda epoch: videos.batches(
                    batch_size=chosen.batch_size, generator=epoch_generator(1, epoch)
                ),
                precision,
            )
        print(
            f"{chosen.videos} videos, {device}, {torch.get_num_threads()} threads of torch, "
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        print(
            f"{'fed from':33}{'s an epoch':>12}{'videos a s':>12}{'ratio':>8}"
            f"{'processor s':>13}{'ratio':>8}"
        )
        best: list[Cost] = []
        for name, (front_end, feed, precision) in feeds.items():
            costs = epoch_costs(
                network(front_end).to(device),
                feed,
                epochs=chosen.epochs,
                precision=precision,
                device=device,
            )
            best.append(Cost(*map(min, zip(*costs, strict=True))))
            speed = chosen.videos / best[-1].clock
            ratios = Cost(*(a / b for a, b in zip(best[0], best[-1], strict=True)))
            print(
                f"{name:33}{best[-1].clock:12.2f}{speed:12.0f}{ratios.clock:8.2f}"
                f"{best[-1].processor:13.2f}{ratios.processor:8.2f}",
                flush=True,
            )
    print(f"The two front ends differ by {difference:.1e}; load {os.getloadavg()[0]:.1f}")
    judged = dict(zip(feeds, best, strict=True))[f"resident, pooled, {PROFILES['full'].precision}"]
    return int(best[0].clock / judged.clock < LEAST_RATIO or difference > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
