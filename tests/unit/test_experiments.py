"""The registry, and one run from data to files."""

import linecache
import subprocess
import sys
from dataclasses import asdict, replace
from importlib import import_module

import numpy as np
import pytest
import torch

from avvp import experiments
from avvp.curves import OVERLAPS, THRESHOLDS
from avvp.data import simulate
from avvp.data.simulate import PROFILE_SIZES
from avvp.data.store_writer import write_videos
from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS
from avvp.experiments import (
    PROFILES,
    REGISTRY,
    Experiment,
    Override,
    Profile,
    find_experiments,
    get_profile,
    is_current,
    one_step,
    open_source,
    rows_without_experiment,
    run,
)
from avvp.losses import Objective
from avvp.metrics import LEVELS, METRICS
from avvp.models import MODELS
from avvp.published import Row, published, published_rows
from avvp.results import RESULTS, find_runs, read_arrays, read_run, run_hash
from avvp.training import TrainingConfig

TINY = Profile("tiny", "tests", 32, 16, 16, epochs=2)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_experiment_trains_one_step_and_scores(name, tmp_path):
    done = one_step(REGISTRY[name], runs=tmp_path)
    (path,) = find_runs(tmp_path, experiment=name)
    assert read_run(path) == done
    own = {"older/talnet": "audio", "older/stpn": "visual", "older/cmcs": "visual"}.get(name)
    assert list(done.metrics) == ([f"{level}/{own}" for level in LEVELS] if own else list(METRICS))
    steps = len(read_arrays(path).get("history/epoch", []))
    assert steps == (1 if REGISTRY[name].training else 0)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_row_of_an_experiment_is_printed(name):
    for row in REGISTRY[name].rows:
        assert published(*row)


def test_no_printed_row_belongs_to_two_experiments():
    rows = [row for experiment in REGISTRY.values() for row in experiment.rows]
    assert len(rows) == len(set(rows))


def test_the_registry_is_keyed_by_name_and_every_name_is_a_family_and_a_variant():
    for name, experiment in REGISTRY.items():
        assert name == experiment.name
        assert name.count("/") == 1


def test_han_regenerates_every_printed_row_of_han():
    han = {row for row in published_rows() if row.row in ("HAN", "Baseline")}
    assert han < set(REGISTRY["han/han"].rows)
    assert Row("mgn", "Table 2", "MGN", "CUG off, MCG off") in REGISTRY["han/han"].rows
    ten = published("mgn", "Table 1", "HAN")
    for row in REGISTRY["han/han"].rows:
        scores = {k: v for k, v in published(*row).items() if k in METRICS}
        assert scores.items() <= ten.items(), row


def test_the_older_baselines_regenerate_every_printed_row_of_theirs():
    names = {"AVE", "AVSDN", "TALNet", "STPN", "CMCS"}
    printed = {row for row in published_rows() if row.row in names}
    older = [experiment for name, experiment in REGISTRY.items() if name.startswith("older/")]
    assert {row for experiment in older for row in experiment.rows} == printed
    assert all(experiment.core for experiment in older)
    for experiment in older:
        assert experiment.label == f"{experiment.title} (adapted: {experiment.adapted})"


def test_han_is_trained_as_released():
    released = asdict(REGISTRY["han/han"].at(PROFILES["full"]).training)
    expected = {
        "epochs": 40,
        "batch_size": 16,
        "learning_rate": 3e-4,
        "decay_factor": 0.1,
        "decay_every": 10,
        "selection": "best",
        "gate": "video",
    }
    assert {k: released[k] for k in expected} == expected


def test_rows_without_an_experiment_are_those_with_scores_that_nothing_regenerates(monkeypatch):
    row = Row("mgn", "Table 1", "HAN")
    assert row not in rows_without_experiment()
    monkeypatch.setattr(experiments, "REGISTRY", {})
    rows = rows_without_experiment()
    assert row in rows
    assert len(rows) == len(set(rows))
    assert Row("mgn", "text", "HAN") not in rows  # a size, no score
    assert not [row for row in rows if row.row in ("LLP", "AudioSet")]


def test_profiles_have_the_sizes_of_the_simulator():
    for name, sizes in PROFILE_SIZES.items():
        profile = PROFILES[name]
        assert {"train": profile.train, "val": profile.val, "test": profile.test} == sizes
    assert PROFILES["published"].seeds == 0


def test_decay_points_move_with_the_number_of_epochs():
    experiment = Experiment("a/b", "A", model="han", training=TrainingConfig(epochs=40))
    medium = experiment.at(PROFILES["medium"]).training
    assert (medium.epochs, medium.decay_every) == (12, 3)
    full = experiment.at(PROFILES["full"]).training
    assert (full.epochs, full.decay_every) == (40, 10)


def test_a_profile_never_adds_epochs():
    experiment = Experiment("a/b", "A", model="han", training=TrainingConfig(epochs=5))
    assert experiment.at(PROFILES["medium"]).training.epochs == 5


