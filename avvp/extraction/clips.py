"""Decode a video file into what the release computed features from: JPEG frames and 16 kHz sound.

The released features were made with the ``ffmpeg`` command (``-r 8``, JPEG of default quality) and
with moviepy (a track of 16 000 samples a second). PyAV brings the libraries of ffmpeg along, and
here they are led through the same steps, those included that nobody would choose again: the frame
numbered n shows what the video showed about 0.15 s before n/8, JPEG compresses hard, samples are
picked without a low-pass filter, and a track of one channel is 3 dB quieter than two equal ones.
Networks trained on the released features expect them. Left out is a slip in
moviepy's buffer, which moves later seconds by up to 0.1 ms.

What happens to a clip that is not ten seconds of sound and images:

- from 9.5 to 10.5 s: taken whole, its frames spread over 80 places, as in the release;
- longer: its first ten seconds, and nothing after them is decoded;
- shorter: the frames stay at eight a second, the last one is repeated and the sound is followed by
  silence (the release stretched the frames and failed on the sound);
- sound that starts more than half a second late or ends so early: silence where there is none; no
  sound track, or none in the first ten seconds: ten seconds of silence;
- no images (a cover picture is none): refused;
- any frame rate, constant or not: frames are repeated or dropped as ffmpeg does it;
- rotated by its metadata: upright, as ffmpeg does it;
- damaged (unreadable, or it breaks off half a second before the end that it announces): refused.

Every departure that was accepted is told in ``Clip.notes``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Interpolation

from avvp.data.features import FRAMES_PER_SECOND
from avvp.errors import AvvpError
from avvp.events import SEGMENTS

SECONDS = SEGMENTS
TOLERANCE = 0.5
"""Seconds by which a clip may miss ten and still count as ten."""
SAMPLE_RATE = 16_000
FRAMES = SECONDS * FRAMES_PER_SECOND

_SOURCE_RATE = 44_100  # moviepy decodes to this first
_LOUDEST = 0.99  # and clips here
# Containers that hold videos. Without the list, text can count as a playlist that names files.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,ogg,mpeg,mpegts"


@dataclass(frozen=True, eq=False)
class Clip:
    """Ten seconds of a video.

    Attributes:
        frames: the n frames at eight a second, each a JPEG file.
        times: (n,) second of the source that each shows.
        sampled: (80,) which frame is used, ascending.
        sound: (160000,) float32 in [-1, 1), mono, 16 kHz.
        notes: what was done to a clip that is not ten seconds of sound and images.
    """

    frames: tuple[bytes, ...]
    times: np.ndarray
    sampled: np.ndarray
    sound: np.ndarray
    notes: tuple[str, ...]


class _Track(NamedTuple):
    """What was decoded of the images or of the sound; times are in seconds."""

    content: list  # JPEG files, or arrays of samples
    times: list[float]  # of the JPEG files
    end: float | None  # None where there is more than ten seconds
    announced: float | None  # end of the track as its header has it
    file_announced: float | None  # and of the longest track of the file
    start: float = 0.0  # of the sound


def read_clip(path: str | Path) -> Clip:
    """Decode a file; the module's docstring states what happens to unusual ones.

    Raises:
        AvvpError: the file is empty, no video, damaged, or has no images.
    """
    path = Path(path)
    images, sound = _read_images(path), _read_sound(path)
    _refuse_cut_off(path, images, sound)
    notes = []
    short = _is_short(images)
    if images.end is None:
        notes.append(f"is longer than {SECONDS} s: its first {SECONDS} s were taken")
    elif short:
        notes.append(f"has images for {images.end:.1f} s: the last one was repeated")
    if not sound.content or sound.start >= SECONDS:
        notes.append("has no sound: silence was taken for it")
    elif sound.start > TOLERANCE:
        notes.append(f"has sound from {sound.start:.1f} s on: silence was taken before")
    if sound.content and _is_short(sound):
        notes.append(f"has sound for {sound.end:.1f} s: silence was taken for the rest")
    samples = np.concatenate([np.zeros((0, 2), np.int16), *sound.content])
    return Clip(
        frames=tuple(images.content),
        times=np.array(images.times),
        sampled=sampled_frames(len(images.content), stretch=not short),
        sound=pick_samples(samples),
        notes=tuple(notes),
    )


def _is_short(track: _Track) -> bool:
    return track.end is not None and track.end < SECONDS - TOLERANCE


def sampled_frames(count: int, *, stretch: bool = True) -> np.ndarray:
    """Which of ``count`` frames stand at the 80 places: evenly spread, the first and last included.

    Halves round to the even neighbour, as the release's ``round`` did. Without ``stretch`` the
    places follow the frames one by one, and the last frame fills the rest.
    """
    if stretch:
        return np.round(np.linspace(0, count - 1, FRAMES)).astype(np.int64)
    return np.minimum(np.arange(FRAMES), count - 1)


def pick_samples(source: np.ndarray) -> np.ndarray:
    """Ten seconds at 16 kHz from int16 samples (N, 2) at 44.1 kHz: (160000,) float32.

    The nearest sample is picked, clipped at 0.99, both as moviepy does it, and the channels are
    averaged. What is missing at the end is silence.
    """
    # A product with the inverse, as in moviepy: every 160th place is a tie, which rounding decides.
    seconds = (1 / SAMPLE_RATE) * np.arange(SECONDS * SAMPLE_RATE)
    wanted = np.round(_SOURCE_RATE * seconds).astype(np.int64)
    there = wanted[wanted < len(source)]
    loudest = int(_LOUDEST * 2**15)
    picked = np.zeros((len(wanted), 2), np.int16)
    picked[: len(there)] = source[there].clip(-loudest, loudest)
    return picked.mean(axis=1, dtype=np.float32) / 2**15


class FrameRate:
    """How often each frame of a video appears at eight frames a second, as ``ffmpeg -r 8`` does it.

    ffmpeg writes a frame as soon as its end lies no more than 1.1 frames of the new rate before
    the place that is to be filled next: frames at the beginning are written too early, and from
    then on every place shows what the video showed about 0.15 s before.
    """

    def __init__(self, rate: int = FRAMES_PER_SECOND) -> None:
        self._rate = rate
        self._next = 0  # place to fill
        self._repeats = [0, 0, 0]  # of the frame before, at the last three frames

    def add(self, start: float, duration: float) -> tuple[int, int]:
        """Copies of the previous frame and of this one to write now; times are in seconds."""
        place = start * self._rate
        # ffmpeg's nudge, so that halves round up whatever the unit of the source's times is.
        place += np.sign(place) * 2.0**-17 if place != round(place) else 0
        ahead, length = place - self._next, duration * self._rate
        end = ahead + length
        if ahead < 0 < end:
            ahead = 0.0
        repeated, copies = 0, 1
        if end < -1.1:
            copies = 0
        elif end > 1.1:
            copies = round(end)
            repeated = round(ahead - 0.6) if ahead > 1.1 else 0
        self._repeats = [repeated, *self._repeats[:2]]
        self._next += copies
        return min(repeated, copies), max(copies - repeated, 0)

    def finish(self) -> int:
        """Copies of the last frame to write when nothing follows."""
        return sorted(self._repeats)[1]


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a file, and say in one sentence what is wrong with it."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise AvvpError(f"{path} can't be read ({error.strerror}); check the file.") from error
    if empty:
        raise AvvpError(f"{path} is empty (0 bytes); copy or download it again.")
    try:
        # An absolute path can't be taken for an address.
        with av.open(
            str(path.absolute()),
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        ) as container:
            yield container
    except av.error.FFmpegError as error:
        raise AvvpError(
            f"{path} is damaged or no video ({error.strerror}); play it to see, and copy or "
            "convert it again."
        ) from error


def _read_images(path: Path) -> _Track:
    with _opened(path) as container:
        stream = container.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic:
            raise AvvpError(f"{path} has no images; parsing takes both sound and images.")
        _refuse_unknown_codec(path, stream)
        stream.thread_type = "AUTO"
        usual = 1 / float(stream.average_rate or stream.guessed_rate or 25)
        rate, writer = FrameRate(), _JpegWriter()
        ten: int | None = None  # frames written when ten seconds were over
        end, longer = 0.0, False
        for frame in container.decode(stream):
            time = end if frame.pts is None else _seconds(frame, container)
            length = float(frame.duration * frame.time_base) or usual
            end = time + length
            longer = end > SECONDS + TOLERANCE
            if time >= SECONDS and ten is None:
                ten = len(writer.files)
            if longer:
                if ten is None:
                    writer.write(frame, time, *rate.add(time, SECONDS - time))
                break
            writer.write(frame, time, *rate.add(time, length))
        if longer:
            del writer.files[ten:], writer.times[ten:]
        elif writer.files:
            writer.repeat(rate.finish())
        if not writer.files:
            raise AvvpError(f"{path} has no images in its first {SECONDS} s; cut them off.")
        if longer:  # what the video went on to show comes after the ten seconds
            missing = max(FRAMES - len(writer.files), 0)
            writer.files += writer.files[-1:] * missing
            writer.times += writer.times[-1:] * missing
        announced = _announced(stream, container)
    return _Track(writer.files, writer.times, None if longer else end, *announced)


class _JpegWriter:
    """Writes frames as ``ffmpeg out/%06d.jpg`` does: 200 kbit/s, whose control has a memory."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.times: list[float] = []
        self._encoder: av.VideoCodecContext | None = None
        self._previous: tuple[av.VideoFrame, float] | None = None

    def write(self, frame: av.VideoFrame, time: float, repeated: int, copies: int) -> None:
        if repeated:
            self._encode(*(self._previous or (frame, time)), repeated)
        self._encode(frame, time, copies)
        self._previous = frame, time

    def repeat(self, copies: int) -> None:
        self._encode(*self._previous, copies)

    def _encode(self, frame: av.VideoFrame, time: float, copies: int) -> None:
        if copies and frame.rotation:
            frame = _upright(frame)
        for _ in range(copies):
            encoder = self._encoder = self._encoder or _jpeg_encoder(frame.width, frame.height)
            picture = frame.reformat(
                encoder.width,
                encoder.height,
                "yuvj420p",
                interpolation=Interpolation.BICUBIC,
                dst_color_range=ColorRange.JPEG,
            )
            picture.pts, picture.time_base = len(self.files), encoder.time_base
            picture.pict_type = PictureType.NONE
            (packet,) = encoder.encode(picture)
            self.files.append(bytes(packet))
            self.times.append(time)


