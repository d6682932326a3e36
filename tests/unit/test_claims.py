"""Claims are listed as they were printed, and judged by one rule."""

import csv
import math
import statistics
import zlib
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy import stats

from avvp import claims as module
from avvp.claims import (
    LEARNT_AFTER,
    Claim,
    Part,
    Verdict,
    bootstrap_interval,
    claims_table,
    compare,
    holm,
    judge,
    read_claims,
    sizes,
)
from avvp.errors import AvvpError
from avvp.experiments import PROFILES, REGISTRY, Source, open_source
from avvp.metrics import LEVELS, METRICS, MODALITIES
from avvp.parity import names_and_shapes
from avvp.published import published, published_cells
from avvp.results import Run, read_arrays, run_hash, write_run
from avvp.tables import NOT_RUN, PAPERS

VIDEOS = 80

SCORE = Claim(
    *("id", "grouping", "mgn", "Sec. 4.2", "MGN is better than HAN", "segment/visual"),
    *("mgn/mgn", "han/han", 1, 2.6, "score", ""),
)
FALSE = SCORE._replace(metric="event/visual/false_positives", sign=-1, claimed=494, kind="count")
TOKENS = SCORE._replace(metric="token_audio_f1", worse="", claimed=0.99, kind="history")
SIZE = SCORE._replace(metric="size", worse="", claimed=17.0, kind="exact")
SHARE = SCORE._replace(metric="share/stored", claimed=47.2, kind="exact")


@pytest.fixture
def roots(tmp_path) -> dict[str, Path]:
    return {"runs": tmp_path / "runs", "results": tmp_path / "results"}


def videos(mean: float, *, seed: int = 0, spread: float = 20.0) -> np.ndarray:
    """(N, 10) scores of test videos around a mean; the same videos are hard for everybody."""
    easy = np.random.default_rng(7).normal(0, spread, (VIDEOS, 10))
    own = np.random.default_rng(1000 + seed).normal(0, 1, (VIDEOS, 10))
    return (mean + easy + own).astype(np.float16)


def store(
    root: Path,
    name: str,
    scores: np.ndarray | None = None,
    *,
    seed: int = 1,
    profile: str = "full",
    arrays: dict[str, np.ndarray] | None = None,
    **changes,
) -> Path:
    """Write a run of the present configuration that never happened."""
    size = PROFILES[profile]
    scores = videos(50) if scores is None else scores
    run = Run(
        experiment=name,
        profile=profile,
        data="sim",
        simulated=True,
        seed=seed,
        configuration=REGISTRY[name].configuration(size),
        data_fingerprint=open_source("sim", size).fingerprint,
        commit="0" * 40,
        versions={},
        device="an imaginary machine",
        seconds=1.0,
        peak_memory=1,
        parameters=1,
        metrics=dict(zip(METRICS, scores.astype(float).mean(axis=0).tolist(), strict=True)),
        counts=np.zeros((2, 4, 25, 3), int).tolist(),
        hash="",
    )
    run = replace(run, **changes)
    run = replace(run, hash=run_hash(run.configuration, run.data_fingerprint, run.seed))
    return write_run(root, run, {"per_video": scores} | (arrays or {}))


def seeds(root: Path, name: str, means: list[float], **options) -> None:
    """One run a seed, each around its mean."""
    offset = zlib.crc32(name.encode())
    for seed, mean in enumerate(means, start=1):
        store(root, name, videos(mean, seed=offset + seed), seed=seed, **options)


def one(claim: Claim, roots: dict[str, Path], **options) -> Verdict:
    (verdict,) = judge([claim], **options, **roots)
    return verdict


# The rule


@pytest.mark.parametrize(
    ("sign", "outcome"), [(1, "supported"), (-1, "contradicted")], ids=["claimed", "other"]
)
def test_a_clear_difference_is_decided_by_its_sign(sign, outcome, roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.5, 61.0])
    seeds(roots["results"], "han/han", [50.0, 50.2, 50.4])
    verdict = one(SCORE._replace(sign=sign), roots)
    assert verdict.outcome == outcome
    assert (verdict.world, verdict.profile, verdict.seeds) == ("simulated LLP", "full", (3, 3))
    assert verdict.corrected == verdict.comparison.p < 0.05
    assert verdict.comparison.difference == pytest.approx(10.3, abs=0.5)


