"""A study compares what saw the same videos, and leaves the rest out by name."""

import shutil

import numpy as np
import pytest

from avvp.claims import compare
from avvp.experiments import REGISTRY, open_source
from avvp.metrics import METRICS
from avvp.registry import PROFILES
from avvp.results import Run, run_hash, write_run
from avvp.studies import Step, by_scale, open_study, told_by_scale

NAMES = {"mgn/mgn": "soft, soft", "mgn/hard_soft": "hard, soft", "mgn/mcg_only": "MCG only"}
VISUAL = "segment/visual"


@pytest.fixture
def roots(tmp_path):
    return {"runs": tmp_path / "runs", "results": tmp_path / "results"}


def store(root, name, scores, *, seed=1, profile="full"):
    """A run whose ten numbers are all the mean of ``scores``, one a test video."""
    scores = np.asarray(scores, np.float16)
    configuration = REGISTRY[name].configuration(PROFILES[profile])
    fingerprint = open_source("sim", PROFILES[profile]).fingerprint
    run = Run(
        experiment=name,
        profile=profile,
        data="sim",
        simulated=True,
        seed=seed,
        configuration=configuration,
        data_fingerprint=fingerprint,
        commit="0" * 40,
        versions={},
        device="cpu",
        seconds=1.0,
        peak_memory=1,
        parameters=1,
        metrics=dict.fromkeys(METRICS, float(scores.mean())),
        counts=[],
        hash=run_hash(configuration, fingerprint, seed),
    )
    return write_run(root, run, {"per_video": np.tile(scores[:, None], (1, len(METRICS)))})


def opened(roots, **options):
    return open_study(NAMES, paper="mgn_supp", table="Table 2", **roots, **options)


def test_a_difference_has_the_interval_of_the_claims(roots):
    scores = {
        "mgn/mgn": [[50, 60, 70], [52, 62, 72]],
        "mgn/hard_soft": [[51, 62, 73], [50, 60, 64]],
    }
    for name, seeds in scores.items():
        for seed, videos in enumerate(seeds, 1):
            store(roots["results"], name, videos, seed=seed)
    study = opened(roots)
    step = study.step("mgn/hard_soft", VISUAL)
    better, worse = (np.asarray(scores[n], float) for n in ("mgn/hard_soft", "mgn/mgn"))
    expected = compare(better.mean(1), worse.mean(1), better.mean(0) - worse.mean(0))
    assert step.measured == pytest.approx(better.mean() - worse.mean())
    assert step.half_width == pytest.approx(expected.half_width)
    assert step.printed == pytest.approx(54.9 - 55.5)
    assert study.step("mgn/mgn", VISUAL, to="mgn/hard_soft").measured == -step.measured
    assert study.score("mgn/hard_soft", VISUAL).mean == pytest.approx(better.mean())
    assert study.told == "simulated LLP, full, 2 seeds"


def test_what_was_not_run_is_named_and_keeps_its_printed_difference(roots):
    study = opened(roots)
    assert study.steps({VISUAL: "Visual"}) == {
        "hard, soft": {"Visual": Step(pytest.approx(-0.6))},
        "MCG only": {"Visual": Step()},
    }
    assert study.score("mgn/mgn", VISUAL) is None
    assert study.missing == "Not run yet: soft, soft; hard, soft; MCG only."
    assert study.told == "not run yet: avvp reproduce --profile full --only mgn/mgn"
    assert study.step("mgn/hard_soft", VISUAL).told == "not run"


def test_the_summary_counts_clear_differences_and_printed_signs(roots):
    metrics = {VISUAL: "Visual", "segment/audio": "Audio"}
    assert opened(roots).summary(metrics).startswith("There is nothing to compare yet. Not run")
    for seed, shift in enumerate((0, 0.5), 1):
        store(roots["results"], "mgn/mgn", [50 + shift, 60 + shift, 70 + shift], seed=seed)
        store(roots["results"], "mgn/hard_soft", [40, 50, 60 - shift], seed=seed)
        store(roots["results"], "mgn/mcg_only", [50, 60, 70 + shift], seed=seed)
    assert opened(roots).summary(metrics) == (
        "On simulated LLP, full, 2 seeds, 4 differences from soft, soft are measured; the interval "
        "of 2 leaves out zero: hard, soft (Visual, Audio). Of the 2 that differ in print too, 2 "
        "have the printed sign."
    )


def test_the_summary_of_one_seed_claims_no_interval(roots):
    for name in NAMES:
        store(roots["results"], name, [50, 60])
    said = opened(roots).summary({VISUAL: "Visual"})
    assert "are measured, without intervals" in said


