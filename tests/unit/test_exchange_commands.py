"""``avvp evaluate`` and ``avvp export``, from the command line to what is printed and written."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from avvp.cli import main
from avvp.data import read_annotations
from avvp.data.store_writer import write_videos
from avvp.events import LABELS
from avvp.exchange import Predictions, read_predictions, write_predictions
from avvp.experiments import PROFILES, REGISTRY, Profile
from avvp.experiments import run as run_experiment
from avvp.metrics import evaluate
from avvp.results import find_runs
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


TINY = Profile("tiny", "tests", 16, 8, 8, epochs=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tiny runs by the names of their experiments: path of the JSON, path of the weights, run."""
    runs = tmp_path_factory.mktemp("runs")
    found = {}
    for name in ("reference/linear", "older/talnet"):
        done = run_experiment(REGISTRY[name], profile=TINY, device="cpu", runs=runs, progress=False)
        (path,) = find_runs(runs, experiment=name)
        (weights,) = path.with_suffix("").rglob("selected.pt")
        found[name] = path, weights, done
    return found


@pytest.fixture
def tiny(made, monkeypatch):
    monkeypatch.setitem(PROFILES, "tiny", TINY)
    return made


def export(*words: object) -> int:
    return main(["export", *map(str, words)])


def told_scores(capsys, *words: object) -> dict:
    capsys.readouterr()
    assert run(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)["metrics"]


@pytest.mark.parametrize("form", ["dcase", "audacity", "webvtt", "csv", "parquet"])
def test_what_a_run_exports_has_its_scores(form, tiny, tmp_path, capsys):
    path, _, done = tiny["reference/linear"]
    assert export("--run", path, "--format", form, "--out", tmp_path / "a") == 0
    assert f"audio and visual events of 8 videos, {form}" in capsys.readouterr().out
    words = ("--predictions", tmp_path / "a", "--format", form)
    scores = told_scores(capsys, *words, "--data", "sim", "--profile", "tiny")
    assert scores == pytest.approx(done.metrics)


