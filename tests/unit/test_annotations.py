"""What the annotation reader returns and reports, on made-up files and on the released ones."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from avvp.data import read_annotations
from avvp.data.annotations import (
    AUDIO_FILE,
    CONSEQUENCES,
    REPAIRED,
    VISUAL_FILE,
    WEAK_FILES,
    find_annotations,
    take_first_by_hash,
)
from avvp.errors import AvvpError
from avvp.events import LABELS, segments_to_runs
from avvp.metrics import evaluate
from tests.small_llp import AUDIO, TEST, TRAIN, VISUAL, write_annotations

DOG = LABELS.index("Dog")


@pytest.fixture(scope="module")
def released(shared: Path):
    return read_annotations(shared / "llp")


@pytest.fixture
def uncorrected(shared: Path, tmp_path: Path) -> Path:
    """The released files with the three names damaged as golden/README 5.5 describes."""
    for file in (shared / "llp").glob("*.csv"):
        shutil.copyfile(file, tmp_path / file.name)
    audio = tmp_path / AUDIO_FILE
    rows = [row.split("\t") for row in audio.read_text().splitlines()]
    (speaking, speech), (mewing, cat) = REPAIRED
    damaged = [row for row in rows if (row[0], row[3]) == (speaking, speech)]
    assert len(damaged) == 2
    for row in damaged:
        row[0] = "Baby_cry_infant_cry"
    first = next(row for row in rows if (row[0], row[3]) == (mewing, cat))
    first[0] = f"`{mewing}"
    audio.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    return tmp_path


def test_masks_of_a_small_folder(tmp_path):
    splits = read_annotations(write_annotations(tmp_path))
    assert list(splits) == ["train", "val", "test"]
    assert splits["train"].audio is None and splits["train"].visual is None
    test = splits["test"]
    assert test.ids == ("test0000000_0_10", "test0000001_0_10", "test0000002_0_10")
    assert test.audio.shape == test.visual.shape == (3, 25, 10)
    assert test.audio.dtype == test.weak.dtype == torch.bool
    assert test.audio[0, DOG].tolist() == [True] * 4 + [False] * 2 + [True] + [False] * 3
    assert int(test.visual.sum()) == 18 and int(test.audio.sum()) == 22
    assert {LABELS[c] for c in test.weak[2].nonzero().flatten()} == {"Banjo", "Singing"}


def test_a_folder_without_oddities_but_silence_reports_only_silence(tmp_path):
    splits = read_annotations(write_annotations(tmp_path))
    assert {f.kind for f in splits.report} == {"nothing seen"}
    assert [f.video for f in splits.report] == ["val00000000_0_10", "test0000001_0_10"]
    assert splits.audio_version == "unrecognised"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("test0000001_0_10\t4\t4\tCat", "empty row"),
        ("test0000001_0_10\t9\t0\tCat", "reversed row"),
        ("elsewhere00_0_10\t0\t3\tCat", "orphan row"),
        ("Speech\t0\t3\tCat", "misnamed row"),
        ("`test000000_0_10\t0\t3\tCat", "misnamed row"),
        ("test0000000_0_10\t6\t7\tDog", "repeated row"),
        ("test0000000_0_10\t1\t3\tDog", "overlapping rows"),
        ("test0000000_0_10\t4\t5\tDog", "touching rows"),
    ],
)
def test_an_odd_row_is_found_where_it_stands(tmp_path, row, kind):
    folder = write_annotations(tmp_path, audio=[*AUDIO, row])
    annotations = read_annotations(folder)
    (finding,) = annotations.report.of(kind)
    assert finding.file == AUDIO_FILE and finding.row == len(AUDIO) + 2
    assert finding.video == row.split("\t")[0]
    changed = ["touching rows"]  # the only one of them that marks another second
    expected = read_annotations(write_annotations(tmp_path / "plain"))["test"].audio
    assert torch.equal(annotations["test"].audio, expected) == (kind not in changed)


def test_rows_inside_a_longer_one_are_all_found(tmp_path):
    rows = [f"test0000001_0_10\t{a}\t{b}\tCat" for a, b in ((0, 10), (1, 2), (5, 6))]
    report = read_annotations(write_annotations(tmp_path, audio=[*AUDIO, *rows])).report
    assert [f.row - len(AUDIO) - 1 for f in report.of("overlapping rows")] == [2, 3]


def test_doubled_labels_and_contradictions_are_found(tmp_path):
    folder = write_annotations(
        tmp_path,
        test=["test0000000_0_10\tDog,Dog", "test0000001_0_10\tSpeech,Cat", TEST[2]],
        visual=[*VISUAL, "test0000001_0_10\t0\t1\tCar"],
    )
    annotations = read_annotations(folder)
    name = WEAK_FILES["test"]
    (doubled,) = annotations.report.of("doubled label")
    assert (doubled.file, doubled.row, doubled.detail) == (name, 2, "Dog,Dog")
    (absent,) = annotations.report.of("weak without dense")
    assert (absent.row, absent.detail) == (3, "Cat")
    (extra,) = annotations.report.of("dense without weak")
    assert (extra.row, extra.detail) == (3, "Car")
    assert not annotations["test"].weak[1, LABELS.index("Car")]
    assert annotations["test"].visual[1, LABELS.index("Car"), 0]


def test_the_full_list_is_compared_where_it_is_there(tmp_path):
    folder = write_annotations(tmp_path)
    rows = [TRAIN[0].replace("Speech", "Dog"), *TRAIN[1:], "stranger000_0_10\tCat"]
    (folder / "AVVP_dataset_full.csv").write_text("\n".join(["filename\tevent_labels", *rows]))
    report = read_annotations(folder).report
    assert [f.video for f in report.of("only in the full list")] == ["stranger000_0_10"]
    differing = report.of("differs from the full list")
    assert len(differing) == 1 + 2 + 3  # one other label, and all of validation and test missing
    assert differing[0].detail == "Dog"


def test_the_report_counts_and_refuses_a_kind_it_does_not_know(tmp_path):
    report = read_annotations(write_annotations(tmp_path)).report
    assert report.counts() == {
        ("nothing seen", WEAK_FILES["test"]): 1,
        ("nothing seen", WEAK_FILES["val"]): 1,
    }
    with pytest.raises(AvvpError, match="no kind of finding"):
        report.of("silly row")


def test_annotations_are_found_where_they_are_named_or_here(tmp_path, monkeypatch):
    monkeypatch.delenv("AVVP_ANNOTATIONS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_annotations() is None
    here = write_annotations(tmp_path / "annotations")
    assert find_annotations().resolve() == here
    elsewhere = write_annotations(tmp_path / "elsewhere")
    monkeypatch.setenv("AVVP_ANNOTATIONS", str(elsewhere))
    assert find_annotations() == elsewhere
    monkeypatch.setenv("AVVP_ANNOTATIONS", str(tmp_path))
    assert find_annotations() is None


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    plain = read_annotations(write_annotations(tmp_path / "plain"))
    folder = write_annotations(tmp_path / "windows")
    for path in folder.glob("*.csv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    windows = read_annotations(folder)
    assert all(windows[s].ids == plain[s].ids for s in plain)
    assert torch.equal(windows["test"].audio, plain["test"].audio)


def test_a_sample_by_hash_depends_on_names_alone():
    ids = [f"video{n}" for n in range(50)]
    few, more = take_first_by_hash(ids, 5).tolist(), take_first_by_hash(ids, 20).tolist()
    assert len(few) == 5 and set(few) < set(more) and more == sorted(more)
    backwards = take_first_by_hash(ids[::-1], 5).tolist()
    assert {ids[n] for n in few} == {ids[::-1][n] for n in backwards}
    assert take_first_by_hash(ids, 100).tolist() == list(range(50))


def test_a_smaller_split_keeps_rows_together(tmp_path):
    whole = read_annotations(write_annotations(tmp_path))
    rows = [2, 0]
    part = whole["test"].rows(torch.tensor(rows))
    assert part.ids == tuple(whole["test"].ids[n] for n in rows)
    assert torch.equal(part.audio, whole["test"].audio[rows])
    assert torch.equal(part.weak, whole["test"].weak[rows])
    assert whole["train"].rows(torch.tensor([0])).audio is None


def test_released_sizes(released):
    assert [len(released[split]) for split in ("train", "val", "test")] == [10_000, 649, 1_200]
    audio, visual = released["test"].audio, released["test"].visual
    masks = (audio, visual, audio & visual)
    assert [len(segments_to_runs(mask)) for mask in masks] == [2_638, 1_625, 1_617]
    assert [int(mask.sum()) for mask in masks] == [14_576, 11_789, 9_592]
    empty = [int((~mask.any(-1).any(-1)).sum()) for mask in masks]
    assert empty == [6, 121, 174]


def test_released_oddities(released):
    counts = released.report.counts()
    assert {key[0] for key in counts} <= set(CONSEQUENCES)
    expected = {
        ("empty row", AUDIO_FILE): 5,
        ("reversed row", AUDIO_FILE): 1,
        ("orphan row", AUDIO_FILE): 14,
        ("orphan row", VISUAL_FILE): 11,
        ("doubled label", WEAK_FILES["test"]): 1,
        ("dense without weak", WEAK_FILES["test"]): 38,
        ("weak without dense", WEAK_FILES["test"]): 25,
        ("nothing heard", WEAK_FILES["test"]): 6,
        ("nothing seen", WEAK_FILES["test"]): 121,
    }
    assert {key: counts[key] for key in expected} == expected
    assert ("misnamed row", AUDIO_FILE) not in counts
    assert len({f.video for f in released.report.of("orphan row", file=AUDIO_FILE)}) == 8
    assert len({f.video for f in released.report.of("orphan row", file=VISUAL_FILE)}) == 7


def test_every_finding_points_at_its_row(released, shared):
    lines = {p.name: p.read_text().split("\n") for p in (shared / "llp").glob("*.csv")}
    for finding in released.report:
        assert lines[finding.file][finding.row - 1].split("\t")[0] == finding.video


def test_released_masks_equal_the_golden_ones(released, shared):
    with np.load(shared / "golden" / "llp_metrics.npz") as stored:
        golden = {name: stored[name] for name in stored.files}

    def unpacked(name: str, bits: int) -> np.ndarray:
        return np.unpackbits(golden[name], axis=1)[:, :bits].astype(bool)

    for split in ("val", "test"):
        ours = released[split]
        assert ours.ids == tuple(golden[f"{split}_ids"].tolist())
        assert np.array_equal(ours.weak.numpy(), unpacked(f"{split}_weak", 25))
        for modality in ("audio", "visual"):
            mask = unpacked(f"{split}_gt_{modality}", 250).reshape(-1, 25, 10)
            assert np.array_equal(getattr(ours, modality).numpy(), mask)


def test_released_files_are_the_corrected_version(released, shared):
    assert released.audio_version == "corrected"
    digest = hashlib.sha256((shared / "llp" / AUDIO_FILE).read_bytes()).hexdigest()
    assert released.provenance["sha256"][AUDIO_FILE] == digest
    assert released.provenance["audio_version"] == "corrected"


def test_the_uncorrected_version_is_told_by_its_content(uncorrected, released):
    other = read_annotations(uncorrected)
    assert other.audio_version == "uncorrected"
    assert len(other.report.of("misnamed row")) == 3
    assert len(other.report.of("orphan row", file=AUDIO_FILE)) == 14 + 3
    different = (other["test"].audio != released["test"].audio).any(-1).nonzero().tolist()
    ids = released["test"].ids
    assert {(ids[n], LABELS[c]) for n, c in different} == set(REPAIRED)
    assert torch.equal(other["val"].audio, released["val"].audio)


def test_the_uncorrected_version_scores_as_the_golden_numbers_say(uncorrected, released, shared):
    test, other = released["test"], read_annotations(uncorrected)["test"]
    everywhere = test.weak[:, :, None].expand(-1, -1, 10)
    predictors = {"weak": (everywhere, everywhere), "gt": (test.audio, test.visual)}
    with np.load(shared / "golden" / "llp_metrics.npz") as golden:
        for name, predicted in predictors.items():
            ten = list(evaluate(*predicted, other.audio, other.visual).values())
            assert np.abs(ten - golden[f"ten_uncorrected_csv_{name}"]).max() < 1e-9


def test_a_half_corrected_version_is_not_called_either(uncorrected):
    audio = uncorrected / AUDIO_FILE
    audio.write_text(audio.read_text().replace("`", ""))
    assert read_annotations(uncorrected).audio_version == "unrecognised"
