"""``avvp evaluate``, from the command line to what is printed."""

import json

import pytest
import torch

from avvp.cli import main
from avvp.data import read_annotations
from avvp.data.store_writer import write_videos
from avvp.exchange import Predictions, write_predictions
from avvp.metrics import evaluate
from tests.made_up_videos import make_videos
from tests.small_llp import write_annotations


@pytest.fixture
def llp(tmp_path):
    """A folder of annotations, and one of predictions: the truth with one second flipped."""
    folder = write_annotations(tmp_path / "annotations")
    test = read_annotations(folder)["test"]
    said = [test.audio.clone(), test.visual.clone()]
    said[0][0, 3, 5] ^= True
    predictions = Predictions(test.ids, *said, {})
    write_predictions(tmp_path / "said", predictions, form="dcase")
    return tmp_path, evaluate(*said, test.audio, test.visual)


def run(*words: object) -> int:
    return main(["evaluate", *map(str, words)])


def test_predictions_are_scored_against_annotations(llp, capsys):
    folder, scores = llp
    words = ("--predictions", folder / "said", "--annotations", folder / "annotations")
    assert run(*words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"] == scores and 50 < scores["segment/type_av"] < 100
    assert told["split"] == "test" and told["videos"] == 3
    assert told["events"]["audio"] == {"read": 4, "merged": 0, "short": 0}
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "3 videos of the test split" in said and "audio: 4 events read" in said
    assert f"{scores['segment/audio']:.2f}" in said and f"{scores['event/event_av']:.2f}" in said


def test_another_split_another_format_and_one_modality(llp, capsys):
    folder, _ = llp
    val = read_annotations(folder / "annotations")["val"]
    write_predictions(folder / "b", Predictions(val.ids, None, val.visual, {}), form="audacity")
    words = ("--predictions", folder / "b", "--annotations", folder / "annotations")
    options = ("--split", "val", "--format", "audacity", "--modality", "visual", "--json")
    assert run(*words, *options) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"] == {"segment/visual": 100.0, "event/visual": 100.0}
    assert list(told["events"]) == ["visual"]
    assert run(*words, *options[:-1]) == 0
    assert "–" in capsys.readouterr().out


def test_the_truth_may_come_from_a_data_file(tmp_path, capsys):
    splits = {name: make_videos(4, seed=n) for n, name in enumerate(("train", "val", "test"))}
    write_videos(tmp_path / "a.h5", splits, {"source": "made up"})
    test = splits["test"]
    truth = Predictions(test.ids, test.true_audio, test.true_visual, {})
    write_predictions(tmp_path / "said", truth, form="csv")
    words = ("--predictions", tmp_path / "said", "--format", "csv", "--json")
    assert run(*words, "--data", tmp_path / "a.h5") == 0
    assert set(json.loads(capsys.readouterr().out)["metrics"].values()) == {100.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("onset", "start"), "audio.tsv, row 1: the column 'onset' is missing"),
        (("4.0", "14"), "audio.tsv, row 2: offset is 14; it must lie between 0 and 10 s"),
        (("Dog", "Wolf"), "audio.tsv, row 2: 'Wolf' is none of the 25 classes"),
        (("test0000000", "train000000"), "'train000000_0_10' is no video of the test split"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(change, expected, llp, capsys):
    folder, _ = llp
    path = folder / "said" / "audio.tsv"
    path.write_text(path.read_text().replace(*change))
    assert run("--predictions", folder / "said", "--annotations", folder / "annotations") == 2
    told = capsys.readouterr()
    assert expected in told.err and not told.out and len(told.err.splitlines()) == 1


def test_a_missing_file_is_one_sentence(llp, capsys):
    folder, _ = llp
    (folder / "said" / "visual.tsv").unlink()
    assert run("--predictions", folder / "said", "--annotations", folder / "annotations") == 2
    assert "visual.tsv is missing" in capsys.readouterr().err
    assert run("--predictions", folder / "said", "--annotations", folder / "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
    empty = torch.zeros(3, 25, 10, dtype=torch.bool)
    ids = read_annotations(folder / "annotations")["test"].ids
    write_predictions(folder / "b", Predictions(ids, empty, empty, {}), form="dcase")
    assert run("--predictions", folder / "b", "--annotations", folder / "annotations") == 0
