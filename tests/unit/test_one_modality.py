"""Methods that only hear or only see: what they return, how that is scored, kept and shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avvp.curves import threshold_curve
from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.events import Thresholds, decode, of_one_modality
from avvp.experiments import REGISTRY, Profile, open_source, run
from avvp.losses import Objective, weak_targets
from avvp.metrics import LEVELS, METRICS, MODALITIES, evaluate, evaluate_videos, main_metric
from avvp.models import build
from avvp.published import published
from avvp.refinement import exchanged
from avvp.results import find_runs, read_arrays, read_run, summarise
from avvp.studies import open_study
from avvp.tables import result_table
from avvp.training import TrainingConfig, TunedTraining, fit, predict, seeded

TINY = Profile("tiny", "tests", 64, 32, 16, epochs=2)


def masks(seed: int = 0, videos: int = 8):
    g = torch.Generator().manual_seed(seed)
    return [torch.rand(videos, 25, 10, generator=g) < 0.1 for _ in range(4)]


def own(modality: str) -> list[str]:
    return [f"{level}/{modality}" for level in LEVELS]


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_a_modality_alone_scores_what_it_scores_beside_another(modality):
    heard, seen, *truth = masks()
    both = evaluate_videos(heard, seen, *truth)
    alone = (heard, None) if modality == "audio" else (None, seen)
    evaluation = evaluate_videos(*alone, *truth)
    assert list(evaluation.ten()) == own(modality)
    assert evaluation.ten().items() <= both.ten().items()
    has = [METRICS.index(metric) for metric in own(modality)]
    assert torch.equal(evaluation.per_video[:, has], both.per_video[:, has])
    assert evaluation.per_video.isnan().sum() == 8 * 8
    kept = MODALITIES.index(modality)
    assert torch.equal(evaluation.counts[:, kept], both.counts[:, kept])
    assert evaluation.counts.sum() == both.counts[:, kept].sum()


def test_the_score_of_the_other_modality_is_refused_in_a_sentence():
    heard, _, *truth = masks()
    scores = evaluate(heard, None, *truth)
    for metric in ("segment/visual", "event/type_av"):
        with pytest.raises(AvvpError) as told:
            scores[metric]
        assert str(told.value) == (
            f"There is no '{metric}' of a method that parses one modality; it has segment/audio "
            "and event/audio."
        )
    with pytest.raises(AvvpError, match="No metric is called 'segment/smell'; there are segment"):
        scores["segment/smell"]


def test_nothing_at_all_cannot_be_scored():
    *_, heard, seen = masks()
    with pytest.raises(AvvpError, match="are both None; one of them must be a mask"):
        evaluate(None, None, heard, seen)
    with pytest.raises(AvvpError, match="true_audio is NoneType"):
        evaluate(heard, None, None, seen)


def test_a_parsing_of_one_modality_is_decoded_to_one_mask():
    segment = torch.rand(3, 10, 25)
    for gate in ("video", "modality", None):
        heard, seen = decode(of_one_modality("audio", segment.amax(1), segment), gate=gate)
        assert seen is None
        assert torch.equal(heard, (segment >= 0.5).transpose(1, 2))
    parsing = of_one_modality("visual", segment.amax(1), segment)
    assert decode(parsing)[0] is None
    curve = threshold_curve(parsing, *masks(videos=3)[2:], gate="video")
    assert curve.isnan().any(dim=0).tolist() == [m not in own("visual") for m in METRICS]


def test_the_main_metric_is_type_av_or_the_only_modality():
    heard, seen, *truth = masks()
    assert main_metric(evaluate(heard, seen, *truth)) == "segment/type_av"
    assert main_metric(evaluate(None, seen, *truth)) == "segment/visual"


def test_a_loss_of_the_other_modality_is_refused():
    segment = torch.rand(2, 10, 25)
    targets = weak_targets(torch.eye(2, 25))
    with pytest.raises(AvvpError, match="needs the visual probability, but this network parses"):
        Objective()(of_one_modality("audio", segment.mean(1), segment), targets)


@pytest.fixture(scope="module")
def videos():
    """Videos whose features tell the class: a network can learn something in a few steps."""
    g = torch.Generator().manual_seed(3)
    truth = torch.rand(24, 25, 10, generator=g) < 0.1
    direction = torch.randn(25, 2688, generator=g)
    features = truth.float().transpose(1, 2) @ direction
    audio, visual_2d, visual_3d = features.split([128, 2048, 512], dim=-1)
    return Videos(
        ids=tuple(f"v{i}" for i in range(24)),
        audio=audio,
        visual_2d=visual_2d,
        visual_3d=visual_3d,
        weak=truth.any(2),
        true_audio=truth,
        true_visual=truth,
        fingerprint="made",
    )


def trained(name, videos, val, folder, *, checkpoint_seconds=60.0, **options):
    network = seeded(1, lambda: build(name, **{"talnet": {"width": 32}}.get(name, {})))
    objective = Objective({"audio" if name == "talnet" else "visual": 1.0})
    config = TunedTraining(**{"epochs": 2, "batch_size": 6, "learning_rate": 1e-3, **options})
    fitted = fit(
        network, videos, val, objective=objective, config=config, seed=1, folder=folder,
        progress=False, checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip
    return network, fitted


@pytest.mark.parametrize(("name", "modality"), [("talnet", "audio"), ("cmcs", "visual")])
def test_the_epoch_kept_is_the_best_of_its_own_modality(name, modality, videos, tmp_path):
    network, fitted = trained(name, videos, videos, tmp_path, epochs=4)
    scores = [entry[f"val/segment/{modality}"] for entry in fitted.history]
    assert fitted.selected_epoch == max(range(4), key=lambda i: (scores[i], i)) + 1
    assert not {"val/segment/type_av", "val/event/event_av"} & set(fitted.history[0])
    assert fitted.thresholds == Thresholds(0.5, 0.5)
    decided = decode(predict(network, videos))
    found = evaluate(*decided, videos.true_audio, videos.true_visual)
    assert found[f"segment/{modality}"] == pytest.approx(max(scores))


@pytest.mark.parametrize(("name", "tuned"), [("talnet", "classes"), ("stpn", "pair")])
def test_the_thresholds_kept_are_those_of_the_epoch_kept(name, tuned, videos, tmp_path):
    network, fitted = trained(name, videos, videos, tmp_path, epochs=3, tuned=tuned)
    again = TunedTraining(tuned=tuned).thresholds(predict(network, videos), videos)
    for kept, found in zip(fitted.thresholds, again, strict=True):
        assert torch.equal(torch.as_tensor(kept), torch.as_tensor(found))
    masks = decode(predict(network, videos), threshold=fitted.thresholds)
    best = fitted.history[fitted.selected_epoch - 1]
    for metric, value in evaluate(*masks, videos.true_audio, videos.true_visual).items():
        assert value == pytest.approx(best[f"val/{metric}"])


@pytest.mark.parametrize(("name", "tuned"), [("talnet", "classes"), ("stpn", "pair")])
def test_a_run_that_is_cut_off_ends_with_the_same_thresholds(name, tuned, videos, tmp_path):
    options = {"tuned": tuned, "patience": 0}
    _, whole = trained(name, videos, videos, tmp_path / "whole", epochs=3, **options)
    calls = []

    def interrupted(parsing, val):
        calls.append(parsing)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return TunedTraining.thresholds(config, parsing, val)

    config = TunedTraining(epochs=3, batch_size=6, learning_rate=1e-3, **options)
    broken = replace(config)
    object.__setattr__(broken, "thresholds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        network = seeded(1, lambda: build(name, **{"talnet": {"width": 32}}.get(name, {})))
        fit(
            network, videos, videos,
            objective=Objective({"audio" if name == "talnet" else "visual": 1.0}),
            config=broken, seed=1, folder=tmp_path / "cut", progress=False,
            checkpoint_seconds=0.0,
        )  # fmt: skip
    _, resumed = trained(name, videos, videos, tmp_path / "cut", epochs=3, **options)
    assert resumed.history == whole.history
    assert resumed.selected_epoch == whole.selected_epoch
    for one, other in zip(resumed.thresholds, whole.thresholds, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


def test_tracks_are_not_exchanged_where_one_modality_is_parsed(videos):
    partners = torch.arange(len(videos)).flip(0)[:, None]
    with pytest.raises(AvvpError, match="STPN parses one modality; tracks can only be exchanged"):
        exchanged(build("stpn"), videos, partners)


def test_thresholds_for_one_modality_are_not_tuned_for_two(videos, tmp_path):
    network = seeded(1, lambda: build("ave"))
    with pytest.raises(AvvpError, match="is for a network of one modality; this one parses both"):
        fit(
            network, videos, videos, objective=Objective(),
            config=TunedTraining(epochs=1, tuned="pair"), seed=1, folder=tmp_path, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"weight_decay": -1.0}, "weight_decay is -1.0; it must be at least 0"),
        ({"patience": -1}, "patience is -1; it must be at least 0, or None"),
        ({"tuned": "test"}, "tuned is 'test'; it must be 'classes', 'pair' or None"),
    ],
)
def test_wrong_settings_are_one_sentence(wrong, sentence):
    with pytest.raises(AvvpError, match=sentence):
        TunedTraining(**wrong)


def test_on_a_plateau_the_rate_falls_after_the_patience_is_used_up():
    config = TunedTraining(learning_rate=1.0, decay_factor=0.5, patience=1)
    scores = [10.0, 20.0, 20.0, 19.0, 21.0, 5.0, 5.0, 5.0]
    rates = [config.learning_rate_at(epoch, scores) for epoch in range(1, 10)]
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    fixed = replace(config, patience=None, decay_every=2)
    assert [fixed.learning_rate_at(e, scores) for e in (1, 2, 3)] == [1, 1, 0.5]


def test_weight_decay_shrinks_what_has_no_gradient(videos, tmp_path):
    norms = []
    for decay in (0.0, 10.0):
        network, _ = trained("stpn", videos, videos, tmp_path / str(decay), weight_decay=decay)
        norms.append(network.classifier.weight.norm().item())
    assert norms[1] < norms[0]


def test_fewer_epochs_leave_the_protocol_its_kind():
    config = TunedTraining(epochs=40, weight_decay=1e-3, tuned="pair").scaled_to(12)
    assert config == TunedTraining(epochs=12, decay_every=3, weight_decay=1e-3, tuned="pair")
    assert type(TrainingConfig().scaled_to(12)) is TrainingConfig


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for name in ("older/talnet", "older/stpn", "older/ave"):
        run(REGISTRY[name], profile=TINY, device="cpu", runs=root, progress=False)
    return {run.experiment: (path, run) for path, run in find_runs(root).items()}


def test_a_run_keeps_the_scores_and_arrays_of_its_modality(runs):
    path, talnet = runs["older/talnet"]
    assert list(talnet.metrics) == own("audio")
    assert read_run(path) == talnet
    with pytest.raises(AvvpError, match="no 'segment/visual' of a method that parses one"):
        read_run(path).metrics["segment/visual"]
    arrays = read_arrays(path)
    missing = np.isnan(arrays["per_video"].astype(float)).all(axis=0)
    assert missing.tolist() == [metric not in own("audio") for metric in METRICS]
    assert np.isnan(arrays["gates"]).sum() == 3 * 8
    assert "reliability/segment_audio" in arrays
    assert "only/scores" not in arrays
    assert not [name for name in arrays if "visual" in name and not name.startswith("timelines/t")]
    assert arrays["thresholds/segment"].shape == (25,)
    _, stpn = runs["older/stpn"]
    assert list(stpn.metrics) == own("visual")
    assert read_arrays(runs["older/stpn"][0])["thresholds/video"].shape == ()
    assert "thresholds/video" not in read_arrays(runs["older/ave"][0])
    assert list(summarise([talnet]).metrics) == own("audio")


def test_the_thresholds_of_a_run_decided_its_scores(runs):
    path, talnet = runs["older/talnet"]
    arrays = read_arrays(path)
    cuts = torch.from_numpy(arrays["thresholds/segment"])
    heard = torch.from_numpy(arrays["timelines/segment_audio"]).double()
    on = (heard >= cuts) & (torch.from_numpy(arrays["timelines/audio"]) >= cuts)[:, None]
    truth = torch.from_numpy(arrays["timelines/true_audio"])
    scored = evaluate_videos(on.transpose(1, 2), None, truth, truth)
    ids = open_test_ids(talnet)
    rows = [ids.index(video) for video in arrays["timelines/ids"].tolist()]
    kept = arrays["per_video"][rows, 0].astype(float)
    # Kept probabilities are rounded to 16 bits: one near a threshold may fall on the other side.
    assert np.isclose(kept, scored.per_video[:, 0].numpy(), atol=0.05).sum() >= len(rows) - 1


def open_test_ids(made) -> list[str]:
    from avvp.data import load

    return list(load(open_source("sim", TINY).origin, "test").ids)


def test_other_test_data_does_not_change_thresholds(monkeypatch, tmp_path):
    """The scores change with the test split, and the thresholds do not."""
    from avvp import experiments

    found = []
    split = experiments.open_split

    def other_test(source, which, profile, device):
        got = split(source, which, profile, device)
        if which == "test":
            g = torch.Generator().manual_seed(0)
            got = replace(got, audio=torch.randn(got.audio.shape, generator=g),
                          true_audio=got.true_audio.flip(0))  # fmt: skip
        return got

    for folder, changed in (("as it is", False), ("another", True)):
        if changed:
            monkeypatch.setattr(experiments, "open_split", other_test)
        options = {"profile": TINY, "device": "cpu", "progress": False, "runs": tmp_path / folder}
        done = run(REGISTRY["older/talnet"], **options)
        (path,) = find_runs(tmp_path / folder)
        found.append((done.metrics, read_arrays(path)["thresholds/segment"]))
    (scores, cuts), (other_scores, other_cuts) = found
    assert (cuts == other_cuts).all()
    assert scores != other_scores


def test_other_validation_data_does_change_thresholds(videos, tmp_path):
    flipped = replace(videos, true_audio=videos.true_audio.flip(0))
    cuts = [
        trained("talnet", videos, val, tmp_path / name, epochs=1, tuned="classes")[1].thresholds
        for name, val in (("one", videos), ("other", flipped))
    ]
    assert not torch.equal(cuts[0].segment, cuts[1].segment)


def test_a_table_has_no_number_where_a_method_has_no_score(tmp_path, monkeypatch):
    from tests.unit.test_tables import cells, store

    scores = {"segment/visual": 41.0, "event/visual": 31.0}
    store(tmp_path, name="older/stpn", profile="medium", metrics=scores)
    store(tmp_path, name="older/ave", profile="medium")
    place = {"paper": "ma", "table": "Table 1", "results": tmp_path, "runs": tmp_path / "none"}
    for level in LEVELS:
        table = result_table(["older/stpn", "older/ave"], level=level, **place)
        printed, measured, *_ = cells(table)
        assert printed[0] == "STPN"
        assert measured[0].startswith("STPN (adapted: ")
        visual = published("ma", "Table 1", "STPN")[f"{level}/visual"]
        assert printed[2:] == ["–", f"{visual:.1f}", "–", "–", "–"]
        assert measured[2:] == ["–", f"{scores[f'{level}/visual']:.1f}", "–", "–", "–"]
        assert "–: not printed, or the method does not parse that modality." in table
    assert "does not parse" not in result_table(["older/ave"], **place)


def test_a_study_refuses_a_score_that_one_side_does_not_have(tmp_path):
    from tests.unit.test_tables import store

    scores = {"segment/audio": 41.0, "event/audio": 31.0}
    store(tmp_path, name="older/talnet", profile="medium", metrics=scores)
    store(tmp_path, name="han/han", profile="medium")
    names = {"han/han": "HAN", "older/talnet": "TALNet"}
    study = open_study(names, paper="ma", table="Table 1", results=tmp_path, runs=tmp_path / "none")
    assert study.step("older/talnet", "segment/audio").measured == pytest.approx(0.0)
    with pytest.raises(AvvpError, match="no 'segment/visual' of a method that parses one"):
        study.step("older/talnet", "segment/visual")
