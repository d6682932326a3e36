"""Clips of every kind: what they decode to is stated in avvp/extraction/clips.py."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from avvp.errors import AvvpError
from avvp.extraction import clips
from avvp.extraction.clips import FrameRate, pick_samples, read_clip, sampled_frames
from tests.made_up_clips import RATE, picture, tone, write_clip


def image(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(float)


def loudness(sound: np.ndarray) -> list[bool]:
    """Of each second, whether there is anything to hear."""
    return (np.abs(sound.reshape(10, -1)).mean(axis=1) > 1e-3).tolist()


def converted(times: list[float], lengths: list[float]) -> list[int]:
    """Index of the source frame at each place."""
    rate, places = FrameRate(), []
    for n, (time, length) in enumerate(zip(times, lengths, strict=True)):
        repeated, copies = rate.add(time, length)
        places += [max(n - 1, 0)] * repeated + [n] * copies
    return places + [len(times) - 1] * rate.finish()


def test_frames_are_chosen_as_by_ffmpeg():
    """300 frames at 29.92 a second; the numbers were read off the 82 pictures of the release."""
    second = 12 / 359
    places = converted([n * second for n in range(300)], [second] * 300)
    assert places[:18] == [0, 1, 3, 7, 10, 14, 18, 22, 25, 29, 33, 37, 40, 44, 48, 51, 55, 59]
    assert places[-6:] == [280, 283, 287, 291, 295, 298] and len(places) == 82
    # From the fourth on, each shows what was there about 0.15 s before its place.
    late = (np.arange(82) / 8 - np.array(places) * second)[3:]
    assert late.min() > 0.13 and late.max() < 0.18


@pytest.mark.parametrize("rate", [1, 2, 4, 8])
def test_slow_videos_show_each_frame_as_long_as_it_lasts(rate):
    places = converted([n / rate for n in range(10 * rate)], [1 / rate] * (10 * rate))
    assert places == [n for n in range(10 * rate) for _ in range(8 // rate)]


def test_a_gap_is_filled_with_what_was_there_before():
    places = converted([0.0, 0.125, 5.0, 5.125], [0.125] * 4)
    assert places == [0] + [1] * 38 + [2] * 2 + [3]


def test_eighty_places_take_82_frames_as_in_the_release():
    places = sampled_frames(82)
    assert places.tolist() == [round(n * 81 / 79) for n in range(80)]
    assert places[0] == 0 and places[-1] == 81
    # Halves go to the even neighbour: of three frames the middle place is 0.5, 1.5, ...
    assert sampled_frames(159).tolist()[:3] == [0, 2, 4]
    assert sampled_frames(80).tolist() == list(range(80))
    assert sampled_frames(3, stretch=False).tolist() == [0, 1] + [2] * 78


def test_samples_are_picked_clipped_and_averaged():
    source = np.zeros((RATE * 10, 2), np.int16)
    source[:, 0] = np.arange(RATE * 10) % 1000
    source[1::2, 1] = 32_767
    sound = pick_samples(source)
    assert sound.shape == (160_000,) and sound.dtype == np.float32
    nearest = [0, 3, 6, 8, 11]  # 2.75625 n, rounded
    expected = [(n % 1000 + (32_440 if n % 2 else 0)) / 2 / 32_768 for n in nearest]
    assert sound[:5].tolist() == pytest.approx(expected)
    short = pick_samples(source[:RATE])
    assert not short[16_000:].any() and short[:15_000].any()


def test_the_given_clip_gives_the_given_frames(shared):
    """Our frames beside those that HAN's repository shows for its example clip."""
    sample = shared / "llp" / "sample"
    clip = read_clip(next(sample.glob("*.mp4")))
    given = [np.asarray(Image.open(p)).astype(float) for p in sorted(sample.glob("frames/*.jpg"))]
    assert len(clip.frames) == len(given) == 82
    for n, frame in enumerate(given):
        # Of all frames around, the one at the same place is the nearest, and by far.
        around = range(max(n - 3, 0), min(n + 4, 82))
        apart = {m: np.abs(image(clip.frames[m]) - frame).mean() for m in around}
        assert apart[n] < 2, "less than two of 255 grey levels"
        assert apart[n] == min(apart.values())
    assert clip.sampled.tolist() == np.round(np.linspace(0, 81, 80)).astype(int).tolist()
    assert clip.notes == ()
    assert all(loudness(clip.sound))


