"""The committed oddities are what the annotations give, and what the golden files say."""

import json

import numpy as np
import pytest
import torch

from avvp.cli import main
from avvp.data.annotations import REPAIRED, AnnotatedSplit, read_annotations
from avvp.errors import AvvpError
from avvp.events import CLASSES, LABELS, SEGMENTS
from avvp.metrics import METRICS
from avvp.oddities import FILE, measure_oddities, read_oddities, without_repair
from avvp.published import published


@pytest.fixture(scope="module")
def annotations(shared):
    return read_annotations(shared / "llp")


def _close(one, other) -> bool:
    """Equal structure, numbers within 1e-9."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    return one == (pytest.approx(other, abs=1e-9) if isinstance(one, float) else other)


def test_the_command_writes_the_committed_file(shared, tmp_path, capsys):
    out = tmp_path / "oddities.json"
    assert main(["oddities", "--annotations", str(shared / "llp"), "--out", str(out)]) == 0
    assert _close(read_oddities(out), read_oddities())
    assert "test, 1200 videos" in capsys.readouterr().out


def test_the_repair_is_worth_what_the_released_code_says(shared):
    gains = read_oddities()["repair"]["gains"]
    with np.load(shared / "golden" / "llp_metrics.npz") as golden:
        for name, key in (("truth", "gt"), ("weak", "weak"), ("flips", "flip"), ("ones", "ones")):
            worth = golden[f"ten_{key}"] - golden[f"ten_uncorrected_csv_{key}"]
            np.testing.assert_allclose(list(gains[name].values()), worth, rtol=0, atol=1e-9)


def test_without_the_annotations_of_han_nothing_is_measured(annotations, monkeypatch):
    monkeypatch.setattr(annotations, "audio_version", "uncorrected")
    with pytest.raises(AvvpError, match="are uncorrected; what the repair changes can be measured"):
        measure_oddities(annotations)


def test_what_the_damaged_copies_miss():
    ids = tuple(video for video, _ in REPAIRED)
    audio = torch.ones(2, CLASSES, SEGMENTS, dtype=torch.bool)
    split = AnnotatedSplit(ids, audio.any(-1), audio, audio)
    missed = (split.audio & ~without_repair(split)).nonzero().tolist()
    speech, cat = (LABELS.index(label) for _, label in REPAIRED)
    assert missed == [*([0, speech, second] for second in range(SEGMENTS)), [1, cat, 0]]


def test_the_committed_counts_hang_together():
    found = read_oddities()
    assert found["annotations"]["audio_version"] == "corrected"
    assert len(found["annotations"]["sha256"]) >= 5
    for split in found["splits"].values():
        for modality in ("audio", "visual"):
            counts = [split[name][modality] for name in ("pairs", "events", "rows")]
            assert counts == sorted(counts)
        for modality, videos in split["nothing_there"].items():
            alone = split["nothing_predicted"][f"segment/{modality}"]
            assert alone == pytest.approx(100 * videos / split["videos"])
        for score in ("nothing_predicted", "truth_among_weak"):
            assert tuple(split[score]) == METRICS


def test_mgn_counts_the_rows_of_the_test_videos_in_the_copy_without_repair():
    """What the paper calls instances: to the row."""
    found = read_oddities()
    rows, lost = found["splits"]["test"]["rows"], found["repair"]["rows"]
    told = published("mgn", "text", "LLP", "test instances")
    assert told == {"visual": rows["visual"], "audio": rows["audio"] - lost}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there are no oddities at"),
        ('{"schema": 1, "spl', "is no JSON, perhaps half written"),
        ("[]", "does not hold oddities of schema 1"),
        ('{"schema": 0}', "does not hold oddities of schema 1"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, words):
    path = tmp_path / "oddities.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AvvpError, match=words) as raised:
        read_oddities(path)
    assert str(path) in str(raised.value)


def test_no_id_of_a_video_is_committed(annotations):
    text = json.dumps(json.loads(FILE.read_text()))
    for split in annotations.values():
        assert not any(video in text for video in split.ids)
