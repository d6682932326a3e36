"""Clips: what is printed, written, drawn and put on a page is what the network decided."""

import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from avvp import Parsing
from avvp.cli import main
from avvp.clip_page import LARGEST, clip_page
from avvp.data.features import FOLDERS
from avvp.errors import AvvpError
from avvp.events import LABELS, Thresholds
from avvp.exchange import read_predictions
from avvp.figures.clip import clip_timeline
from avvp.models import build
from avvp.models.pretrained import Pretrained, write_pretrained
from avvp.prediction import ParsedClip, as_json, parse_clip, read_features, table, together
from avvp.training import seeded
from tests.elsewhere import Elsewhere
from tests.made_up_clips import write_clip
from tests.small_networks import see_small, small_networks

DOG, CAT = LABELS.index("Dog"), LABELS.index("Cat")


class Fixed(nn.Module):
    """A dog is heard from second 2 to 5 and at 7; a cat is seen all the time."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, audio, visual_2d, visual_3d):
        heard, seen = torch.full((2, 1, 10, 25), 0.1)
        heard[0, 2:5, DOG] = torch.tensor([0.6, 0.7, 0.8])
        heard[0, 7, DOG] = 0.9
        seen[..., CAT] = 0.75
        video = torch.maximum(heard, seen).amax(dim=1)
        return Parsing(video, heard.amax(dim=1), seen.amax(dim=1), heard, seen, {})


def features(seed=0):
    g = np.random.default_rng(seed)
    return {s: g.normal(size=shape).astype(np.float32) for s, (_, shape) in FOLDERS.items()}


@pytest.fixture
def trained():
    return Pretrained(Fixed().eval(), "han", {}, "video", Thresholds(0.5, 0.5), "han/han")


@pytest.fixture
def clip(trained):
    return parse_clip(trained, "a <b>clip</b>.mp4", features())


def test_events_are_runs_of_decisions_with_their_probability(clip):
    assert [event[:4] for event in clip.events] == [
        ("audio", "Dog", 2, 5),
        ("audio", "Dog", 7, 8),
        ("visual", "Cat", 0, 10),
    ]
    assert [event.probability for event in clip.events] == pytest.approx([0.7, 0.9, 0.75])
    assert clip.audio[DOG].nonzero().flatten().tolist() == [2, 3, 4, 7]


def test_the_table_is_in_the_order_of_time(clip):
    lines = table(clip).splitlines()
    assert lines[0] == clip.name
    assert [line.split() for line in lines[2:]] == [
        ["seen", "0", "10", "0.75", "Cat"],
        ["heard", "2", "5", "0.70", "Dog"],
        ["heard", "7", "8", "0.90", "Dog"],
    ]
    assert table(clip._replace(events=())) == f"{clip.name}: no event"


def test_what_a_gpu_parses_is_decided_by_thresholds_that_lie_here(trained, clip):
    """Thresholds a class, as TALNet has; the parsing stands for one on a GPU."""

    class Away(Fixed):
        def forward(self, *features):
            parsing = super().forward(*features)
            return Parsing(*(x.as_subclass(Elsewhere) for x in parsing[:5]), {})

    cuts = torch.full((25,), 0.5, dtype=torch.float64)
    there = trained._replace(network=Away().eval(), thresholds=Thresholds(cuts, cuts))
    parsed = parse_clip(there, clip.name, features())
    assert parsed.events == clip.events
    assert torch.equal(parsed.audio, clip.audio) and torch.equal(parsed.visual, clip.visual)
    cuts[DOG] = 0.65
    parsed = parse_clip(there, clip.name, features())
    assert [event[1:4] for event in parsed.events] == [("Dog", 3, 5), ("Dog", 7, 8), ("Cat", 0, 10)]


def test_a_network_sees_a_clip_as_in_training(trained):
    """AVE would choose among the frames of a second, which are averaged where it learns."""
    network = seeded(1, lambda: build("ave", width=16, state=8)).eval()
    clip = features()
    audio, visual_2d, visual_3d = (torch.from_numpy(clip[stream])[None] for stream in FOLDERS)
    pooled = visual_2d.unflatten(1, (10, 8)).mean(2)
    with torch.no_grad():
        wanted, chosen = (network(audio, x, visual_3d) for x in (pooled, visual_2d))
    assert not torch.equal(wanted.segment_visual, chosen.segment_visual)
    low = Thresholds(0.0, 0.0)  # all is found: one event a class, over all seconds
    parsed = parse_clip(trained._replace(network=network, thresholds=low), "clip", clip)
    found = [event.probability for event in parsed.events if event.modality == "visual"]
    assert found == [wanted.segment_visual[0, :, c].mean().item() for c in range(25)]


def test_features_of_another_shape_are_one_sentence(trained):
    wrong = features() | {"visual_2d": np.zeros((10, 2048), np.float32)}
    with pytest.raises(
        AvvpError, match=r"visual_2d is float32 of shape \(10, 2048\); expected .* \(80"
    ):
        parse_clip(trained, "clip", wrong)


@pytest.mark.parametrize(
    ("audio", "told"),
    [
        (None, "clip: audio is missing; expected audio, visual_2d, visual_3d"),
        (np.zeros((10, 128)), "clip: audio is float64 of shape"),
        (np.full((10, 128), np.nan, np.float32), "clip: audio holds values that are not finite"),
    ],
)
def test_features_that_are_none_are_one_sentence(trained, audio, told):
    wrong = {k: v for k, v in (features() | {"audio": audio}).items() if v is not None}
    with pytest.raises(AvvpError, match=told):
        parse_clip(trained, "clip", wrong)


def test_clips_of_a_network_that_only_hears_have_no_visual_mask(clip):
    deaf = clip._replace(visual=None)
    both = together([deaf, deaf])
    assert both.visual is None and both.audio.shape == (2, 25, 10)
    assert as_json(clip)["events"][0] == {
        "modality": "audio",
        "label": "Dog",
        "onset": 2,
        "offset": 5,
        "probability": pytest.approx(0.7),
    }


def test_the_figure_has_a_lane_for_each_class_and_a_strip(clip):
    plt.switch_backend("Agg")
    figure = clip_timeline(clip)
    assert len(figure.axes) == 1
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["Dog (heard)", "Cat (seen)"]
    plt.close("all")


def test_the_page_is_one_file_that_fetches_nothing(clip, tmp_path):
    video = tmp_path / "x.webm"
    video.write_bytes(b"some bytes")
    page = clip_page(clip, video, about="by <someone>")
    assert 'src="data:video/webm;base64,c29tZSBieXRlcw=="' in page
    assert "<b>clip" not in page and "&lt;b&gt;clip" in page and "&lt;someone&gt;" in page
    assert "http://" not in page and "https://" not in page and "default-src 'none'" in page
    assert page.count('class="event"') == 3 and page.count('class="lane ') == 2
    assert 'data-onset="2" style="left:20%;width:30%"' in page
    assert 'aria-label="Dog, heard, second 2 to 5"' in page
    assert "No event was found" in clip_page(clip._replace(events=()), video)


def test_a_large_clip_is_refused(clip, tmp_path):
    video = tmp_path / "x.mp4"
    with video.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(AvvpError, match="cut it to the ten seconds"):
        clip_page(clip, video)


@pytest.fixture
def packed(tmp_path):
    network = seeded(1, lambda: build("linear"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(30)  # so that something is found
    cuts = Thresholds(0.5, 0.5)
    given = Pretrained(network, "linear", {}, None, cuts, "reference/linear")
    write_pretrained(tmp_path / "packed", given, card="")
    return tmp_path / "packed", given


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("one", "zwö lf")):
        for stream, array in features(number).items():
            path = tmp_path / "features" / FOLDERS[stream][0] / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
    return tmp_path / "features"


@pytest.mark.parametrize(("form", "form_of_ours"), [("tsv", "dcase"), ("webvtt", "webvtt")])
def test_a_folder_of_features_is_parsed_and_written(packed, folder, tmp_path, form, form_of_ours):
    checkpoint, given = packed
    out = tmp_path / "out"
    options = ["--checkpoint", str(checkpoint), "--format", form, "--out", str(out)]
    assert main(["predict", str(folder), *options, "--device", "cpu"]) == 0
    clips = [parse_clip(given, name, arrays) for name, arrays in read_features(folder).items()]
    assert [clip.name for clip in clips] == ["one", "zwö lf"]
    assert any(clip.events for clip in clips)
    back = read_predictions(out, [clip.name for clip in clips], form=form_of_ours)
    assert torch.equal(back.audio, together(clips).audio)
    assert torch.equal(back.visual, together(clips).visual)


def test_a_clip_that_lacks_one_kind_of_features_is_not_passed_over(folder):
    (folder / FOLDERS["audio"][0] / "one.npy").unlink()
    with pytest.raises(AvvpError, match=r"one\.npy is missing; extract one again"):
        read_features(folder)


def test_hidden_files_are_no_clips(folder):
    (folder / FOLDERS["audio"][0] / "._one.npy").write_bytes(b"\0\5\x16\7")
    assert list(read_features(folder)) == ["one", "zwö lf"]


def test_json_has_every_event(packed, folder, tmp_path, capsys):
    checkpoint, given = packed
    out = tmp_path / "out.json"
    options = ["--checkpoint", str(checkpoint), "--format", "json", "--out", str(out)]
    assert main(["predict", str(folder), *options, "--device", "cpu"]) == 0
    clips = [parse_clip(given, name, arrays) for name, arrays in read_features(folder).items()]
    written = json.loads(out.read_text())
    assert [len(entry["events"]) for entry in written] == [len(clip.events) for clip in clips]
    assert table(clips[1]).splitlines()[0] in capsys.readouterr().out


BAD = {
    "no source": (["nowhere.mp4"], "nowhere.mp4 is not there"),
    "format alone": (["features", "--format", "tsv"], "go together"),
    "page of features": (["features", "--html", "a.html"], "--html needs the video"),
    "video without weights": (["text.mp4"], "needs --weights DIR"),
    "figure of two": (["features", "--figure", "a.svg"], "holds 2 clips"),
    "figure of a kind": (["features", "--figure", "a.bmp"], "does not end with"),
    "no features": (["empty"], "holds no features"),
    "out is there": (["features", "--format", "tsv", "--out", "features"], "not empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, packed, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("avvp.prediction.parse_clip", lambda *_: pytest.fail("the work began"))
    Path("text.mp4").write_text("no video\n")
    Path("empty").mkdir()
    arguments, told = BAD[case]
    command = ["predict", *arguments, "--checkpoint", "packed", "--device", "cpu"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_a_damaged_feature_file_is_named(packed, folder, capsys):
    (folder / "res152" / "one.npy").write_bytes(b"x")
    assert main(["predict", str(folder), "--checkpoint", str(packed[0])]) == 2
    assert "one.npy is no .npy file" in capsys.readouterr().err
    (folder / "res152" / "one.npy").unlink()
    assert main(["predict", str(folder), "--checkpoint", str(packed[0])]) == 2
    assert "one.npy is missing; extract one again" in capsys.readouterr().err


def test_a_clip_without_events_has_a_figure_too():
    plt.switch_backend("Agg")
    nothing = torch.zeros(25, 10).bool()
    figure = clip_timeline(ParsedClip("quiet", (), nothing, nothing))
    assert "no event" in [text.get_text() for text in figure.axes[0].texts]
    plt.close("all")


@pytest.fixture
def film(tmp_path, monkeypatch):
    """A clip with an odd name, and feature networks that take no time."""
    see_small(monkeypatch.setattr)
    monkeypatch.setattr("avvp.extraction.extract.load_networks", lambda *a, **o: small_networks())
    return write_clip(tmp_path / "zwölf Töne.mp4", seconds=11)


def test_a_video_is_parsed_drawn_and_put_on_a_page(packed, film, tmp_path, capsys):
    checkpoint, _ = packed
    figure, page = tmp_path / "a.png", tmp_path / "a.html"
    options = ["--weights", str(tmp_path), "--figure", str(figure), "--html", str(page)]
    command = ["predict", str(film), "--checkpoint", str(checkpoint), *options, "--device", "cpu"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "is longer than 10 s" in printed and "zwölf Töne.mp4" in printed
    assert printed.splitlines()[-2:] == [f"wrote {figure}", f"wrote {page}"]
    assert Image.open(figure).size[0] > 1000
    assert "data:video/mp4;base64," in page.read_text() and "reference/linear" in page.read_text()


def test_a_strip_shows_the_seconds(clip):
    plt.switch_backend("Agg")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(buffer, "JPEG")
    strip, lanes = clip_timeline(clip, [buffer.getvalue()] * 10).axes
    assert [image.get_extent()[0] for image in strip.images] == list(range(10))
    assert strip.get_shared_x_axes().joined(strip, lanes)
    plt.close("all")


def test_text_that_is_called_a_video_is_one_sentence(packed, film, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video\n")
    options = ["--checkpoint", str(packed[0]), "--weights", str(tmp_path)]
    assert main(["predict", str(tmp_path / "text.mp4"), *options]) == 2
    error = capsys.readouterr().err
    assert "text.mp4" in error and error.count("\n") == 1
