"""The figure helpers draw what they are given, the same bytes every time."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_rgb

from avvp.errors import AvvpError
from avvp.events import LABELS, SEGMENTS
from avvp.figures import timeline, use_style


@pytest.fixture(autouse=True)
def closed_figures():
    with plt.rc_context():
        plt.switch_backend("Agg")
        yield
    plt.close("all")


def one_video(*, heard: dict[int, slice], seen: dict[int, slice]):
    audio = torch.zeros(len(LABELS), SEGMENTS, dtype=torch.bool)
    visual = audio.clone()
    for mask, events in ((audio, heard), (visual, seen)):
        for label, seconds in events.items():
            mask[label, seconds] = True
    return audio, visual


def bars(figure):
    """Every bar as (first second, last second, hatched)."""
    return [
        (path.get_extents().x0, path.get_extents().x1, bool(collection.get_hatch()))
        for collection in figure.axes[0].collections
        for path in collection.get_paths()
    ]


def test_timeline_draws_truth_hits_and_false_alarms():
    truth = one_video(heard={0: slice(2, 8)}, seen={})
    predicted = one_video(heard={0: slice(1, 5)}, seen={3: slice(9, 10)})
    figure = timeline(truth, {"HAN": predicted})
    assert sorted(bars(figure)) == [
        (1, 2, True),  # heard a second too early
        (2, 5, False),
        (2, 8, False),  # the annotation
        (9, 10, True),  # a dog that nobody annotated
    ]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "annotation",
        "HAN",
    ] * 2
    assert [text.get_text() for text in figure.axes[0].texts] == ["Speech (heard)", "Dog (seen)"]


def test_timeline_shows_audio_visual_events_as_the_intersection():
    truth = one_video(heard={3: slice(0, 6)}, seen={3: slice(4, 10)})
    figure = timeline(truth, modalities=("audio_visual",))
    assert bars(figure) == [(4, 6, False)]


def test_timeline_of_an_empty_video_says_so():
    figure = timeline(one_video(heard={}, seen={}))
    assert [text.get_text() for text in figure.axes[0].texts] == ["no event"]


def test_timeline_refuses_masks_of_many_videos():
    masks = torch.zeros(4, len(LABELS), SEGMENTS, dtype=torch.bool)
    with pytest.raises(AvvpError, match=r"shows one video.*\(4, 25, 10\)"):
        timeline((masks, masks))


def test_the_style_is_deterministic_and_opaque(tmp_path):
    use_style()
    written = []
    for name in ("a.svg", "b.svg"):
        figure = timeline(one_video(heard={0: slice(2, 8)}, seen={1: slice(0, 3)}))
        figure.savefig(tmp_path / name, metadata={"Date": None})
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert to_rgb(plt.rcParams["savefig.facecolor"]) == (1, 1, 1), "dark pages need a white panel"
