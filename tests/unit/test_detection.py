"""PSDS and best thresholds by sed_scores_eval, and the file that keeps them."""

import json
import sys

import pytest
import torch

from avvp import cli
from avvp.detection import (
    Detection,
    add_detection,
    detection,
    detection_path,
    read_detection,
)
from avvp.errors import AvvpError
from avvp.events import Parsing, decode
from avvp.experiments import PROFILES, REGISTRY, Profile, run
from avvp.metrics import evaluate_videos, f_score
from avvp.results import RESULTS, find_runs, read_run
from tests.unit.test_exchange import made_up

TINY = Profile("tiny", "tests", 16, 8, 8, epochs=1)
IDS = tuple(f"video{n:06d}_0_10" for n in range(12))


def parsed(truth, *, noise: float) -> Parsing:
    """Scores that know the truth, but for some noise; every gate is open."""
    generator = torch.Generator().manual_seed(5)
    segments = [
        ((1 - noise) * true + noise * torch.rand(true.shape, generator=generator)).transpose(1, 2)
        for true in truth
    ]
    gates = [torch.ones(len(IDS), 25)] * 3
    return Parsing(*gates, *segments, {})


@pytest.fixture(scope="module")
def truth():
    return [made_up(share=0.2, videos=len(IDS), seed=seed) for seed in (1, 2)]


def test_who_knows_the_truth_scores_100(truth):
    found = detection(parsed(truth, noise=0.1), IDS, *truth, gate="video")
    assert list(found) == ["audio", "visual"]
    for scores in found.values():
        assert tuple(scores) == pytest.approx((100,) * 6)


def test_f_scores_are_those_of_our_counts_and_the_best_is_no_worse(truth):
    parsing = parsed(truth, noise=0.7)
    found = detection(parsing, IDS, *truth, gate="video")
    counts = evaluate_videos(*decode(parsing), *truth).counts[0, :2]  # (2, C, 3)
    for scores, three in zip(found.values(), counts, strict=True):
        assert scores.macro == pytest.approx(100 * f_score(three).mean().item())
        assert scores.micro == pytest.approx(100 * f_score(three.sum(dim=0)).item())
        assert scores.macro < scores.macro_best < 100
        assert 0 < scores.psds_1 < scores.psds_2 < 100  # times matter to the first one


def test_one_modality_and_the_gate(truth):
    parsing = parsed(truth, noise=0.7)
    heard = parsing._replace(visual=None, segment_visual=None)
    found = detection(heard, IDS, *truth, gate="video")
    assert list(found) == ["audio"]
    closed = heard._replace(video=torch.zeros(len(IDS), 25))
    assert detection(closed, IDS, *truth, gate="video")["audio"].macro == 0
    assert detection(closed, IDS, *truth, gate=None)["audio"] == found["audio"]


def test_a_class_that_never_occurs_is_left_out(truth):
    rare = [mask.clone() for mask in truth]
    rare[0][:, 3:] = False
    found = detection(parsed(truth, noise=0.1), IDS, *rare, gate="video")
    assert tuple(found["audio"]) == pytest.approx((100,) * 6)


def test_without_the_package_it_is_one_sentence(truth, monkeypatch):
    monkeypatch.setitem(sys.modules, "sed_scores_eval", None)
    with pytest.raises(AvvpError, match="pip install sed_scores_eval"):
        detection(parsed(truth, noise=0.1), IDS, *truth, gate="video")


def test_the_command_adds_what_is_missing_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(PROFILES, "tiny", TINY)
    runs, results = tmp_path / "runs", tmp_path / "results"
    for name in ("reference/linear", "older/talnet"):
        run(REGISTRY[name], profile=TINY, device="cpu", runs=runs, progress=False)
    words = ["results", "detection", "reference/*", "older/*", "--profile", "tiny"]
    words += ["--device", "cpu", "--runs", str(runs), "--results", str(results)]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert said.count("PSDS") == 3 and said.endswith("has 2 of these runs.\n")
    path = detection_path(data="sim", profile="tiny", results=results)
    before = path.read_bytes()
    assert cli.main(words) == 0
    assert "PSDS" not in capsys.readouterr().out and path.read_bytes() == before

    linear, talnet = (
        next(iter(find_runs(runs, experiment=name).values()))
        for name in ("reference/linear", "older/talnet")
    )
    assert set(read_detection(path, linear)) == {"audio", "visual"}
    assert set(read_detection(path, talnet)) == {"audio"}
    assert isinstance(read_detection(path, talnet)["audio"], Detection)
    changed = Profile("tiny", "tests", 16, 8, 8, epochs=2)
    again = run(REGISTRY["reference/linear"], profile=changed, device="cpu", runs=runs)
    assert read_detection(path, again) is None  # of another run of that name

    words[2:4] = ["mine/*"]
    assert cli.main(words) == 2
    assert "has no tiny run of these experiments" in capsys.readouterr().err


def test_a_damaged_file_is_one_sentence(tmp_path):
    path = tmp_path / "detection.json"
    assert read_detection(path, None) is None
    for content in ("{", "[]", "{}", '{"runs": []}'):
        path.write_text(content)
        with pytest.raises(AvvpError, match="is damaged; delete it"):
            add_detection(path, None, {})


def test_committed_scores_are_of_committed_runs():
    files = list(RESULTS.glob("*/*/detection.json"))
    assert files
    for file in files:
        for name, entry in json.loads(file.read_text("utf-8"))["runs"].items():
            done = read_run(file.parent / f"{name}.json")
            assert done.stale or entry["hash"] == done.hash, f"{file}: {name} is of another run"
