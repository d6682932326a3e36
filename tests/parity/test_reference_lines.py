"""The committed reference lines are what the annotations give, and what the golden files say."""

import json

import numpy as np
import pytest
import torch

from avvp.cli import main
from avvp.data.annotations import AnnotatedSplit, read_annotations
from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS
from avvp.metrics import METRICS
from avvp.reference_lines import (
    COMPARED,
    FILE,
    LINES,
    Standing,
    full_length,
    measure,
    predictions,
    printed_results,
    printed_rows,
    read_lines,
    score,
    score_by_length,
    score_repaired,
    spread_of_differences,
    standing,
)


@pytest.fixture(scope="module")
def annotations(shared):
    return read_annotations(shared / "llp")


def test_the_committed_file_is_what_the_annotations_give(annotations):
    assert _close(measure(annotations), read_lines())


def _close(one, other) -> bool:
    """Equal structure, numbers within 1e-9."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    return one == (pytest.approx(other, abs=1e-9) if isinstance(one, float) else other)


def test_the_committed_file_agrees_with_the_released_code(shared):
    golden = np.load(shared / "golden" / "llp_metrics.npz")
    splits = read_lines()["splits"]
    for name, key in (("truth", "gt"), ("weak", "weak"), ("flips", "flip"), ("ones", "ones")):
        ten = splits["test"]["lines"][name]
        np.testing.assert_allclose(list(ten.values()), golden[f"ten_{key}"], rtol=0, atol=1e-9)
    ten = splits["val"]["lines"]["weak"]
    np.testing.assert_allclose(list(ten.values()), golden["ten_val_weak"], rtol=0, atol=1e-9)


def test_the_command_writes_the_committed_file(shared, tmp_path, capsys):
    out = tmp_path / "lines.json"
    assert main(["reference-lines", "--annotations", str(shared / "llp"), "--out", str(out)]) == 0
    assert _close(read_lines(out), read_lines())
    assert "63.0" in capsys.readouterr().out


def test_a_missing_folder_leaves_no_file(tmp_path, capsys):
    out = tmp_path / "lines.json"
    arguments = ["reference-lines", "--annotations", str(tmp_path / "no"), "--out", str(out)]
    assert main(arguments) == 2
    assert "there is no annotation folder" in capsys.readouterr().err
    assert not out.exists()


def test_every_split_has_every_line_and_every_number():
    for split in read_lines()["splits"].values():
        assert split["lines"].keys() == LINES.keys()
        assert all(tuple(ten) == METRICS for ten in split["lines"].values())


@pytest.fixture
def split():
    """Two videos: speech heard for 3 s and seen for 10 s; nothing at all."""
    audio = torch.zeros(2, CLASSES, SEGMENTS, dtype=torch.bool)
    visual, weak = audio.clone(), audio[..., 0].clone()
    audio[0, 0, 2:5] = visual[0, 0] = weak[0, 0] = weak[1, 1] = True
    return AnnotatedSplit(("one", "two"), weak, audio, visual)


def test_what_each_line_predicts(split):
    lines = predictions(split)
    assert lines.keys() == LINES.keys()
    audio, visual = lines["modality"]
    assert audio.nonzero()[:, :2].unique(dim=0).tolist() == [[0, 0]]
    assert audio[0, 0].all()
    assert torch.equal(visual, split.visual)
    for mask in lines["weak"]:
        assert mask.all(-1).nonzero().tolist() == [[0, 0], [1, 1]]
        assert mask.sum() == 2 * SEGMENTS
    flipped = [line ^ true for line, true in zip(lines["flips"], lines["truth"], strict=True)]
    assert 0.03 < torch.stack(flipped).float().mean() < 0.07
    assert not torch.equal(*flipped)


def test_scores_by_hand(split):
    lines = score(split)
    assert set(lines["truth"].values()) == {100.0}
    # 2 * 3 / (2 * 3 + 7) in the first video and 1 in the second, where nothing is heard.
    assert lines["modality"]["segment/audio"] == pytest.approx(100 * (6 / 13 + 1) / 2)
    assert lines["modality"]["event/audio"] == 50.0
    assert lines["weak"]["segment/visual"] == 50.0


def test_pairs_that_last_ten_seconds(split):
    assert full_length(split) == {
        "audio": {"pairs": 1, "ten_seconds": 0},
        "visual": {"pairs": 1, "ten_seconds": 1},
        "audio_visual": {"pairs": 1, "ten_seconds": 0},
    }


def test_lengths_and_repairs_by_hand(split):
    found = score_by_length(split)
    assert {*found["truth"]["shorter"].values(), *found["truth"]["whole"].values()} == {100.0}
    # Heard for 3 of the 10 s that the line marks; seen for all ten.
    assert found["modality"]["shorter"]["segment/audio"] == pytest.approx(100 * 6 / 13)
    assert found["modality"]["whole"]["segment/visual"] == 100
    assert "segment/audio" not in found["weak"]["whole"]
    scores = score_repaired(split)
    assert scores["modality"][0] == pytest.approx(score(split)["modality"])
    # The second video's weak label is neither heard nor seen.
    assert [s["segment/visual"] for s in scores["weak"]] == [50, 100, 50, 50, 100, 100, 50, 100]


def test_spread_by_hand(split):
    spread = spread_of_differences(split)
    assert spread.keys() == {f"{one} - {other}" for one, other in COMPARED}
    assert spread["weak - truth"]["segment/visual"] == pytest.approx(np.std([0, 100], ddof=1))


def test_a_printed_row_counts_once_with_all_its_places():
    rows = printed_rows("segment")
    (han,) = (r for r in rows if any(place.row == "HAN" for place in r.rows))
    assert len({place.paper for place in han.rows}) == 5
    assert han.scores["segment/type_av"] == 54.0
    assert sum("segment/type_av" in r.scores for r in rows) == len(
        printed_results()["segment/type_av"]
    )


def test_standing_counts_each_result_once():
    nothing = standing(dict.fromkeys(METRICS, 0.0))
    everything = standing(dict.fromkeys(METRICS, 100.0))
    for key in METRICS:
        printed = nothing[key].printed
        assert nothing[key] == Standing(0, printed)
        assert everything[key] == Standing(printed, printed)
    # HAN's 54.0 stands in seven tables and is one result; AVE, AVSDN and Base lie below it.
    assert standing(dict.fromkeys(METRICS, 54.0))["segment/type_av"].below == 3
    assert standing(dict.fromkeys(METRICS, 54.1))["segment/type_av"].below == 4
    # Gains in brackets are no scores: the lowest score of all is AVSDN's 26.5.
    assert {row.below for row in standing(dict.fromkeys(METRICS, 26.5)).values()} == {0}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there are no reference lines at"),
        ('{"schema": 2, "spl', "is no JSON, perhaps half written"),
        ("[]", "does not hold reference lines of schema 2"),
        ('{"schema": 0}', "does not hold reference lines of schema 2"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, words):
    path = tmp_path / "lines.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AvvpError, match=words) as raised:
        read_lines(path)
    assert str(path) in str(raised.value)


def test_the_committed_file_names_the_annotations_it_was_measured_on():
    content = json.loads(FILE.read_text())
    assert content["annotations"]["audio_version"] == "corrected"
    assert len(content["annotations"]["sha256"]) >= 5
    assert content["command"].startswith("avvp reference-lines --annotations")