def test_difference_error_and_freedom_are_those_of_the_formula(roots):
    better, worse = [52.0, 53.5, 56.0, 51.0], [50.0, 50.1, 52.4]
    seeds(roots["results"], "mgn/mgn", better)
    seeds(roots["results"], "han/han", worse)
    found = one(SCORE, roots).comparison

    column = METRICS.index("segment/visual")
    kept = {
        name: [
            read_arrays(path)["per_video"][:, column].astype(float)
            for path in sorted((roots["results"] / "sim" / "full" / name).glob("*.json"))
        ]
        for name in ("mgn/mgn", "han/han")
    }
    (m1, v1, n1), (m2, v2, n2) = (
        (statistics.fmean(x), statistics.variance(x), len(x))
        for x in ([float(s.mean()) for s in side] for side in kept.values())
    )
    averaged = [[statistics.fmean(v) for v in zip(*s, strict=True)] for s in kept.values()]
    paired = [a - b for a, b in zip(*averaged, strict=True)]
    square = v1 / n1 + v2 / n2 + statistics.variance(paired) / VIDEOS
    welch = (v1 / n1 + v2 / n2) ** 2 / ((v1 / n1) ** 2 / (n1 - 1) + (v2 / n2) ** 2 / (n2 - 1))
    t = (m1 - m2) / math.sqrt(square)
    assert found.difference == pytest.approx(m1 - m2)
    assert found.error == pytest.approx(math.sqrt(square))
    assert found.freedom == pytest.approx(welch)
    assert found.p == pytest.approx(2 * stats.t(welch).cdf(-abs(t)))
    assert found.half_width == pytest.approx(stats.t(welch, scale=found.error).ppf(0.975))


