"""Figures of training, classes and pooling weights draw the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from avvp.events import LABELS, SEGMENTS
from avvp.experiments import REGISTRY, get_profile, one_step
from avvp.figures import note, pooling_weights, scores_by_class, training_curves
from avvp.results import read_arrays, run_path
from avvp.tables import runs_to_draw


@pytest.fixture(autouse=True)
def closed_figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def history(scores: list[float]) -> dict[str, list[float]]:
    epochs = len(scores)
    return {
        "epoch": list(range(1, epochs + 1)),
        "learning_rate": [3e-4, 3e-4, 3e-5, 3e-5][:epochs],
        "video": [0.3] * epochs,
        "audio": [0.2] * epochs,
        "visual": [0.4] * epochs,
        "val/segment/type_av": scores,
    }


def test_training_curves_ring_the_kept_epoch_and_mark_the_drop():
    losses, scores = training_curves([history([10, 40, 30, 20])], [2], floors={"visual": 0.2}).axes
    rings = [line for line in scores.lines if line.get_label() == "epoch that was kept"]
    assert [(ring.get_xdata()[0], ring.get_ydata()[0]) for ring in rings] == [(2, 40)]
    dotted = [line.get_xdata()[0] for line in scores.lines if line.get_linestyle() == ":"]
    assert dotted == [2.5]
    drawn = {line.get_label(): line.get_ydata()[0] for line in losses.lines}
    assert (drawn["joint"], drawn["audio"], drawn["visual"]) == (0.3, 0.2, 0.4)
    assert [text.get_text() for text in losses.texts] == ["least possible visual term"]


def test_training_curves_of_several_seeds_have_one_legend_entry_each():
    _, scores = training_curves([history([1, 2]), history([3, 4])], [2, 1]).axes
    names = [text.get_text() for text in scores.get_legend().get_texts()]
    assert names == ["a seed", "epoch that was kept"]


def test_one_epoch_is_visible():
    losses, _ = training_curves([history([5])], [1]).axes
    assert {line.get_marker() for line in losses.lines} == {"o"}


def test_scores_are_sorted_and_classes_without_score_left_out():
    heard = np.tile(np.arange(len(LABELS), dtype=float), (2, 1))
    heard[0] += 2
    heard[:, 3] = np.nan
    (ax,) = scores_by_class({"audio": heard, "visual": np.zeros((2, 25))}, xlabel="F (%)").axes
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names[0] == "Clapping" and names[-1] == "Dog"
    audio, visual = ax.lines
    assert audio.get_xdata()[0] == 25 and np.isnan(audio.get_xdata()[-1])
    assert list(visual.get_xdata()) == [0] * 25
    bars = ax.collections[0].get_paths()
    assert bars[0].vertices[:, 0].tolist() == [24, 26]


def one_video() -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    audio = torch.zeros(len(LABELS), SEGMENTS, dtype=torch.bool)
    audio[3, 2:5] = True
    weights = torch.full((SEGMENTS, 2, len(LABELS)), 0.1)
    weights[2, 0, 3] = 0.3
    return (audio, torch.zeros_like(audio)), weights


def test_pooling_weights_show_each_class_of_the_video_in_both_modalities():
    truth, weights = one_video()
    axes = pooling_weights([("a video", truth, weights, 5 * weights)]).axes
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["Dog (heard)", "Dog (seen)"]
    cells = axes[0].images[0].get_array()
    assert cells.shape == (2, SEGMENTS)
    assert cells[0, 2] == cells.max() == pytest.approx(0.3)
    assert axes[1].images[0].get_array()[0, 0] == pytest.approx(0.5)
    for ax in axes[:2]:  # the annotation: from 2 to 5 s, in the lane of what is heard
        spans = [path.get_extents() for bars in ax.collections for path in bars.get_paths()]
        assert [(span.x0, span.x1) for span in spans] == [(2, 5)]
        assert all(span.y1 < 1 for span in spans)


def test_pooling_weights_of_a_video_without_events_are_an_empty_lane():
    truth, weights = one_video()
    nothing = tuple(torch.zeros_like(mask) for mask in truth)
    axes = pooling_weights([("quiet", nothing, weights, weights)]).axes
    assert not axes[0].images and not axes[0].get_yticks().size


def test_a_note_says_its_text():
    (ax,) = note("not run yet: avvp reproduce").axes
    assert [text.get_text() for text in ax.texts] == ["not run yet: avvp reproduce"]


def test_runs_to_draw_prefers_committed_runs(tmp_path):
    runs, results = tmp_path / "runs", tmp_path / "results"
    roots = {"runs": runs, "results": results}
    missing = runs_to_draw("han/han", profile="smoke", **roots)
    assert missing.runs == ()
    assert missing.told == "not run yet: avvp reproduce --profile smoke --only han/han"
    published = runs_to_draw("han/han", **roots)
    assert published.told == "not run yet: avvp reproduce --profile full --only han/han"

    made = one_step(REGISTRY["reference/linear"], runs=tmp_path / "made")
    place = {"data": made.data, "experiment": made.experiment, "seed": made.seed}
    origin = run_path(tmp_path / "made", profile=made.profile, **place)
    assert read_arrays(origin)["selected_epoch"] == 1

    def put(root, profile):
        path = run_path(root, profile=profile, **place)
        path.parent.mkdir(parents=True)
        text = origin.read_text().replace('"profile": "one-step"', f'"profile": "{profile}"')
        path.write_text(text)
        return path

    own = put(runs, "smoke")
    drawn = runs_to_draw("reference/linear", profile=get_profile("smoke").name, **roots)
    assert drawn.paths == (own,)
    assert drawn.told == "simulated LLP, smoke, 1 seed, stale"
    committed = put(results, "medium")
    assert runs_to_draw("reference/linear", profile="smoke", **roots).paths == (committed,)
    assert runs_to_draw("reference/linear", **roots).told.startswith("simulated LLP, medium")
