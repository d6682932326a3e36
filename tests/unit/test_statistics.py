"""Label statistics: by hand on a made-up folder, and the committed table against the real files."""

import json
from pathlib import Path

import pytest

from avvp.cli import main
from avvp.data import read_annotations
from avvp.data.statistics import measure, read_statistics
from avvp.events import LABELS
from tests.small_llp import AUDIO, VISUAL, write_annotations

SPEECH, DOG, BANJO, CAR = (LABELS.index(x) for x in ("Speech", "Dog", "Banjo", "Car"))


@pytest.fixture
def small(tmp_path: Path) -> dict:
    folder = write_annotations(
        tmp_path,
        audio=[*AUDIO, "test0000002_0_10\t0\t10\tBanjo"],
        visual=[*VISUAL, "test0000001_0_10\t0\t1\tCar"],
    )
    return measure(read_annotations(folder))


def test_weak_statistics_by_hand(small):
    train = small["splits"]["train"]
    assert train["videos"] == 3
    assert train["labels_per_video"] == [0, 2, 1]
    assert train["class_counts"][SPEECH] == 2 and sum(train["class_counts"]) == 4
    assert train["labels_per_video_by_class"][2][DOG] == 1
    assert train["labels_per_video_by_class"][1][DOG] == 0
    assert small["together"]["train"][SPEECH][DOG] == small["together"]["train"][DOG][SPEECH] == 1
    assert small["together"]["train"][SPEECH][SPEECH] == 2


def test_dense_statistics_by_hand(small):
    test = small["dense"]["test"]
    assert {k: sum(v) for k, v in test["weak_pairs"].items()} == {
        "heard_only": 2,  # Speech and Singing
        "seen_only": 0,
        "both": 2,  # Dog and Banjo
        "neither": 0,
    }
    assert test["pairs_outside_weak"]["seen_only"][CAR] == 1
    assert test["pairs"]["audio"][DOG] == 1 and test["runs"]["audio"][DOG] == 2
    assert test["segments"]["audio_visual"][DOG] == 3
    assert test["full_pairs"]["audio"][BANJO] == 1 and test["both_identical"][BANJO] == 1
    assert test["both_full"][BANJO] == [[0, 0], [0, 1]]
    assert test["both_full"][DOG] == [[1, 0], [0, 0]]
    assert test["videos_without"] == {"audio": 0, "visual": 0, "audio_visual": 1}


def test_histograms_by_hand(small):
    test = small["dense"]["test"]
    assert test["run_length"]["audio"]["all"] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 2]
    assert test["run_length"]["audio"]["not_full"] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert test["run_onset"]["audio"]["not_full"] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert test["runs_per_pair"]["audio"] == {"all": [3, 1, 0, 0, 0], "not_full": [1, 1, 0, 0, 0]}


def test_chains_by_hand(small):
    chains = small["dense"]["test"]["chains"]
    # Dog: heard in 0-3 and 6, seen in 2-9, so 1 1 3 3 2 2 3 2 2 2; Banjo is full in both.
    assert chains["both"]["initial"] == [0, 1, 0, 0]
    moves = [(1, 1), (1, 3), (3, 3), (3, 2), (2, 2), (2, 3), (3, 2), (2, 2), (2, 2)]
    for t, (now, then) in enumerate(moves):
        expected = [[int((a, b) == (now, then)) for b in range(4)] for a in range(4)]
        assert chains["both"]["transitions"][t] == expected
    assert chains["heard_only"]["initial"] == [1, 0]  # Speech from second 3 on; Singing is full
    assert chains["heard_only"]["transitions"][2] == [[0, 1], [0, 0]]
    assert chains["seen_only"]["initial"] == [0, 1]  # Car in second 0


def test_every_pair_is_counted_once(small):
    check_consistency(small)


def test_the_committed_table_is_consistent():
    table = read_statistics()
    check_consistency(table)
    test = table["dense"]["test"]
    assert [sum(test["runs"][m]) for m in ("audio", "visual", "audio_visual")] == [2638, 1625, 1617]
    assert [sum(test["segments"][m]) for m in test["segments"]] == [14_576, 11_789, 9_592]
    assert test["videos_without"] == {"audio": 6, "visual": 121, "audio_visual": 174}
    assert table["source"]["audio_version"] == "corrected"


def check_consistency(table: dict) -> None:
    for split in table["splits"].values():
        assert sum(split["labels_per_video"]) == split["videos"]
        for k, by_class in enumerate(split["labels_per_video_by_class"]):
            assert sum(by_class) == k * split["labels_per_video"][k]
    for split, together in table["together"].items():
        members = [table["splits"][name] for name in split.split("+")]
        diagonal = [row[c] for c, row in enumerate(together)]
        assert diagonal == [sum(c) for c in zip(*(m["class_counts"] for m in members), strict=True)]
    for split, dense in table["dense"].items():
        members = [table["splits"][name] for name in split.split("+")]
        weak = sum(sum(m["class_counts"]) for m in members)
        assert sum(sum(counts) for counts in dense["weak_pairs"].values()) == weak
        cases = {
            case: sum(dense["weak_pairs"][case]) + sum(dense["pairs_outside_weak"][case])
            for case in ("heard_only", "seen_only", "both")
        }
        audio, visual = sum(dense["pairs"]["audio"]), sum(dense["pairs"]["visual"])
        assert cases["both"] + cases["heard_only"] == audio
        assert cases["both"] + cases["seen_only"] == visual
        assert sum(sum(map(sum, table)) for table in dense["both_full"]) == cases["both"]
        for name in ("audio", "visual", "audio_visual"):
            lengths = dense["run_length"][name]["all"]
            assert sum(lengths) == sum(dense["runs"][name])
            assert sum((i + 1) * n for i, n in enumerate(lengths)) == sum(dense["segments"][name])
            pairs = dense["runs_per_pair"][name]
            assert sum(pairs["all"]) == sum(dense["pairs"][name])
            full = sum(pairs["all"]) - sum(pairs["not_full"])
            assert full == sum(dense["full_pairs"][name])
        for chain in dense["chains"].values():
            for step in chain["transitions"]:
                assert sum(map(sum, step)) == sum(chain["initial"])


def test_the_committed_table_is_what_the_command_measures(shared, tmp_path, capsys):
    out = tmp_path / "statistics.json"
    assert (
        main(["data", "statistics", "--annotations", str(shared / "llp"), "--out", str(out)]) == 0
    )
    assert json.loads(out.read_text()) == read_statistics()
    assert str(out) in capsys.readouterr().out
