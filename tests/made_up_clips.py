"""Small videos made by PyAV: a bright column that wanders over a grey image, and a tone."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 44_100


def picture(time: float, width: int = 64, height: int = 48) -> np.ndarray:
    """What such a video shows at a time: its brightness tells the time, its column too."""
    image = np.full((height, width, 3), int(40 + 20 * time) % 256, np.uint8)
    column = int(time * 6) % width
    image[:, column : column + 6] = (250, 30, 30)
    return image


def tone(seconds: float, frequency: float = 440.0, *, loud: float = 0.5) -> np.ndarray:
    """(1, N) float32 samples at 44.1 kHz."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (loud * np.sin(2 * np.pi * frequency * times)).astype(np.float32)[None]


def write_clip(
    path: Path,
    *,
    seconds: float = 10.0,
    rate: float = 12.0,
    times: list[float] | None = None,
    size: tuple[int, int] = (64, 48),
    sound: np.ndarray | str | None = "tone",
    sound_starts: float = 0.0,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video.

    Args:
        path: its ending decides on the container.
        seconds: of images and of the tone.
        rate: images a second; 0 leaves them out.
        times: second of each image, instead of ``rate``.
        size: width and height.
        sound: (channels, N) float32 at 44.1 kHz; None leaves the track out.
        sound_starts: second at which it does.
        rotation: degrees, noted in the container.
        options: of the container.
    """
    if isinstance(sound, str):
        sound = tone(seconds - sound_starts)
    unit, webm = Fraction(1, 12_000), path.suffix == ".webm"
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        images = voice = None
        if rate or times:
            images = container.add_stream(
                "libvpx" if webm else "mpeg4", rate=Fraction(rate).limit_denominator(1000) or 12
            )
            images.width, images.height, images.pix_fmt = *size, "yuv420p"
            images.codec_context.time_base = unit
            if rotation:
                images.set_display_rotation(rotation)
        if sound is not None:
            # Opus knows no 44.1 kHz; PyAV resamples.
            coding = ("libopus", 48_000) if webm else ("aac", RATE)
            voice = container.add_stream(coding[0], rate=coding[1])
            voice.layout = "mono" if len(sound) == 1 else "stereo"
        if voice is not None:
            _write_sound(container, voice, sound, sound_starts)
        if images is not None:
            for time in times or np.arange(round(seconds * rate)) / rate:
                frame = av.VideoFrame.from_ndarray(picture(time, *size), format="rgb24")
                frame.pts, frame.time_base = round(time / unit), unit
                container.mux(images.encode(frame))
            container.mux(images.encode(None))
    return path


def _write_sound(container, stream, samples: np.ndarray, starts: float) -> None:
    for start in range(0, samples.shape[1], 1024):
        piece = np.ascontiguousarray(samples[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = start + round(starts * RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