def test_a_made_up_clip(tmp_path):
    path = write_clip(tmp_path / "a.mp4", rate=30)
    clip = read_clip(path)
    assert len(clip.frames) == 82 and clip.notes == ()
    assert clip.times[:4].tolist() == pytest.approx([0, 1 / 30, 3 / 30, 7 / 30], abs=1e-3)
    for n in (0, 20, 81):
        shown = picture(clip.times[n])
        assert np.abs(image(clip.frames[n]) - shown).mean() < 12
    spectrum = np.abs(np.fft.rfft(clip.sound[16_000:32_000]))
    assert spectrum.argmax() == 440  # hertz: the window is one second
    again = read_clip(path)
    assert again.frames == clip.frames and np.array_equal(again.sound, clip.sound)


@pytest.mark.parametrize("ending", ["MP4", "mkv", "avi", "webm", "mov", "ts"])
def test_containers(tmp_path, ending):
    clip = read_clip(write_clip(tmp_path / f"a.{ending}"))
    assert len(clip.frames) in (80, 81, 82) and clip.notes == ()
    assert all(loudness(clip.sound))


@pytest.mark.parametrize("rate", [1, 7.5, 29.97, 120])
def test_odd_frame_rates(tmp_path, rate):
    clip = read_clip(write_clip(tmp_path / "a.mp4", rate=rate, sound=None))
    assert 79 <= len(clip.frames) <= 83
    late = np.arange(len(clip.frames)) / 8 - clip.times
    assert late.min() >= -0.13 and late.max() <= max(1 / rate, 0.27)


def test_frames_at_any_time(tmp_path):
    times = np.sort(np.random.default_rng(0).choice(1000, 60, replace=False) / 100).tolist()
    clip = read_clip(write_clip(tmp_path / "a.mkv", times=[0.0, *times, 9.99]))
    assert 79 <= len(clip.frames) <= 83 and np.all(np.diff(clip.times) >= 0)