def test_a_checkpoint_has_the_scores_of_its_run_and_exports_the_same(tiny, tmp_path, capsys):
    path, weights, done = tiny["reference/linear"]
    words = ("--checkpoint", weights, "--experiment", "reference/linear")
    words += ("--data", "sim", "--profile", "tiny")
    assert told_scores(capsys, *words) == pytest.approx(done.metrics)
    for name, which in (("a", ("--run", path)), ("b", words)):
        assert export(*which, "--format", "csv", "--probabilities", "--out", tmp_path / name) == 0
    for file in ("events.csv", "scores.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    other = told_scores(capsys, *words, "--split", "val")
    assert other != done.metrics and other.keys() == done.metrics.keys()


def test_thresholds_that_a_method_tunes_are_tuned_again(tiny, tmp_path, capsys):
    path, weights, done = tiny["older/talnet"]
    words = ("--checkpoint", weights, "--experiment", "older/talnet")
    scores = told_scores(capsys, *words, "--data", "sim", "--profile", "tiny")
    assert scores == pytest.approx(done.metrics) and list(scores) == list(done.metrics)
    assert export("--run", path, "--format", "dcase", "--out", tmp_path / "a") == 0
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["audio.tsv"]
    words = ("--predictions", tmp_path / "a", "--modality", "audio")
    scores = told_scores(capsys, *words, "--data", "sim", "--profile", "tiny")
    assert scores == pytest.approx(done.metrics)


def test_probabilities_decide_what_the_events_say(tiny, tmp_path):
    path, _, _ = tiny["reference/linear"]
    words = ("--run", path, "--format", "dcase", "--probabilities")
    assert export(*words, "--out", tmp_path / "a") == 0
    files = sorted((tmp_path / "a" / "scores" / "audio").iterdir())
    predicted = read_predictions(tmp_path / "a", [file.stem for file in files]).audio
    score = [pd.read_csv(file, sep="\t")[list(LABELS)].to_numpy().T for file in files]
    assert predicted.equal(torch.tensor(np.stack(score)) >= 0.5)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--run", "RUN", "--format", "srt"), "format is 'srt'; choose one of dcase"),
        (("--run", "RUN", "--format", "csv", "--experiment", "han/han"), "--run says which"),
        (("--run", "RUN", "--format", "csv", "--split", "val"), "--run says which"),
        (("--run", "RUN", "--format", "csv", "--runs", "nowhere"), "weights are not at nowhere"),
        (("--run", "RUN", "--format", "webvtt", "--probabilities"), "has no place for prob"),
        (("--checkpoint", "FILE", "--format", "csv"), "--checkpoint needs --experiment"),
        (("--checkpoint", "FILE", "--experiment", "han/han"), "--checkpoint needs --data"),
        (("--checkpoint", "FILE", "--experiment", "mgn/*", "--data", "sim"), "name one"),
        (("--checkpoint", "FILE", "--experiment", "my/own", "--data", "sim"), "No experiment"),
        (
            ("--checkpoint", "FILE", "--experiment", "reference/oracle", "--data", "sim"),
            "reference/oracle learns nothing",
        ),
        (
            ("--checkpoint", "FILE", "--experiment", "han/han", "--data", "sim"),
            "does not hold the weights of a HAN",
        ),
        (
            ("--checkpoint", "nowhere.pt", "--experiment", "han/han", "--data", "sim"),
            "nowhere.pt is not there",
        ),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(words, expected, tiny, tmp_path, capsys):
    path, weights, _ = tiny["reference/linear"]
    words = [{"RUN": path, "FILE": weights}.get(word, word) for word in words]
    if "--checkpoint" in words:
        words += ["--profile", "tiny"]
    if "--format" not in words:
        words += ["--format", "csv"]
    assert export(*words, "--out", tmp_path / "a") == 2
    told = capsys.readouterr().err
    assert expected in told and len(told.splitlines()) == 1
    assert not (tmp_path / "a").exists()


def test_a_run_on_other_data_and_a_full_folder_are_one_sentence(tiny, tmp_path, capsys):
    path, _, _ = tiny["reference/linear"]
    moved = tmp_path / "seed-1.json"
    moved.write_text(path.read_text().replace('"data": "sim"', '"data": "llp.h5"'))
    moved.with_suffix(".npz").write_bytes(path.with_suffix(".npz").read_bytes())
    assert export("--run", moved, "--format", "csv", "--out", tmp_path / "a") == 2
    assert "was made on llp.h5; say where that is with --data" in capsys.readouterr().err
    assert export("--run", path, "--format", "csv", "--out", tmp_path) == 2
    assert "is there and not empty" in capsys.readouterr().err


def test_a_run_in_another_world_is_exported_and_packed_as_it_is(tiny, tmp_path, capsys):
    world, runs = "sim-asynchrony-1", tmp_path / "runs"
    run_experiment(
        REGISTRY["reference/linear"],
        profile=TINY,
        data=world,
        device="cpu",
        runs=runs,
        progress=False,
    )
    (path,) = find_runs(runs, data=world)
    assert export("--run", path, "--format", "csv", "--out", tmp_path / "a", "--device=cpu") == 0
    assert main(["pack", str(path), f"--out={tmp_path / 'b'}", "--device=cpu"]) == 0
    assert (tmp_path / "b" / "model.safetensors").is_file()


def test_a_checkpoint_that_is_not_there_is_nothing_to_delete(tmp_path, capsys):
    words = ("--checkpoint", tmp_path / "no.pt", "--experiment", "han/han", "--data", "sim")
    assert run(*words, "--profile", "smoke") == 2
    told = capsys.readouterr().err
    assert told == f"avvp: {tmp_path / 'no.pt'} is not there; name a file of weights.\n"


def test_a_checkpoint_is_not_scored_on_annotations_and_predictions_on_something(llp, capsys):
    folder, _ = llp
    words = ("--checkpoint", folder / "a.pt", "--annotations", folder / "annotations")
    assert run(*words) == 2
    assert "is scored on the videos of --data" in capsys.readouterr().err
    assert run("--predictions", folder / "said") == 2
    assert "--annotations or --data" in capsys.readouterr().err