def test_without_videos_it_is_welchs_test():
    better, worse = [3.0, 4.5, 4.1, 3.3], [2.0, 2.1, 2.6]
    expected = stats.ttest_ind(better, worse, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    found = compare(better, worse)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(expected.df)
    assert found.difference - found.half_width == pytest.approx(low)
    assert found.difference + found.half_width == pytest.approx(high)


def test_seeds_that_agree_leave_the_degrees_of_freedom_to_the_others():
    paired = np.array([1.0, 2.0, 4.0, 5.0])
    assert compare([5, 5, 5], [1, 2, 3, 4], paired).freedom == pytest.approx(3)
    assert compare([5, 6, 7], [2, 2], paired).freedom == pytest.approx(2)
    both = compare([5, 5, 5], [2, 2, 2], paired)
    assert both.freedom == 3  # of the four videos
    assert both.error == pytest.approx(statistics.stdev(paired) / 2)
    assert 0 < both.p < 1


def test_differences_without_any_spread():
    same = np.full(4, 3.0)
    assert compare([5, 5, 5], [2, 2, 2], same).p == 0
    assert compare([5, 5, 5], [2, 2, 2], same).half_width == 0
    assert compare([2, 2, 2], [2, 2, 2], 0 * same).p == 1
    assert compare([5, 5], [2, 2]).half_width == 0  # counts: the videos are no sample


def test_one_seed_has_a_difference_and_no_interval():
    for better, worse in (([5], [2, 3, 4]), ([2, 3, 4], [5])):
        found = compare(better, worse, np.arange(4.0))
        assert abs(found.difference) == 2
        assert (found.error, found.half_width, found.p) == (None, None, 1.0)


def test_holm_steps_down():
    # 0.01 x 4, 0.02 x 3, then no smaller than that, then 0.9 x 1.
    assert holm([0.02, 0.9, 0.01, 0.021]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm([0.6, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


# What the rule does not decide


def test_a_difference_within_its_uncertainty_is_not_decided(roots):
    seeds(roots["results"], "mgn/mgn", [48.0, 50.0, 53.0])
    seeds(roots["results"], "han/han", [47.0, 50.0, 52.0])
    verdict = one(SCORE, roots)
    assert (verdict.outcome, verdict.reason) == ("not decidable", "")
    assert verdict.corrected > 0.05


def test_two_seeds_decide_nothing(roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.1])
    seeds(roots["results"], "han/han", [50.0, 50.1, 50.2])
    verdict = one(SCORE, roots)
    assert verdict.outcome == "not decidable"
    assert verdict.reason == "it takes 3 seeds of each"
    assert verdict.seeds == (2, 3)
    assert verdict.corrected is None
    assert verdict.comparison.difference == pytest.approx(10, abs=0.5)


def test_a_small_profile_decides_nothing(roots):
    for name, mean in (("mgn/mgn", 60.0), ("han/han", 50.0)):
        seeds(roots["runs"], name, [mean, mean + 0.1, mean + 0.2], profile="quick")
    verdict = one(SCORE, roots, profile="quick")
    assert (verdict.outcome, verdict.profile) == ("not decidable", "quick")
    assert verdict.reason == "profile quick decides no claim"
    assert one(SCORE, roots).outcome == "not run"  # another build does not look at them


def test_a_reduced_model_decides_nothing(monkeypatch, roots):
    monkeypatch.setitem(REGISTRY, "mgn/mgn", replace(REGISTRY["mgn/mgn"], reduced="width 64"))
    seeds(roots["results"], "mgn/mgn", [60.0, 60.1, 60.2])
    seeds(roots["results"], "han/han", [50.0, 50.1, 50.2])
    verdict = one(SCORE, roots)
    assert (verdict.outcome, verdict.reason) == (
        "not decidable",
        "a network is reduced (width 64)",
    )


@pytest.mark.parametrize("changes", [{"stale": True}, {"configuration": {"model": "older"}}])
def test_stale_runs_decide_nothing(changes, roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.1, 60.2], **changes)
    seeds(roots["results"], "han/han", [50.0, 50.1, 50.2])
    verdict = one(SCORE, roots)
    assert (verdict.outcome, verdict.reason) == ("not decidable", "its runs are stale")
    assert verdict.comparison is None


def test_a_stale_run_does_not_spoil_current_ones(roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.1, 60.2])
    seeds(roots["results"], "han/han", [50.0, 50.1, 50.2])
    store(roots["results"], "han/han", seed=4, configuration={"model": "older"})
    assert one(SCORE, roots).seeds == (3, 3)


def test_runs_on_other_videos_are_not_compared(monkeypatch, roots, tmp_path):
    file = tmp_path / "llp.h5"
    monkeypatch.setattr(
        module, "open_source", lambda data, profile: Source("llp.h5", file, False, "f")
    )
    options = {"data": "llp.h5", "simulated": False, "profile": "medium"}
    other = {"data": str(file), "profile": "medium"}
    seeds(roots["runs"], "mgn/mgn", [60.0, 60.1, 60.2], data_fingerprint="f", **options)
    # Of another file that had the same name.
    seeds(roots["runs"], "han/han", [50.0, 50.1, 50.2], data_fingerprint="another", **options)
    verdict = one(SCORE, roots, **other)
    assert (verdict.outcome, verdict.comparison) == ("not run", None)
    assert "--only han/han" in verdict.reason and "--only mgn/mgn" not in verdict.reason
    seeds(roots["runs"], "han/han", [50.0, 50.1, 50.2], data_fingerprint="f", **options)
    assert (one(SCORE, roots, **other).outcome, one(SCORE, roots, **other).world) == (
        "supported",
        "llp.h5",
    )


# Which runs


def test_what_was_not_run_names_what_to_run(roots):
    assert one(SCORE, roots).reason == (
        "`avvp reproduce --profile full --only mgn/mgn`, "
        "`avvp reproduce --profile full --only han/han`"
    )
    seeds(roots["results"], "han/han", [50.0], profile="medium")
    verdict = one(SCORE, roots)
    assert (verdict.outcome, verdict.seeds) == ("not run", ())
    assert verdict.reason == "`avvp reproduce --profile medium --only mgn/mgn`"


def test_an_experiment_that_is_still_to_come_was_not_run(roots):
    verdict = one(SCORE._replace(better="cross_modal/imaginary"), roots)
    assert verdict.outcome == "not run"
    assert verdict.reason == "the registry has no `cross_modal/imaginary` yet"
    assert one(SIZE._replace(better="mgn/imaginary"), roots).outcome == "not run"


def test_both_sides_come_from_the_first_profile_with_enough_seeds(roots):
    seeds(roots["results"], "han/han", [50.0, 50.1, 50.2])
    seeds(roots["results"], "mgn/mgn", [60.0])
    assert (one(SCORE, roots).profile, one(SCORE, roots).seeds) == ("full", (1, 3))
    for name, mean in (("han/han", 40.0), ("mgn/mgn", 45.0)):
        seeds(roots["results"], name, [mean, mean + 0.1, mean + 0.2], profile="medium")
    assert (one(SCORE, roots).profile, one(SCORE, roots).outcome) == ("medium", "supported")
    seeds(roots["results"], "mgn/mgn", [60.0, 60.1, 60.2, 60.3])
    assert (one(SCORE, roots).profile, one(SCORE, roots).seeds) == ("full", (4, 3))


def test_a_build_looks_at_its_own_runs_under_its_own_profile_only(roots):
    for name, mean in (("han/han", 40.0), ("mgn/mgn", 45.0)):
        seeds(roots["runs"], name, [mean, mean + 0.1, mean + 0.2], profile="medium")
    assert one(SCORE, roots).outcome == "not run"
    assert one(SCORE, roots, profile="full").outcome == "not run"
    assert one(SCORE, roots, profile="medium").outcome == "supported"


# The other kinds


def counted(level: str, modality: str, hits: int, false_positives: int, misses: int) -> list:
    counts = np.zeros((2, 4, 25, 3), int)
    place = LEVELS.index(level), MODALITIES.index(modality)
    counts[place][3] = hits, false_positives, misses - 1
    counts[place][24, 2] = 1
    return counts.tolist()


def test_false_positives_and_recall_are_compared_over_seeds(roots):
    for name, extra in (("mgn/mgn", 0), ("han/han", 400)):
        for seed in (1, 2, 3):
            counts = counted("event", "visual", 300 + extra // 4, 1000 + extra + 10 * seed, 300)
            store(roots["results"], name, seed=seed, counts=counts)
    verdict = one(FALSE, roots)
    assert verdict.outcome == "supported"
    assert verdict.comparison == compare([1010, 1020, 1030], [1410, 1420, 1430])
    assert verdict.per_video is None
    recall = one(FALSE._replace(metric="event/visual/recall"), roots)
    assert recall.comparison.difference == pytest.approx(100 * (300 / 600 - 400 / 700))
    assert one(FALSE._replace(metric="event/audio/false_positives"), roots).comparison.p == 1


def test_counts_of_the_wrong_shape_are_refused(roots):
    seeds(roots["results"], "mgn/mgn", [50.0, 51.0, 52.0], counts=[])
    seeds(roots["results"], "han/han", [50.0, 51.0, 52.0])
    with pytest.raises(AvvpError, match=r"seed-1.json: 'counts' is \(0,\), expected TP"):
        one(FALSE, roots)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.99, 1.0, 0.995], "supported"),
        ([0.5, 0.9, 0.98], "contradicted"),
        ([0.5, 1.0, 1.0], "not decidable"),
        ([1.0, 1.0], "not decidable"),
    ],
)
def test_a_history_is_read_after_a_quarter_of_the_epochs(values, outcome, roots):
    epochs = np.arange(1, 41)
    for seed, value in enumerate(values, start=1):
        # Before and after that epoch it says the opposite.
        history = np.where(epochs == 40 * LEARNT_AFTER, value, 1.0 if value < 0.99 else 0.0)
        arrays = {"history/token_audio_f1": history}
        store(roots["results"], "mgn/mgn", seed=seed, arrays=arrays)
    verdict = one(TOKENS, roots)
    assert verdict.outcome == outcome
    assert verdict.measured == f"{min(values):.2f} to {max(values):.2f} at epoch 10 of 40"


