"""Figures of the chapter on grouping draw the numbers they are given, and fit their boxes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import FancyBboxPatch

from avvp.errors import AvvpError
from avvp.figures import use_style
from avvp.figures.embeddings import event_scatter
from avvp.figures.errors import bars_by_modality
from avvp.figures.schematics import mgn_network
from avvp.figures.tokens import token_curves


@pytest.fixture(autouse=True)
def closed_figures():
    with plt.rc_context():
        plt.switch_backend("Agg")
        use_style()
        yield
    plt.close("all")


# Network


def boxes_and_texts(figure):
    figure.canvas.draw()
    (ax,) = figure.axes
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    places = [(box, box.get_window_extent()) for box in boxes]
    return places, [text for text in ax.texts if text.get_text()]


def test_every_label_of_the_network_fits_its_box():
    places, texts = boxes_and_texts(mgn_network())
    inside = 0
    for text in texts:
        extent = text.get_window_extent()
        around = [
            box
            for _, box in places
            if box.contains(*text.get_transform().transform(text.get_position()))
        ]
        if around:
            (box,) = around
            assert box.x0 < extent.x0 and extent.x1 < box.x1, text.get_text()
            assert box.y0 < extent.y0 and extent.y1 < box.y1, text.get_text()
            inside += 1
    assert inside == len(places) == 18


def test_no_two_boxes_overlap():
    places, _ = boxes_and_texts(mgn_network())
    for i, (_, one) in enumerate(places):
        assert not any(one.overlaps(other) for _, other in places[i + 1 :])


def test_the_network_says_its_depths_and_marks_what_only_the_release_has():
    places, texts = boxes_and_texts(mgn_network(depths=(1, 2, 7)))
    told = " ".join(text.get_text() for text in texts)
    assert all(f"encoder of {depth} blocks" in told for depth in (1, 2, 7))
    assert [box.get_linestyle() for box, _ in places].count("--") == 1
    assert "extra block, as released" in told


# Bars


def test_bars_show_means_and_the_range_of_seeds():
    values = {"HAN": [[900, 950, 1200], [1000, 1050, 1200]], "MGN": [[450, 420, 430]]}
    figure = bars_by_modality(values, ylabel="false positives (events)")
    (ax,) = figure.axes
    assert [bar.get_height() for bar in ax.patches] == [950, 1000, 1200, 450, 420, 430]
    han, mgn = ([path.vertices[:, 1].tolist() for path in c.get_paths()] for c in ax.collections)
    assert han == [[900, 1000], [950, 1050], [1200, 1200]]
    assert mgn == [[450, 450], [420, 420], [430, 430]]
    told = ["950", "1,000", "1,200", "450", "420", "430"]
    assert [text.get_text() for text in ax.texts] == told
    assert ax.get_ylim()[0] == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["HAN", "MGN"]
    assert len({bar.get_hatch() for bar in ax.patches}) == 2


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"HAN": [1, 2, 3]}, r"HAN has values of shape \(3,\); expected \(seeds, 3\)"),
        ({name: [[1, 2, 3]] for name in "abcd"}, "1 to 3 methods, not 4"),
    ],
)
def test_bars_refuse_what_they_cannot_show(values, sentence):
    with pytest.raises(AvvpError, match=sentence):
        bars_by_modality(values, ylabel="events")


# Tokens


def history(epochs: int, last: float) -> dict[str, np.ndarray]:
    scores = np.linspace(0.1, last, epochs)
    names = [f"token_{m}_{s}" for m in ("audio", "visual") for s in ("precision", "recall", "f1")]
    return {"epoch": np.arange(1, epochs + 1)} | {name: scores for name in names}


def test_token_curves_mark_the_same_share_of_the_training_as_the_paper():
    figure = token_curves([history(12, 1.0), history(12, 0.9)], printed_epoch=10, printed_epochs=40)
    for ax in figure.axes:
        (mark,) = (line for line in ax.lines if len(line.get_xdata()) == 2)
        assert list(mark.get_xdata()) == [3, 3]
        assert ax.texts[0].get_text() == "epoch 10 of 40 in print:\nhere 3 of 12"
        ends = [line.get_ydata()[-1] for line in ax.lines if line is not mark]
        assert ends == [1.0, 0.9] * 3
        names = [text.get_text() for text in ax.get_legend().get_texts()]
        assert names == ["precision", "recall", "F1"]


# Embeddings


def space(classes: list[int], purity: float) -> dict[str, np.ndarray]:
    label = np.repeat(classes, 5)
    xy = np.random.default_rng(0).normal(size=(len(label), 2)).astype(np.float32)
    found = {"classes": np.array(classes)}
    for modality in ("audio", "visual"):
        found |= {f"{modality}_xy": xy, f"{modality}_label": label}
        found[f"{modality}_purity"] = np.array(purity)
    return found


def test_scatter_has_a_panel_a_method_and_modality_with_its_purity():
    classes = [13, 0, 11, 3, 20, 19, 1, 14]
    figure = event_scatter({"HAN": space(classes, 0.25), "MGN": space(classes[::-1], 0.5)})
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]
    assert titles == [
        "HAN, heard\npurity 0.25",
        "MGN, heard\npurity 0.50",
        "HAN, seen\npurity 0.25",
        "MGN, seen\npurity 0.50",
    ]
    for ax in figure.axes:
        assert sum(len(dots.get_offsets()) for dots in ax.collections) == 40
        assert [text.get_text() for text in ax.texts] == ["Speech", "Dog"]
    handles = figure.legends[0].legend_handles
    assert len({(h.get_color(), h.get_marker()) for h in handles}) == 8
    assert len({h.get_marker() for h in handles}) == 8, "never by colour alone"
    assert [h.get_label() for h in handles][:2] == ["Speech", "Dog"]


def test_scatter_refuses_different_classes():
    with pytest.raises(AvvpError, match="HAN, MGN show different classes"):
        event_scatter({"HAN": space([0, 1], 0.5), "MGN": space([0, 2], 0.5)})
