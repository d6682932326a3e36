"""A made-up LLP of a few videos: annotation files and feature folders, as released, on disk."""

from pathlib import Path

import numpy as np

WEAK_HEADER = "filename\tevent_labels"
DENSE_HEADER = "filename\tonset\toffset\tevent_labels"

FEATURES = {"vggish": (10, 128), "res152": (80, 2048), "r2plus1d_18": (10, 512)}

TRAIN = [f"train{n:06d}_0_10\t{labels}" for n, labels in enumerate(["Speech", "Dog,Speech", "Cat"])]
VAL = ["val00000000_0_10\tCar", "val00000001_5_15\tCello,Speech"]
TEST = ["test0000000_0_10\tDog", "test0000001_0_10\tSpeech", "test0000002_0_10\tSinging,Banjo"]
AUDIO = [
    "val00000000_0_10\t0\t10\tCar",
    "val00000001_5_15\t2\t5\tSpeech",
    "test0000000_0_10\t0\t4\tDog",
    "test0000000_0_10\t6\t7\tDog",
    "test0000001_0_10\t3\t10\tSpeech",
    "test0000002_0_10\t0\t10\tSinging",
]
VISUAL = [
    "val00000001_5_15\t0\t10\tCello",
    "test0000000_0_10\t2\t10\tDog",
    "test0000002_0_10\t0\t10\tBanjo",
]


def write_table(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def write_annotations(
    folder: Path,
    *,
    train: list[str] = TRAIN,
    val: list[str] = VAL,
    test: list[str] = TEST,
    audio: list[str] = AUDIO,
    visual: list[str] = VISUAL,
) -> Path:
    """Write the five files into ``folder``; give rows (tab-separated) to change one."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "AVVP_train.csv", WEAK_HEADER, train)
    write_table(folder / "AVVP_val_pd.csv", WEAK_HEADER, val)
    write_table(folder / "AVVP_test_pd.csv", WEAK_HEADER, test)
    write_table(folder / "AVVP_eval_audio.csv", DENSE_HEADER, audio)
    write_table(folder / "AVVP_eval_visual.csv", DENSE_HEADER, visual)
    return folder


def video_ids() -> list[str]:
    """The full names of all made-up videos."""
    return [row.split("\t")[0] for row in (*TRAIN, *VAL, *TEST)]


def write_features(folder: Path, ids: list[str], *, seed: int = 0) -> Path:
    """Write the three feature arrays of every video, drawn from its name and ``seed``."""
    for name, shape in FEATURES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for video in ids:
            entropy = list(f"{seed} {name} {video}".encode())
            array = np.random.default_rng(entropy).standard_normal(shape, dtype=np.float32)
            np.save(folder / name / f"{video[:11]}.npy", array)
    return folder