def test_a_history_that_was_not_kept_decides_nothing(roots):
    seeds(roots["results"], "mgn/mgn", [50.0, 51.0, 52.0])
    verdict = one(TOKENS, roots)
    assert verdict.outcome == "not decidable"
    assert verdict.reason == "its runs did not keep history/token_audio_f1"


def test_sizes_are_those_of_the_released_networks(golden):
    with np.load(golden / "mgn.npz") as archive:
        table, han = archive["size_table"].tolist(), archive["han_size"].tolist()
    with np.load(golden / "ma.npz") as archive:
        ma = names_and_shapes(archive)
    found = sizes("han/han")
    assert (found["stored"], found["used"]) == (4 * han[0], 4 * han[1])
    assert sizes("ma/cr")["stored"] == 4 * sum(map(math.prod, ma.values()))
    assert sizes("ma/cr")["used"] == found["used"]
    names = {
        e.options.get("depths", (3, 3, 6)): e.name
        for e in REGISTRY.values()
        if e.model == "mgn" and e.rows
    }
    for *depths, stored, used, saved in table:
        found = sizes(names[tuple(depths)])
        assert (found["stored"], found["used"]) == (4 * stored, 4 * used)
        assert found["saved"] == pytest.approx(saved, rel=5e-3)  # by version of torch


