"""A stand-in for LLP on disk: annotation tables and feature folders in the released layout.

For whoever wants to try the import before the real files are there: no network makes features here,
the simulator does. The eight frames of a second are eight copies of one, so what the import
averages is what the simulator drew. Nothing in the folders says that they are made up; whoever
writes them keeps what comes of them apart.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from avvp.data.annotations import (
    AUDIO_FILE,
    DENSE_COLUMNS,
    VISUAL_FILE,
    WEAK_COLUMNS,
    WEAK_FILES,
)
from avvp.data.features import FOLDERS, FRAMES_PER_SECOND, NAME_LENGTH
from avvp.data.simulate import SPLITS, SimulatorConfig, simulate
from avvp.data.videos import Videos
from avvp.events import LABELS, segments_to_runs


def write_stand_in(folder: Path, config: SimulatorConfig) -> tuple[Path, Path]:
    """Write the videos that ``config`` draws; returns the folders of annotations and features.

    With sampled labels the tables are written too; with LLP's they stay where they are.
    """
    features = folder / "features"
    annotations = folder / "annotations" if config.labels == "sampled" else Path(config.labels)
    dense = {AUDIO_FILE: [], VISUAL_FILE: []}
    for split in SPLITS:
        videos = simulate(config, split)
        names = videos.ids
        if config.labels == "sampled":
            names = [f"{split}{n:0{NAME_LENGTH - len(split)}d}_0_10" for n in range(len(videos))]
            labels = [",".join(LABELS[c] for c in row.nonzero().flatten()) for row in videos.weak]
            _write_table(
                annotations / WEAK_FILES[split], WEAK_COLUMNS, zip(names, labels, strict=True)
            )
            if split != "train":
                dense[AUDIO_FILE] += _rows(names, videos.true_audio)
                dense[VISUAL_FILE] += _rows(names, videos.true_visual)
        _write_features(features, names, videos)
    if config.labels == "sampled":
        for name, rows in dense.items():
            _write_table(annotations / name, DENSE_COLUMNS, rows)
    return annotations, features


def _rows(names: Sequence[str], mask) -> list[tuple[object, ...]]:
    return [(names[n], on, off, LABELS[c]) for n, c, on, off in segments_to_runs(mask)]


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ("\t".join(map(str, row)) for row in (columns, *rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_features(folder: Path, names: Sequence[str], videos: Videos) -> None:
    for stream, (released, _) in FOLDERS.items():
        (folder / released).mkdir(parents=True, exist_ok=True)
        repeats = FRAMES_PER_SECOND if stream == "visual_2d" else 1
        for name, values in zip(names, getattr(videos, stream).numpy(), strict=True):
            np.save(
                folder / released / f"{name[:NAME_LENGTH]}.npy", np.repeat(values, repeats, axis=0)
            )
