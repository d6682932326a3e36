"""What chance does to a difference: by hand, by simulation, and from runs."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from avvp.claims import compare
from avvp.errors import AvvpError
from avvp.metrics import METRICS
from avvp.results import RESULTS
from avvp.significance import (
    POWER,
    Chance,
    Scores,
    compare_scores,
    measure_chance,
    open_chance,
    read_scores,
    typical_variance,
)

VIDEOS = 400


def drawn(rng, *, seeds, level=50.0, seed=0.0, video=0.0, of_seed=0.0) -> Scores:
    """Scores whose parts are known: of the seed, of the video, and of both together."""
    moved = rng.normal(0, seed, (seeds, 1, len(METRICS)))
    hard = rng.normal(0, video, (1, VIDEOS, len(METRICS)))
    both = rng.normal(0, of_seed, (seeds, VIDEOS, len(METRICS)))
    both -= both.mean(axis=1, keepdims=True)  # so that `seed` is all that moves the mean
    hard -= hard.mean(axis=1, keepdims=True)
    per_video = level + moved + hard + both
    return Scores(per_video.mean(axis=1), per_video)


def chance(**changes) -> Chance:
    given = {"seed": 1.0, "video": 20.0, "video_of_seed": 10.0}
    columns = {k: np.full(len(METRICS), float(v)) for k, v in (given | changes).items()}
    same = {"least_video": columns["video"], "most_video": columns["video"]}
    same |= {"pooled_seed": columns["seed"], "seed_by_experiment": {"a/a": columns["seed"]}}
    return Chance(**columns, **same, freedom=10**6, pairs=1, videos=VIDEOS)


def test_the_error_by_hand():
    assert chance().error(1)[0] == pytest.approx(math.sqrt(2 + (400 + 100) / 400))
    assert chance().error(4)[0] == pytest.approx(math.sqrt(0.5 + (400 + 25) / 400))
    assert chance().error(math.inf)[0] == pytest.approx(1)
    assert chance().error(2, videos=math.inf)[0] == pytest.approx(1)
    assert chance().error(1, videos=100)[0] == pytest.approx(math.sqrt(2 + 5))
    assert chance(seed=0, video=0, video_of_seed=0).error(1)[0] == 0


def test_what_is_detectable_is_found_as_often_as_said():
    rng = np.random.default_rng(0)
    world = chance()
    least = world.detectable(3)[0]
    assert least == pytest.approx((1.95996 + 0.84162) * world.error(3)[0], rel=1e-4)
    found = 1.95996 * world.error(3)[0] < rng.normal(least, world.error(3)[0], 20_000)
    assert found.mean() == pytest.approx(POWER, abs=0.01)
    assert (world.detectable(5) < world.detectable(3)).all()
    few = Chance(**(vars(world) | {"freedom": 4}))
    assert few.detectable(3)[0] > 1.3 * least


def test_the_parts_are_found_again():
    rng = np.random.default_rng(1)
    scores = {f"a/{n}": drawn(rng, seeds=6, seed=2.0, video=15.0, of_seed=8.0) for n in range(40)}
    scores["a/once"] = drawn(rng, seeds=1, seed=2.0, video=15.0, of_seed=8.0)
    names = list(scores)
    found = measure_chance(scores, pairwise(names))
    assert found.seed.mean() == pytest.approx(2.0, rel=0.05)
    assert found.pooled_seed.mean() == pytest.approx(2.0, rel=0.05)
    assert set(found.seed_by_experiment) == set(names) - {"a/once"}
    assert found.seed_by_experiment["a/7"][3] == scores["a/7"].means[:, 3].std(ddof=1)
    # Two systems whose videos are hard for reasons of their own.
    assert found.video.mean() == pytest.approx(15.0 * math.sqrt(2), rel=0.03)
    assert found.video_of_seed.mean() == pytest.approx(8.0 * math.sqrt(2), rel=0.03)
    assert (found.least_video <= found.video).all() and (found.video <= found.most_video).all()
    assert (found.pairs, found.videos) == (39, VIDEOS)


@pytest.mark.parametrize("seeds", [[3] * 25, [2] * 10 + [3] * 10 + [5] * 10])
def test_the_typical_variance_is_right_and_as_sure_as_said_where_all_are_equal(seeds):
    freedoms = np.array(seeds) - 1
    rng = np.random.default_rng(4)
    variances = 4 * rng.chisquare(freedoms[:, None], (len(seeds), 20_000)) / freedoms[:, None]
    found, freedom = typical_variance(variances, freedoms)
    assert found.mean() == pytest.approx(4, rel=0.05)
    assert freedom == pytest.approx(2 * 16 / found.var(), rel=0.12)
    assert freedom < 0.7 * freedoms.sum()


def test_an_unsteady_experiment_does_not_speak_for_the_others():
    rng = np.random.default_rng(5)
    scores = {f"a/{n}": drawn(rng, seeds=3, seed=1.0, video=9.0) for n in range(30)}
    steady = measure_chance(scores, pairwise(list(scores)))
    scores["a/0"] = drawn(rng, seeds=3, seed=30.0, video=9.0)
    found = measure_chance(scores, pairwise(list(scores)))
    assert (found.pooled_seed > 2 * steady.pooled_seed).mean() > 0.5
    assert (found.seed < 1.25 * steady.seed).all()


def test_two_sides_are_compared_by_the_rule_for_claims():
    rng = np.random.default_rng(3)
    one, other = (drawn(rng, seeds=n, level=x, seed=1.0, video=9.0) for n, x in ((3, 60), (2, 50)))
    found = compare_scores(one, other)
    apart = (one.per_video[:2].mean(axis=0) - other.per_video.mean(axis=0))[:, 4]
    assert found[4] == compare(one.means[:2, 4], other.means[:, 4], apart)
    assert len(found) == len(METRICS)
    single = compare_scores(one, drawn(rng, seeds=1))
    assert single[0].half_width is None
    fewer = Scores(one.means, one.per_video[:, :-1])
    with pytest.raises(AvvpError, match=f"on {VIDEOS - 1} videos and the other on {VIDEOS}"):
        compare_scores(fewer, other)


def test_it_is_the_error_of_the_rule_for_claims():
    rng = np.random.default_rng(2)
    pair = {name: drawn(rng, seeds=3, seed=1.0, video=20.0, of_seed=9.0) for name in ("a/a", "b/b")}
    found = measure_chance(pair, [("a/a", "b/b")])
    # Two that are compared alone are pooled by that rule.
    found = replace(found, seed=found.pooled_seed).error(3)
    a, b = pair.values()
    for column in range(len(METRICS)):
        apart = (a.per_video.mean(axis=0) - b.per_video.mean(axis=0))[:, column]
        ruled = compare(a.means[:, column], b.means[:, column], apart)
        assert found[column] == pytest.approx(ruled.error, rel=1e-6)


def test_a_pair_takes_two_seeds_a_side_on_the_same_videos():
    rng = np.random.default_rng(3)
    scores = {name: drawn(rng, seeds=2, video=1.0) for name in ("a/a", "b/b")}
    once = drawn(rng, seeds=1, video=1.0)
    pairs = [("a/a", "b/b"), ("a/a", "once/once"), ("a/a", "no/runs"), ("a/a", "b/b")]
    found = measure_chance(scores | {"once/once": once}, pairs)
    assert (set(found.seed_by_experiment), found.pairs) == ({"a/a", "b/b"}, 1)
    with pytest.raises(AvvpError, match="takes a pair with two seeds a side"):
        measure_chance(scores | {"once/once": once}, pairs[1:3])
    short = Scores(scores["b/b"].means, scores["b/b"].per_video[:, 1:])
    with pytest.raises(AvvpError, match="different numbers of videos"):
        measure_chance(scores | {"b/b": short}, pairs)


def test_too_few_runs_are_told_and_not_an_error(tmp_path):
    told, found = open_chance([("han/han", "ma/c")], results=tmp_path)
    assert found is None
    assert "`avvp reproduce --profile full --seeds 2` makes some" in told
    told, found = open_chance([("han/han", "ma/c")])
    assert told.startswith("simulated LLP, ")
    assert found.pairs == 1


def test_committed_runs_are_read_by_experiment():
    profile, scores = read_scores(["han/han", "older/stpn", "no/thing"])
    assert profile in ("full", "medium")
    # STPN only sees; it has no score that needs both modalities.
    assert list(scores) == ["han/han"]
    mine = scores["han/han"]
    assert mine.means.shape[0] == mine.per_video.shape[0] >= 2
    np.testing.assert_allclose(mine.per_video.mean(axis=1), mine.means, atol=0.05)
    assert read_scores(["han/han"], profile="medium", roots=RESULTS)[0] == "medium"