def test_exact_claims_hold_to_the_printed_digit(roots):
    assert one(SIZE, roots).outcome == "supported"
    assert one(SIZE, roots).measured == "16.75 MiB"
    assert one(SIZE._replace(claimed=18.0), roots).outcome == "contradicted"
    stored, used = one(SHARE, roots), one(SHARE._replace(metric="share/used"), roots)
    assert (stored.outcome, stored.measured) == ("supported", "46.9 %")
    assert stored.reason == "in whole MiB 17 / 36 = 47.2 %"
    assert (used.outcome, used.measured) == ("contradicted", "95.5 %")


# Many claims at once


def test_the_correction_runs_over_all_claims_that_can_be_tested(roots):
    seeds(roots["results"], "mgn/mgn", [50.5, 52.5, 55.0])
    seeds(roots["results"], "han/han", [47.0, 48.0, 49.0])
    p = one(SCORE, roots).comparison.p
    assert 0.01 < p < 0.05
    assert one(SCORE, roots).outcome == "supported"
    others = [SCORE._replace(metric=metric) for metric in METRICS if metric != SCORE.metric]
    untestable = [SCORE._replace(better="mgn/c"), SIZE, SHARE, TOKENS]
    verdicts = judge([SCORE, *untestable, *others, FALSE], **roots)
    tested = [v for v in verdicts if v.corrected is not None]
    assert [v.claim for v in tested] == [SCORE, *others, FALSE]
    assert [v.corrected for v in tested] == pytest.approx(holm([v.comparison.p for v in tested]))
    assert verdicts[0].corrected > 0.05
    assert verdicts[0].outcome == "not decidable"


def test_a_box_corrects_for_the_claims_it_does_not_show(roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.5, 61.0])
    seeds(roots["results"], "mgn/depth_1_1_2", [58.0, 59.5, 60.0])
    seeds(roots["results"], "han/han", [50.0, 50.2, 50.4])
    verdicts = judge(read_claims(), **roots)
    tested = sum(verdict.corrected is not None for verdict in verdicts)
    for part in ("grouping", "depth"):
        assert f"over the {tested} claims of all chapters" in claims_table(part, **roots)
        mine = [v for v in verdicts if v.claim.part == part]
        assert 0 < sum(v.corrected is not None for v in mine) < tested
        for line, verdict in zip(cells(claims_table(part, **roots)), mine, strict=True):
            assert line[5].startswith(f"**{verdict.outcome}**")
            if verdict.corrected is not None and verdict.corrected >= 0.001:
                assert f"(p = {verdict.corrected:.3f})" in line[5]


