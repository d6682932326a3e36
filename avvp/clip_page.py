"""One page that holds a clip and its parsing, and needs nothing else: no server, no network."""

import base64
import html
import mimetypes
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template

from avvp.errors import AvvpError
from avvp.events import SEGMENTS
from avvp.prediction import Found, ParsedClip

LARGEST = 100_000_000
"""Bytes of a clip that a page may hold."""
_WORDS = {"audio": "heard", "visual": "seen"}


def clip_page(clip: ParsedClip, video: Path, *, about: str = "") -> str:
    """The page: the clip plays above its timeline, and a click on an event goes there.

    Args:
        clip: the parsing.
        video: the file; it becomes a part of the page.
        about: a line below, such as which network parsed it.

    Raises:
        AvvpError: the file is too large for a page.
    """
    size = video.stat().st_size
    if size > LARGEST:
        raise AvvpError(
            f"{video} has {size / 1e6:.0f} MB, too many for a page; cut it to the ten seconds that "
            f"are parsed (at most {LARGEST / 1e6:.0f} MB)."
        )
    kind = mimetypes.guess_type(video.name)[0] or "video/mp4"
    content = base64.b64encode(video.read_bytes()).decode("ascii")
    events = sorted(clip.events, key=lambda e: (e.modality, e.label, e.onset))
    lanes = [
        _lane(modality, label, list(runs))
        for (modality, label), runs in groupby(events, key=lambda e: (e.modality, e.label))
    ]
    ticks = "".join(
        f'<span style="left:{100 * t / SEGMENTS:g}%">{t}</span>' for t in range(SEGMENTS + 1)
    )
    template = (files("avvp") / "package_data" / "clip_page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        name=html.escape(clip.name),
        source=f"data:{kind};base64,{content}",
        seconds=SEGMENTS,
        lanes="\n".join(lanes) or "<p>No event was found.</p>",
        ticks=ticks,
        about=html.escape(about),
    )


def _lane(modality: str, label: str, events: list[Found]) -> str:
    word = _WORDS[modality]
    name = html.escape(label.replace("_", " "))
    buttons = "".join(
        f'<button class="event" data-onset="{event.onset}" '
        f'style="left:{100 * event.onset / SEGMENTS:g}%;'
        f'width:{100 * (event.offset - event.onset) / SEGMENTS:g}%" '
        f'aria-label="{name}, {word}, second {event.onset} to {event.offset}" '
        f'title="{event.onset} to {event.offset} s, probability {event.probability:.2f}"></button>'
        for event in events
    )
    return (
        f'<div class="lane {word}"><span>{name}, {word}</span>'
        f'<div class="track">{buttons}</div></div>'
    )