def _jpeg_encoder(width: int, height: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base, encoder.framerate = Fraction(1, FRAMES_PER_SECOND), FRAMES_PER_SECOND
    encoder.thread_count = 1  # with more, the Huffman tables, and so the quality, differ
    return encoder


def _upright(frame: av.VideoFrame) -> av.VideoFrame:
    quarters = round(frame.rotation / 90)
    turned = np.rot90(frame.to_ndarray(format="rgb24"), quarters)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(turned), format="rgb24")


def _read_sound(path: Path) -> _Track:
    with _opened(path) as container:
        stream = container.streams.best("audio")
        if stream is None:
            return _Track([], [], 0.0, None, None)
        _refuse_unknown_codec(path, stream)
        wanted, count, late = SECONDS * _SOURCE_RATE, 0, 0.0
        pieces: list[np.ndarray] = []
        resampler, form = None, None
        for frame in container.decode(stream):
            if not pieces:
                late = 0.0 if frame.pts is None else _seconds(frame, container)
                count = min(max(round(late * _SOURCE_RATE), 0), wanted)
                pieces.append(np.zeros((count, 2), np.int16))
            if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
                count += _collect(pieces, resampler, None)
                resampler = av.AudioResampler("s16", "stereo", _SOURCE_RATE)
            count += _collect(pieces, resampler, frame)
            if count >= wanted:
                break
        else:
            count += _collect(pieces, resampler, None)
        announced = _announced(stream, container)
    end = None if count >= wanted else count / _SOURCE_RATE
    return _Track(pieces, [], end, *announced, start=late)


