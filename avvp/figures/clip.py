"""The figure of one parsed clip: a strip of its images above its timeline."""

import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from avvp.events import SEGMENTS
from avvp.figures import timeline
from avvp.prediction import ParsedClip


def clip_timeline(clip: ParsedClip, thumbnails: Sequence[bytes] = ()) -> Figure:
    """What was found in a clip, second by second, below an image of each second.

    Args:
        clip: the parsing.
        thumbnails: a JPEG file a second; none: no strip.
    """
    lanes = len({(event.modality, event.label) for event in clip.events})
    height = 0.9 + 0.24 * max(lanes, 1)
    if not thumbnails:
        _, ax = plt.subplots(figsize=(7, height))
    else:
        _, (strip, ax) = plt.subplots(
            2, 1, figsize=(7, height + 0.75), sharex=True, height_ratios=[0.6, height]
        )
        for second, file in enumerate(thumbnails):
            image = Image.open(io.BytesIO(file))
            image.thumbnail((140, 140))
            side = min(image.size)
            left, top = ((length - side) // 2 for length in image.size)
            square = image.crop((left, top, left + side, top + side))
            strip.imshow(square, extent=(second, second + 1, 0, 1), aspect="auto")
        strip.set(xlim=(0, SEGMENTS), ylim=(0, 1))
        strip.axis("off")
    return timeline((clip.audio, clip.visual), title=clip.name, ax=ax).figure