def test_overrides_are_applied_and_listed_with_their_reasons():
    experiment = Experiment(
        "a/b",
        "A",
        model="han",
        training=TrainingConfig(epochs=40),
        overrides={
            "quick": (
                Override("training.epochs", 20, "tokens learn slowly"),
                Override("options.width", 64, "a laptop"),
            )
        },
    )
    quick = experiment.at(PROFILES["quick"])
    assert (quick.training.epochs, quick.training.decay_every) == (20, 5)
    assert quick.options == {"width": 64}
    assert experiment.options == {}
    changes = {change.field: change for change in experiment.changes(PROFILES["quick"])}
    assert changes["training.epochs"][1:] == (40, 20, "tokens learn slowly")
    assert changes["training.decay_every"][1:] == (10, 5, "profile quick")
    assert changes["options.width"][1:] == (None, 64, "a laptop")
    assert {change.field for change in experiment.changes(PROFILES["full"])} <= {
        "training.precision"
    }


@pytest.mark.parametrize("field", ["training.speed", "width", "objective.weights"])
def test_an_override_of_nothing_is_refused(field):
    wrong = Experiment("a/b", "A", overrides={"quick": (Override(field, 1, "why"),)})
    with pytest.raises(AvvpError, match=f"a/b overrides '{field}'"):
        wrong.at(PROFILES["quick"])


def test_edited_code_from_outside_the_package_makes_another_run(tmp_path, monkeypatch):
    """A method of one's own is edited and run again: old weights must not be found."""
    file = tmp_path / "own_method.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = set()
    for scale in (1, 1000):
        file.write_text(
            "from torch import nn\nfrom avvp.losses import Objective\n"
            f"class Net(nn.Module):\n    scale = {scale}\n"
            "class Loss(Objective):\n    pass\n"
        )
        sys.modules.pop("own_method", None)
        linecache.clearcache()
        own = import_module("own_method")
        monkeypatch.setitem(MODELS, "own_net", own.Net)
        theirs = Experiment("own/net", "N", model="own_net")
        ours = Experiment("own/loss", "L", model="han", objective=own.Loss({"video": 1.0}))
        for entry in (theirs, ours):
            seen.add(entry.configuration(PROFILES["smoke"])["code"])
    assert len(seen) == 2
    assert "code" not in REGISTRY["han/han"].configuration(PROFILES["smoke"])


def test_the_configuration_changes_with_all_that_determines_a_run():
    base = Experiment("a/b", "A", model="han")
    before = base.configuration(PROFILES["medium"])
    for changed in (
        replace(base, model="linear"),
        replace(base, options={"width": 64}),
        replace(base, objective=Objective(weights={"video": 1.0})),
        replace(base, training=TrainingConfig(learning_rate=1e-3)),
        replace(base, training=TrainingConfig(gate="modality")),
    ):
        assert changed.configuration(PROFILES["medium"]) != before
    assert replace(base, title="B").configuration(PROFILES["medium"]) == before
    assert base.configuration(PROFILES["quick"]) != before


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    """A run of HAN on a tiny profile, and where it is."""
    root = tmp_path_factory.mktemp("runs")
    done = run(REGISTRY["han/han"], profile=TINY, device="cpu", runs=root, progress=False)
    (path,) = find_runs(root)
    return done, path


def test_a_run_says_what_determined_it_and_what_it_took(tiny_run):
    done, path = tiny_run
    assert read_run(path) == done
    assert done.simulated
    assert done.data == "sim"
    assert done.configuration["videos"] == {"train": 32, "val": 16, "test": 16}
    assert done.configuration["training"]["epochs"] == 2
    assert done.hash == run_hash(done.configuration, done.data_fingerprint, 1)
    assert done.parameters == 4_569_675  # golden/README, section 4: HAN's with gradient
    assert done.seconds > 0
    assert done.peak_memory > 100e6
    assert done.device.startswith("cpu")
    assert done.versions["torch"] == torch.__version__
    assert np.shape(done.counts) == (2, 4, CLASSES, 3)