def test_every_run_is_read_once(monkeypatch, roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.5, 61.0])
    seeds(roots["results"], "han/han", [50.0, 50.2, 50.4])
    read = Counter()

    def counting(path: Path) -> dict[str, np.ndarray]:
        read[path] += 1
        return read_arrays(path)

    monkeypatch.setattr(module, "read_arrays", counting)
    judge(read_claims(), **roots)
    assert len(read) == 6
    assert set(read.values()) == {1}


@pytest.mark.parametrize("shape", [(VIDEOS - 1, 10), (VIDEOS, 9)])
def test_scores_of_the_wrong_shape_are_refused(shape, roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.5, 61.0])
    seeds(roots["results"], "han/han", [50.0, 50.2])
    broken = {"per_video": np.zeros(shape, np.float16)}
    store(roots["results"], "han/han", seed=3, arrays=broken)
    with pytest.raises(AvvpError, match=r"han/han/seed-3.npz: `per_video` is \(\d+, \d+\)"):
        one(SCORE, roots)


def test_the_bootstrap_agrees_where_only_videos_matter():
    paired = np.random.default_rng(1).normal(2, 15, 1200)
    low, high = bootstrap_interval(paired)
    assert (low, high) == bootstrap_interval(paired)
    assert (low, high) != bootstrap_interval(paired, seed=1)
    half = compare([2.0, 2.0], [0.0, 0.0], paired).half_width
    assert (low, high) == pytest.approx(
        (paired.mean() - half, paired.mean() + half), abs=0.05 * half
    )
    narrow = bootstrap_interval(paired, level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_the_bootstrap_draws_videos_in_pairs(roots):
    seeds(roots["results"], "mgn/mgn", [52.0, 52.1, 52.2])
    seeds(roots["results"], "han/han", [50.0, 50.1, 50.2])
    low, high = bootstrap_interval(one(SCORE, roots).per_video)
    # Scores spread over 20 points, but what is easy for one is easy for the other.
    assert 1.0 < low < 2.0 < high < 3.0


# The table


def cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("part", [None, *get_args(Part)])
def test_a_box_has_a_line_for_each_of_its_claims_and_leaves_nothing_empty(part, roots):
    table = claims_table(part, **roots)
    mine = [claim for claim in read_claims() if part in (None, claim.part)]
    lines = cells(table)
    assert len(lines) == len(mine) > 0
    for line, claim in zip(lines, mine, strict=True):
        assert len(line) == 6
        assert all(line)
        assert line[0].startswith(claim.statement) or line[0].startswith("as above")
        if claim.kind != "exact":
            assert line[3:5] == [NOT_RUN, NOT_RUN]
            assert line[5].startswith("**not run**: ")
    assert "simulated" not in table


def test_a_line_tells_size_interval_seeds_and_verdict(roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.5, 61.0, 60.2])
    seeds(roots["results"], "han/han", [50.0, 50.2, 50.4])
    (visual, *_) = (v for v in judge(read_claims(), **roots) if v.claim.better == "mgn/mgn")
    table = claims_table("grouping", **roots)
    line = cells(table)[0]
    middle, half = visual.comparison.difference, visual.comparison.half_width
    assert line[1:5] == [
        "Visual, segment level",
        "+2.6 points",
        f"{middle:+.1f} points ({middle - half:+.1f} to {middle + half:+.1f})",
        "simulated LLP, full, 4 and 3 seeds",
    ]
    assert line[5].startswith("**supported** (p ")
    assert "A verdict on simulated LLP is none on LLP." in table
    # The tokens' scores were not kept, so their claims could not be judged.
    tokens = next(line for line in cells(table) if line[1] == "F1 of the audio tokens")
    assert tokens[2:5] == ["at least 0.99", NOT_RUN, "simulated LLP, full, 4 seeds"]


def test_unknown_names_are_one_sentence(roots):
    with pytest.raises(AvvpError, match="No claims are of part 'poetry'; there are contrastive, "):
        claims_table("poetry", **roots)
    with pytest.raises(AvvpError, match="no profile 'huge'"):
        claims_table(profile="huge", **roots)


