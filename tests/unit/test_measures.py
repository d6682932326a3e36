"""Other numbers for the same parsings, and the rankings that they make."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from avvp.curves import BINS, THRESHOLDS
from avvp.detection import Detection, add_detection, detection_path
from avvp.experiments import REGISTRY, Profile, run
from avvp.measures import (
    MEASURES,
    Scored,
    agreement,
    best_threshold,
    calibration_error,
    f_score_of,
    measured,
    pooled_presence,
    ranks,
    read_scored,
    share_of_both,
)
from avvp.metrics import METRICS
from avvp.results import find_runs, read_arrays
from avvp.tables import Drawn

TINY = Profile("tiny", "tests", 16, 8, 8, epochs=1)
FOUND = Detection(50.0, 60.0, 40.0, 45.0, 42.0, 47.0)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """One tiny run, with detection scores beside it."""
    root = tmp_path_factory.mktemp("runs")
    done = run(REGISTRY["reference/linear"], profile=TINY, device="cpu", runs=root, progress=False)
    (path,) = find_runs(root)
    file = detection_path(data="sim", profile="tiny", results=root)
    add_detection(file, done, {"audio": FOUND, "visual": FOUND._replace(psds_1=30.0)})
    return Drawn("tiny", (done,), (path,))


def test_every_measure_of_a_run_is_a_number(drawn):
    (scored,) = read_scored(drawn)
    values = {key: measure.value(scored) for key, measure in MEASURES.items()}
    assert all(isinstance(value, float) for value in values.values())
    assert values["type_av"] == drawn.runs[0].metrics["segment/type_av"]
    assert values["events"] == drawn.runs[0].metrics["event/type_av"]
    assert values["best"] >= values["type_av"] - 1e-9
    assert (values["psds_1"], values["psds_2"]) == (40.0, 60.0)
    assert measured({"linear": [scored]}) == {"linear": values}


def test_a_measure_that_a_method_lacks_is_left_out(drawn):
    (scored,) = read_scored(drawn)
    older = {k: v for k, v in scored.arrays.items() if not k.startswith("only/")}
    poorer = Scored(scored.run, older, None)
    both = measured({"a": [scored], "b": [poorer]})
    assert (
        {*MEASURES} - set(both["a"]) == {"only", "psds_1", "psds_2"} == {*MEASURES} - {*both["b"]}
    )
    assert set(measured({"a": [scored, poorer]})["a"]) == set(MEASURES)  # seeds that have it count


def test_detection_scores_of_another_run_are_not_taken(drawn, tmp_path):
    other = replace(drawn.runs[0], hash="another")
    (scored,) = read_scored(drawn._replace(runs=(other,)))
    assert scored.detection is None


def test_scores_by_hand():
    counts = np.zeros((2, 4, 25, 3), int)
    counts[0, 0, 0] = 6, 2, 2  # heard: 12 / 16
    counts[0, 1, 0] = 2, 2, 0  # seen: 4 / 6
    counts[0, 2, 0] = 1, 1, 0  # both
    counts[0, 3] = counts[0, 0] + counts[0, 1]
    only = np.zeros((2, 2, 25, 3), int)
    only[0, 0, :2] = (1, 1, 0), (1, 0, 1)  # 4 / 6
    only[0, 1, 3] = 0, 1, 1
    scored = Scored(SimpleNamespace(counts=counts.tolist()), {"only/counts": only}, None)
    presence = {"audio": 200 / 3, "visual": 0, "audio_visual": 200 / 3}
    assert pooled_presence(scored) == pytest.approx(presence)
    assert MEASURES["only"].value(scored) == pytest.approx(100 / 3)
    assert MEASURES["micro"].value(scored) == pytest.approx(1600 / 22)
    # Classes without a count in either modality have nothing to find and nothing found.
    assert MEASURES["classes"].value(scored) == pytest.approx((75 + 200 / 3 + 48 * 100) / 50)
    assert f_score_of([[1, 1, 0], [0, 0, 1]]) == pytest.approx(100 / 3)


def test_the_share_of_what_is_both_by_hand():
    counts = np.zeros((2, 4, 25, 3), int)
    counts[0, 0, 3] = 3, 1, 2  # 5 seconds are heard, 4 are said to be
    counts[0, 1, 4] = 2, 2, 2  # 4 are seen, 4 are said to be
    counts[0, 2, 3] = 1, 3, 2  # 3 are both, 4 are said to be
    assert share_of_both(SimpleNamespace(counts=counts.tolist())) == (50.0, 100.0)
    nothing = np.zeros((2, 4, 25, 3), int).tolist()
    assert share_of_both(SimpleNamespace(counts=nothing)) == (0, 0)


def test_the_best_threshold_and_the_calibration_error_by_hand():
    curve = np.zeros((len(THRESHOLDS), len(METRICS)))
    curve[4, METRICS.index("segment/type_av")] = 60.0
    scored = Scored(None, {"threshold_curve": curve}, None)
    assert best_threshold(scored) == (THRESHOLDS[4], 60.0)
    bins = np.full((BINS, 3), np.nan)
    bins[:, 0] = 0
    bins[0], bins[19] = (30, 0.0, 0.1), (10, 0.9, 0.5)
    assert calibration_error(bins) == pytest.approx(100 * (3 + 4) / 40)
    assert np.isnan(calibration_error(bins[1:19]))


TABLE = {
    "a": {"type_av": 60.0, "events": 50.0, "calibration": 9.0},
    "b": {"type_av": 55.0, "events": 52.0, "calibration": 3.0},
    "c": {"type_av": 54.5, "events": 53.0, "calibration": 3.0},
}


def test_ranks_share_the_better_place_and_less_error_is_better():
    assert ranks(TABLE) == {
        "a": {"type_av": 1, "events": 3, "calibration": 3},
        "b": {"type_av": 2, "events": 2, "calibration": 1},
        "c": {"type_av": 3, "events": 1, "calibration": 1},
    }
    assert ranks({}) == {}


def test_agreement_counts_the_pairs_that_turn():
    turned = agreement(TABLE, "events")
    assert turned.tau == -1
    assert turned.turned == [("a", "b"), ("a", "c"), ("b", "c")]
    assert turned.clearly == [("a", "b"), ("a", "c")]  # b and c are half a point apart
    assert agreement(TABLE, "calibration").turned == [("a", "b"), ("a", "c")]
    assert agreement(TABLE, "type_av").tau == 1


def test_published_runs_are_drawn_from_their_own_folder(drawn):
    assert read_scored(drawn)[0].arrays.keys() == read_arrays(drawn.paths[0]).keys()