def test_a_printed_score_is_looked_up_in_the_study_s_own_table_first(roots):
    study = open_study({"ma/c": "nothing", "ma/cr": "both"}, paper="ma", table="Table 3", **roots)
    assert study.printed("ma/c")[VISUAL] == 53.1  # Table 2: Table 3 has no such row
    assert study.printed("ma/cr")[VISUAL] == 60.0
    # A table of the same number in another paper has fewer scores of HAN than its main one.
    assert len(study.printed("han/han")) == len(METRICS)
    assert len(study.printed("mgn/mgn")) == len(METRICS)


def test_runs_on_other_videos_are_not_compared(roots):
    store(roots["results"], "mgn/mgn", [50, 60])
    store(roots["results"], "mgn/hard_soft", [50, 60], profile="medium")
    study = opened(roots)
    assert set(study.per_video) == {"mgn/mgn"}
    assert study.missing == (
        "Not run yet: MCG only. "
        "Run on other videos only: hard, soft (simulated LLP, medium, 1 seed)."
    )


def test_this_build_is_shown_where_it_compares_more(roots):
    store(roots["results"], "mgn/mgn", [50, 60])
    for name in NAMES:
        store(roots["runs"], name, [40, 60], profile="smoke")
    assert opened(roots).told == "simulated LLP, full, 1 seed"
    study = opened(roots, profile="smoke")
    assert study.told == "simulated LLP, smoke, 1 seed"
    assert study.missing == ""
    step = study.step("mgn/hard_soft", VISUAL)
    assert (step.measured, step.half_width, step.told) == (0, None, "+0.0")
    for name in NAMES:  # equally many: what is committed comes first
        store(roots["results"], name, [40, 60])
    assert opened(roots, profile="smoke").told == "simulated LLP, full, 1 seed"


def test_an_outdated_run_of_this_build_is_not_shown(roots):
    path = store(roots["runs"], "mgn/mgn", [50, 60], profile="smoke")
    other = path.parents[1] / "hard_soft"
    shutil.copytree(path.parent, other)  # its hash is that of mgn/mgn
    text = (other / path.name).read_text().replace('"mgn/mgn"', '"mgn/hard_soft"')
    (other / path.name).write_text(text)
    assert set(opened(roots, profile="smoke").per_video) == {"mgn/mgn"}


@pytest.mark.parametrize(
    ("step", "told", "clear"),
    [
        (Step(1.0, 2.04, 1.0), "+2.0 ±\u00a01.0", True),
        (Step(1.0, -0.5, 1.0), "-0.5 ±\u00a01.0", False),
        (Step(1.0, 0.5), "+0.5", False),
        (Step(1.0), "not run", False),
    ],
)
def test_a_step_tells_itself(step, told, clear):
    assert (step.told, step.clear) == (told, clear)


def test_runs_of_several_seeds_and_of_one_are_told_apart(roots):
    for name, seeds in (("mgn/mgn", (1,)), ("mgn/hard_soft", (1, 2, 3))):
        for seed in seeds:
            store(roots["results"], name, [50, 60], seed=seed)
    assert opened(roots).told == "simulated LLP, full, 1 to 3 seeds"


def test_a_difference_under_each_scale_says_whether_its_sign_turns(roots):
    place = {"paper": "mgn", "table": "Table 1", "results": roots["results"]}
    pair = "mgn/mgn", "han/han"

    def told() -> str:
        return told_by_scale(*pair, metric=VISUAL, **place)

    for seed in (1, 2):
        store(roots["results"], "han/han", [50, 61, 70], seed=seed, profile="medium")
        store(roots["results"], "mgn/mgn", [46, 57 + seed / 8, 66], seed=seed, profile="medium")
        store(roots["results"], "han/han", [50, 61, 70], seed=seed)
    assert [*by_scale(*pair, **place)] == ["medium"] and told() == ""
    store(roots["results"], "mgn/mgn", [60, 72, 80])
    studies = by_scale(*pair, **place)
    assert [*studies] == ["medium", "full"]
    assert studies["full"].step(*pair[:1], VISUAL).measured == pytest.approx(31 / 3, abs=0.1)
    assert "+10.3 under profile full (1 and 2 seeds)" in told()
    assert "The means differ in sign, but not both have" in told()
    assert told().endswith("2,500 training videos say of it may not hold with 10,000.")
    store(roots["results"], "mgn/mgn", [60, 71.875, 80], seed=2)
    assert "**The sign turns**, and both intervals leave out 0: what" in told()
    for seed in (1, 2):
        store(roots["results"], "mgn/mgn", [40, 51, 60], seed=seed)
    assert told().endswith("The sign is the same.")
