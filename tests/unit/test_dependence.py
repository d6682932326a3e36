"""Gains over the worlds of the sweep, and the claims that depend on a parameter."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from avvp.claims import Comparison, claims_table, judge, read_claims
from avvp.dependence import PAIRS, Curve, Gain, open_sweep, worlds_where
from avvp.experiments import REGISTRY, open_source
from avvp.figures.dependence import gains
from avvp.metrics import LEVELS, METRICS, MODALITIES
from avvp.results import Run, run_hash, write_run
from avvp.sweep import STAGES
from avvp.worlds import PARAMETERS, SWEEP, at_world

VIDEOS = 40
ASYNCHRONY = PARAMETERS["asynchrony"]


def write(root, world, name, score, *, seed=1, seconds=10.0):
    """A run of the sweep with that mean in all metrics, current by its hash."""
    generator = np.random.default_rng([seed, len(name)])
    per_video = score + generator.normal(0, 1, (VIDEOS, len(METRICS)))
    profile = at_world(SWEEP, world)
    source = open_source(world, profile)
    configuration = REGISTRY[name].configuration(profile)
    run = Run(
        experiment=name,
        profile=SWEEP.name,
        data=world,
        simulated=True,
        seed=seed,
        configuration=configuration,
        data_fingerprint=source.fingerprint,
        commit="unknown",
        versions={},
        device="cpu",
        seconds=seconds,
        peak_memory=1,
        parameters=1,
        metrics=dict(zip(METRICS, per_video.mean(0).tolist(), strict=True)),
        counts=np.zeros((len(LEVELS), len(MODALITIES), 25, 3), int).tolist(),
        hash=run_hash(configuration, source.fingerprint, seed),
    )
    arrays = {"per_video": per_video.astype(np.float16), "gates": np.zeros((3, len(METRICS)))}
    return write_run(root, run, arrays)


@pytest.fixture
def flipped(tmp_path):
    """Contrast gains eight points in the default world, and loses eight at the largest shift."""
    for seed in (1, 2, 3):
        for value, gain in zip(ASYNCHRONY.values, (9, 1, -7), strict=True):
            world = ASYNCHRONY.world(value)
            write(tmp_path, world, "ma/base", 50 + 0.3 * seed, seed=seed)
            write(tmp_path, world, "ma/c", 50 + gain - 0.2 * seed, seed=seed)
    return tmp_path


def curve_of(root, name="C", metric="segment/type_av", parameter=ASYNCHRONY):
    pair = PAIRS[name]
    return open_sweep(runs=root / "none", results=root).curve(
        pair.better, pair.worse, metric, parameter
    )


def test_a_gain_is_measured_as_a_claim_is(flipped):
    curve = curve_of(flipped)
    assert [gain.kind for gain in curve.gains] == ["above", "unclear", "below"]
    assert curve.outcome == "depends"
    assert curve.complete
    first = curve.gains[0]
    assert first.comparison.difference == pytest.approx(np.mean(first.by_seed))
    assert first.comparison.difference == pytest.approx(8, abs=0.8)
    assert worlds_where([curve], "below") == ["asynchrony 2 s"]
    assert worlds_where([curve, curve], "above") == ["default world"]


def test_an_unfinished_world_says_what_there_is(tmp_path):
    for seed in (1, 2):
        write(tmp_path, "sim", "ma/base", 50 + seed, seed=seed)
    for seed in (2, 3):
        write(tmp_path, "sim", "ma/c", 70 + seed, seed=seed)
    curve = curve_of(tmp_path)
    gain = curve.gains[0]
    assert (gain.seeds, gain.kind, len(gain.by_seed)) == (1, "unclear", 1)
    assert gain.by_seed[0] == pytest.approx(20, abs=1)
    assert [g.kind for g in curve.gains[1:]] == ["not run"] * 2
    assert not curve.complete
    assert curve_of(tmp_path, "MGN").outcome == "not run"


@pytest.mark.parametrize(
    ("kinds", "outcome"),
    [
        ("++ ", "better everywhere"),
        ("--", "worse everywhere"),
        ("+-?", "depends"),
        ("+?", "better or unclear"),
        ("?- ", "worse or unclear"),
        ("??", "unclear"),
        ("  ", "not run"),
    ],
)
def test_what_the_points_say_together(kinds, outcome):
    measured = {
        "+": Comparison(5.0, 1.0, 4.0),
        "-": Comparison(-5.0, 1.0, 4.0),
        "?": Comparison(1.0, 1.0, 4.0),
        " ": None,
    }
    points = [Gain("sim", 0.0, 3 * (kind != " "), measured[kind]) for kind in kinds]
    assert Curve(ASYNCHRONY, tuple(points)).outcome == outcome


def test_stale_runs_and_runs_of_other_profiles_are_left_out(flipped, monkeypatch):
    assert open_sweep(runs=flipped / "none", results=flipped).runs
    changed = replace(REGISTRY["ma/c"], options={"width": 1})
    monkeypatch.setitem(REGISTRY, "ma/c", changed)
    left = open_sweep(runs=flipped / "none", results=flipped).runs
    assert {name for _, name in left} == {"ma/base"}


def test_a_claim_that_flips_says_so(flipped):
    swept = open_sweep(runs=flipped / "none", results=flipped)
    claims = {claim.id: claim for claim in read_claims()}
    over_han = claims["contrast-over-han-segment-audio-visual"]  # HAN under MA's protocol stands in
    assert swept.depends_on(over_han) == ["asynchrony"]
    assert swept.depends_on(claims["ma-over-han-segment-audio"]) == []  # C+R was not run
    assert swept.depends_on(over_han._replace(kind="count")) == []

    told = judge([over_han], runs=flipped / "none", results=flipped)
    assert told[0].depends_on == ("asynchrony",)
    table = claims_table("contrastive", runs=flipped / "none", results=flipped)
    assert "**depends on asynchrony**" in table
    assert "Depends on a parameter" in table
    calm = claims_table("contrastive", runs=flipped / "none", results=flipped / "none")
    assert "depends on" not in calm.lower()


def test_a_book_that_trains_nothing_shows_committed_runs_alone(flipped):
    uncommitted = {"runs": flipped, "results": flipped / "none"}
    assert not open_sweep(**uncommitted).runs
    assert open_sweep(profile="smoke", **uncommitted).runs
    claim = next(c for c in read_claims() if c.id == "contrast-over-han-segment-audio-visual")
    assert judge([claim], **uncommitted)[0].depends_on == ()
    assert judge([claim], profile="smoke", **uncommitted)[0].depends_on == ("asynchrony",)


def test_what_llp_fixes_makes_no_claim_depend(tmp_path):
    axis = PARAMETERS["missing"]
    assert axis.calibrated
    for seed in (1, 2, 3):
        for value, gain in zip(axis.values, (8, 1, -8), strict=True):
            write(tmp_path, axis.world(value), "ma/base", 50 + 0.3 * seed, seed=seed)
            write(tmp_path, axis.world(value), "ma/c", 50 + gain, seed=seed)
    swept = open_sweep(runs=tmp_path / "none", results=tmp_path)
    assert swept.curve("ma/c", "ma/base", "segment/audio_visual", axis).outcome == "depends"
    claim = next(c for c in read_claims() if c.id == "contrast-over-han-segment-audio-visual")
    assert swept.depends_on(claim) == []


def test_every_pair_is_trained_along_an_axis():
    for pair in PAIRS.values():
        trained = [stage.parameter for stage in STAGES if pair.better in stage.experiments]
        assert None in trained and len(set(trained)) > 1
        assert all(pair.worse in s.experiments for s in STAGES if pair.better in s.experiments)


def test_the_figure_has_a_panel_a_parameter_and_says_what_is_missing(flipped):
    swept = open_sweep(runs=flipped / "none", results=flipped)
    curves = {
        pair.title: [
            swept.curve(pair.better, pair.worse, "segment/type_av", parameter)
            for parameter in PARAMETERS.values()
        ]
        for pair in PAIRS.values()
    }
    figure = gains(curves, ylabel="points")
    panels = dict(zip(PARAMETERS, figure.axes, strict=True))
    assert [ax.get_xlabel() for ax in panels.values()] == [p.axis for p in PARAMETERS.values()]
    assert not panels["asynchrony"].texts
    assert panels["train"].texts[0].get_text() == "outer values not run yet"
    (bars,) = panels["asynchrony"].containers
    assert len(bars.lines[0].get_xdata()) == 3
    assert not panels["train"].containers  # one point, of the default world, is no curve
    assert len(figure.legends[0].get_texts()) == len(PAIRS)
    plt.close(figure)