def test_a_short_clip_keeps_its_seconds(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mp4", seconds=4))
    assert len(clip.frames) == 34
    assert clip.sampled.tolist() == [*range(34), *[33] * 46]
    assert loudness(clip.sound) == [True] * 4 + [False] * 6
    images, sound = clip.notes
    assert "images for 4.0 s" in images and "sound for 4.0 s" in sound


def test_a_long_clip_is_its_first_ten_seconds(tmp_path, monkeypatch):
    decoded = []
    add = FrameRate.add
    monkeypatch.setattr(FrameRate, "add", lambda self, *a: decoded.append(a) or add(self, *a))
    whole = read_clip(write_clip(tmp_path / "a.mp4", seconds=10))
    frames = len(decoded)
    clip = read_clip(write_clip(tmp_path / "b.mp4", seconds=60))
    assert len(decoded) - frames <= 12 * 10.5 + 1  # of 720
    assert len(clip.frames) == len(whole.frames)
    assert clip.times.tolist() == pytest.approx(whole.times.tolist(), abs=1e-3)
    assert "longer than 10 s" in clip.notes[0] and len(clip.notes) == 1


def test_ten_and_a_half_seconds_are_taken_whole(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mp4", seconds=10.25))
    assert clip.notes == () and clip.times[-1] > 10 and clip.sampled[-1] == len(clip.frames) - 1


def test_one_image_for_hours(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mkv", times=[0.0, 7200.0], seconds=10))
    assert len(clip.frames) == 80 and set(clip.times) == {0.0}
    assert "longer than 10 s" in clip.notes[0]


def test_silence_needs_no_rule(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mp4", sound=np.zeros((1, 10 * RATE), np.float32)))
    assert not clip.sound.any() and clip.notes == ()


def test_no_sound_track_is_silence(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mp4", sound=None))
    assert not clip.sound.any()
    assert clip.notes == ("has no sound: silence was taken for it",)


def test_sound_that_starts_late_stays_where_it_is(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mkv", sound_starts=4))
    assert loudness(clip.sound) == [False] * 4 + [True] * 6
    assert clip.notes == ("has sound from 4.0 s on: silence was taken before",)


def test_sound_that_starts_after_ten_seconds_is_none(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mkv", sound=tone(2), sound_starts=11))
    assert not clip.sound.any()
    assert clip.notes == ("has no sound: silence was taken for it",)


def test_channels_are_averaged(tmp_path):
    """One channel counts 3 dB less than two equal ones: ffmpeg makes stereo of it so."""
    both, silent = tone(10).repeat(2, axis=0), np.zeros((1, 10 * RATE), np.float32)
    stereo = read_clip(write_clip(tmp_path / "a.mp4", sound=both)).sound[16_000:32_000].std()
    left = read_clip(write_clip(tmp_path / "b.mp4", sound=np.concatenate([tone(10), silent])))
    mono = read_clip(write_clip(tmp_path / "c.mp4", sound=tone(10)))
    assert stereo == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert left.sound[16_000:32_000].std() == pytest.approx(stereo / 2, rel=0.01)
    assert mono.sound[16_000:32_000].std() == pytest.approx(stereo / np.sqrt(2), rel=0.01)


def test_only_sound_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4", rate=0)
    with pytest.raises(AvvpError, match=r"a\.mp4 has no images; parsing takes both"):
        read_clip(path)


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    jpeg = io.BytesIO()
    Image.fromarray(picture(0)).save(jpeg, "JPEG")
    with av.open(str(path), "w") as container:
        voice = container.add_stream("aac", rate=RATE)
        voice.layout = "mono"
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.start_encoding()
        packet = av.Packet(jpeg.getvalue())
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        container.mux(packet)
        frame = av.AudioFrame.from_ndarray(tone(1), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    with pytest.raises(AvvpError, match="has no images"):
        read_clip(path)


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotated_clips_are_set_upright(tmp_path, degrees):
    lying = read_clip(write_clip(tmp_path / "a.mp4", rotation=degrees))
    plain = read_clip(write_clip(tmp_path / "b.mp4"))
    turned = np.rot90(image(plain.frames[40]), degrees // 90)
    assert np.abs(image(lying.frames[40]) - turned).mean() < 4


def test_odd_sizes(tmp_path):
    clip = read_clip(write_clip(tmp_path / "a.mkv", size=(63, 37)))
    assert image(clip.frames[0]).shape == (37, 63, 3)


def test_no_frame_before_ten_seconds(tmp_path):
    path = write_clip(tmp_path / "a.mkv", times=[30.0, 31.0], seconds=40)
    with pytest.raises(AvvpError, match="no images in its first 10 s"):
        read_clip(path)


def test_text_that_lists_files_is_not_followed(tmp_path):
    """Such text counts as a video elsewhere: the list could name any file of the machine."""
    real = write_clip(tmp_path / "real.mp4")
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{real}'\n")
    (tmp_path / "play.mp4").write_text(f"#EXTM3U\n#EXTINF:10,\n{real}\n")
    for name in ("list.mp4", "play.mp4"):
        with pytest.raises(AvvpError, match="damaged or no video"):
            read_clip(tmp_path / name)


def test_frames_of_jpeg_size_follow_the_release():
    """200 kbit/s, as ffmpeg writes them: what the networks of the release saw was coarse."""
    writer = clips._JpegWriter()
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    for _ in range(16):
        writer.write(av.VideoFrame.from_ndarray(noise, format="rgb24"), 0.0, 0, 1)
    sizes = [len(file) for file in writer.files]
    assert sizes[-1] < sizes[0] / 2