# The file


def test_the_file_is_read_as_it_stands():
    text = (files("avvp") / "package_data" / "claims.csv").read_text("utf-8")
    rows = list(csv.reader(text.splitlines()))
    assert tuple(rows[0]) == Claim._fields
    assert len(rows) == len(read_claims()) + 1
    for row, claim in zip(rows[1:], read_claims(), strict=True):
        assert [str(x) for x in (*claim[:8], *claim[10:])] == [*row[:8], *row[10:]]
        assert row[8] == f"{claim.sign:+d}"
        assert (float(row[9]) if row[9] else None) == claim.claimed


def test_every_claim_is_well_formed():
    ids = [claim.id for claim in read_claims()]
    assert len(set(ids)) == len(ids)
    asked = [(c.metric, c.better, c.worse) for c in read_claims()]
    assert len(set(asked)) == len(asked), "a question that is asked twice counts twice in Holm's"
    counts = {f"{level}/{modality}" for level in LEVELS for modality in MODALITIES}
    known = {
        "score": set(METRICS),
        "count": {f"{c}/{what}" for c in counts for what in ("false_positives", "recall")},
        "history": {"token_audio_f1", "token_visual_f1"},
        "exact": {"size", "share/stored", "share/used"},
    }
    for claim in read_claims():
        assert claim.part in get_args(Part), claim.id
        assert claim.paper in PAPERS, claim.id
        assert claim.metric in known[claim.kind], claim.id
        assert claim.sign in (1, -1), claim.id
        assert claim.claimed is None or claim.claimed >= 0, claim.id
        alone = claim.kind == "history" or claim.metric == "size"
        assert bool(claim.worse) != alone, claim.id
        assert claim.place, claim.id
        assert claim.statement[-1] not in ". ", claim.id
    assert {claim.part for claim in read_claims()} == set(get_args(Part))


def test_claims_name_experiments_that_exist():
    named = {name for claim in read_claims() for name in claim.experiments}
    assert named <= set(REGISTRY)


def printed(experiment: str, paper: str, key: str) -> set[float]:
    """What a paper's tables print of an experiment."""
    cells = [
        published(*row)
        for row in REGISTRY[experiment].rows
        if row.paper == paper and row.table != "text"
    ]
    return {row[key] for row in cells if key in row}


SCORES = [claim for claim in read_claims() if claim.kind == "score"]


@pytest.mark.parametrize("claim", SCORES, ids=lambda claim: claim.id)
def test_claimed_sizes_are_differences_of_printed_cells(claim):
    better, worse = (printed(name, claim.paper, claim.metric) for name in claim.experiments)
    assert len(better) == len(worse) == 1
    difference = claim.sign * (better.pop() - worse.pop())
    if claim.claimed is None:
        assert difference < 0, "the table agrees: enter its size"
        assert f"{claim.sign * difference:.1f}" in claim.note
    elif round(difference, 1) != claim.claimed:
        # The text says something else than the table: it is quoted, and the note has the table.
        assert f"{difference:.1f}" in claim.note
        assert claim.claimed in {
            cell.value
            for cell in published_cells()
            if (cell.paper, cell.table, cell.key) == (claim.paper, "text", claim.metric)
        }


@pytest.mark.parametrize(
    "claim",
    [c for c in read_claims() if c.kind in ("count", "exact") and c.claimed is not None],
    ids=lambda claim: claim.id,
)
def test_claimed_counts_and_sizes_are_printed(claim):
    key = "model_size" if claim.kind == "exact" else claim.metric.rpartition("/")[0]
    assert claim.claimed in {
        cell.value
        for cell in published_cells()
        if (cell.paper, cell.key) == (claim.paper, key) and cell.unit != "F1 %"
    }
    if claim.metric == "size":
        assert claim.claimed in printed(claim.better, claim.paper, key)


def test_a_comparison_in_words():
    assert module.Comparison(-1.25).in_words == "-1.2"
    assert module.Comparison(3.0, 1.0, math.inf).in_words == "+3.0\u00a0±\u00a02.0"