def _collect(
    pieces: list[np.ndarray], resampler: av.AudioResampler | None, frame: av.AudioFrame | None
) -> int:
    """Append what a frame, or None at the end, brings; returns the number of samples."""
    if resampler is None:
        return 0
    new = [piece.to_ndarray().reshape(-1, 2) for piece in resampler.resample(frame)]
    pieces.extend(new)
    return sum(map(len, new))


def _seconds(frame: av.frame.Frame, container: av.container.InputContainer) -> float:
    """When a frame comes, from the start of the file."""
    return float(frame.pts * frame.time_base) - (container.start_time or 0) / av.time_base


def _announced(
    stream: av.stream.Stream, container: av.container.InputContainer
) -> tuple[float | None, float | None]:
    """How many seconds the headers give to a track and to the whole file."""
    track = None if stream.duration is None else float(stream.duration * stream.time_base)
    return track, None if container.duration is None else container.duration / av.time_base


def _refuse_unknown_codec(path: Path, stream: av.stream.Stream) -> None:
    if stream.codec_context is None:
        raise AvvpError(
            f"{path}: its {stream.type} track is in a coding that PyAV does not know; convert the "
            "file to MP4."
        )


def _refuse_cut_off(path: Path, *tracks: _Track) -> None:
    """Refuse a file whose header promises more, of the ten seconds, than was found."""
    ends = [np.inf if track.end is None else track.end for track in tracks]
    promises = [(track.announced, end) for track, end in zip(tracks, ends, strict=True)]
    promises.append((tracks[0].file_announced, max(ends)))
    for announced, end in promises:
        if announced is not None and min(announced, SECONDS) - end > TOLERANCE:
            raise AvvpError(
                f"{path} is damaged: it breaks off after {end:.1f} s of the {announced:.1f} s that "
                "it announces; copy or download it again."
            )
