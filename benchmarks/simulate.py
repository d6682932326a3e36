"""Seconds and peak memory of drawing a whole simulated LLP: 11,849 videos.

    python benchmarks/simulate.py

Exits with status 1 when it takes over three minutes or over 3 GiB.
"""

import os
import sys
import time
from pathlib import Path

import torch

from avvp.data.simulate import SPLITS, SimulatorConfig, simulate
from avvp.devices import PeakMemory

SECONDS, GIBIBYTES = 180, 3


def main() -> int:
    """Draw all three splits, keep them, and print what that took."""
    config = SimulatorConfig()
    with PeakMemory(torch.device("cpu")) as peak:
        started = time.monotonic()
        splits = {split: simulate(config, split) for split in SPLITS}
        seconds = time.monotonic() - started
    videos = sum(len(videos) for videos in splits.values())
    gibibytes = peak.bytes / 2**30
    load = os.getloadavg()[0] if Path("/proc/loadavg").exists() else float("nan")
    print(
        f"{videos:,} videos in {seconds:.1f} s, peak {gibibytes:.2f} GiB "
        f"({torch.get_num_threads()} threads, load average {load:.1f})"
    )
    return int(seconds > SECONDS or gibibytes > GIBIBYTES)


if __name__ == "__main__":
    sys.exit(main())