def test_a_run_keeps_what_figures_need(tiny_run):
    done, path = tiny_run
    arrays = read_arrays(path)
    assert arrays["per_video"].shape == (16, 10)
    assert arrays["per_video"].dtype == np.float16
    means = arrays["per_video"].astype(float).mean(0)
    assert means == pytest.approx(list(done.metrics.values()), abs=0.05)
    assert arrays["threshold_curve"].shape == (len(THRESHOLDS), 10)
    assert arrays["overlap_curve"].shape == (len(OVERLAPS), 5)
    assert arrays["only/scores"].shape == (2, 2) and arrays["only/counts"].shape == (2, 2, 25, 3)
    scores = list(done.metrics.values())
    assert arrays["repair/scores"][0].tolist() == scores
    assert (arrays["repair/scores"][-1] == 100).all()
    assert arrays["repair/seconds"].shape == (3, 2, 2)
    assert arrays["by_length"].shape == arrays["all_seconds/by_length"].shape == (2, 10)
    assert arrays["all_seconds/scores"].shape == (10,)
    for name in ("video", "audio", "visual"):
        assert arrays[f"reliability/{name}"][:, 0].sum() == 16 * CLASSES
    for name in ("segment_audio", "segment_visual"):
        assert arrays[f"reliability/{name}"][:, 0].sum() == 16 * CLASSES * SEGMENTS
    assert arrays["history/epoch"].tolist() == [1, 2]
    assert "history/val/segment/type_av" in arrays
    assert arrays["selected_epoch"] in (1, 2)
    assert arrays["timelines/ids"].shape == (8,)
    assert arrays["timelines/true_audio"].shape == (8, CLASSES, SEGMENTS)
    assert arrays["timelines/segment_visual"].shape == (8, SEGMENTS, CLASSES)
    assert len(arrays["timelines/attention_over_time"]) == 8
    assert path.with_suffix(".npz").stat().st_size < 200_000


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(tmp_path):
    arrays = []
    for folder, seed in (("first", 1), ("again", 1), ("other", 2)):
        linear = REGISTRY["reference/linear"]
        options = {"profile": TINY, "seed": seed, "device": "cpu", "progress": False}
        run(linear, runs=tmp_path / folder, **options)
        ((path, done),) = find_runs(tmp_path / folder).items()
        arrays.append((done.hash, read_arrays(path)))
    (first_hash, first), (again_hash, again), (other_hash, other) = arrays
    assert first_hash == again_hash != other_hash
    assert all((first[name] == again[name]).all() for name in ("per_video", "timelines/audio"))
    assert (first["timelines/audio"] != other["timelines/audio"]).any()


def test_a_run_goes_stale_with_the_registry_or_the_simulator(monkeypatch, tmp_path):
    monkeypatch.setitem(PROFILES, "tiny", TINY)
    linear = REGISTRY["reference/linear"]
    done = run(linear, profile=TINY, device="cpu", runs=tmp_path, progress=False)
    assert is_current(done)
    assert not is_current(replace(done, profile="nothing"))
    assert not is_current(replace(done, experiment="no/thing"))
    with monkeypatch.context() as patch:
        changed = replace(linear, training=TrainingConfig(learning_rate=1.0))
        patch.setitem(REGISTRY, linear.name, changed)
        assert not is_current(done)
    with monkeypatch.context() as patch:
        patch.setattr(import_module("avvp.data.simulate"), "VERSION", 999)
        assert not is_current(done)
    assert is_current(done)


def test_committed_results_are_current_or_marked_stale():
    for path, found in find_runs(RESULTS).items():
        assert found.stale or is_current(found), (
            f"{path} is stale; run `avvp results mark-stale`, or make it again"
        )
        assert read_arrays(path)


def test_a_run_on_a_file_says_which_and_whether_it_is_simulated(tmp_path):
    config = open_source("sim", TINY).origin
    splits = {split: simulate(config, split) for split in ("train", "val", "test")}
    file = tmp_path / "mine.h5"
    write_videos(file, splits, {"source": "simulated"})
    linear = REGISTRY["reference/linear"]
    done = run(
        linear, profile=TINY, data=str(file), device="cpu", runs=tmp_path / "runs", progress=False
    )
    assert done.data == "mine.h5"
    assert done.simulated
    here = run(linear, profile=TINY, device="cpu", runs=tmp_path / "runs", progress=False)
    assert done.metrics == here.metrics
    assert done.hash != here.hash


def test_a_file_whose_test_split_is_not_annotated_cannot_be_scored(tmp_path):
    config = open_source("sim", TINY).origin
    splits = {split: simulate(config, split) for split in ("train", "val", "test")}
    splits["test"] = replace(splits["test"], true_audio=None, true_visual=None)
    write_videos(tmp_path / "weak.h5", splits, {"source": "imported"})
    with pytest.raises(AvvpError, match="no annotated seconds"):
        run(
            REGISTRY["reference/linear"],
            profile=TINY,
            data=str(tmp_path / "weak.h5"),
            device="cpu",
            runs=tmp_path,
        )


def test_a_profile_that_shows_results_trains_nothing(tmp_path):
    with pytest.raises(AvvpError, match="'published' shows committed results and trains nothing"):
        run(REGISTRY["reference/linear"], profile=PROFILES["published"], runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_that_are_not_there_are_answered_with_those_that_are():
    with pytest.raises(AvvpError, match="no profile 'huge'; choose one of published, smoke"):
        get_profile("huge")
    with pytest.raises(AvvpError, match=r"No experiment matches 'hen/\*'; there are .*han/han"):
        find_experiments("han/*", "hen/*")
    some = find_experiments("reference/linear", "han/h*", "reference/l*")
    assert [e.name for e in some] == [n for n in REGISTRY if n in ("reference/linear", "han/han")]
    assert [e.name for e in find_experiments("reference/*")] == [
        "reference/linear",
        "reference/oracle",
    ]


def test_the_commit_is_that_of_the_checkout():
    experiments.commit.cache_clear()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=experiments.HOME, capture_output=True, text=True
    ).stdout.strip()
    assert experiments.commit().removesuffix("-dirty") == (head or "unknown")
