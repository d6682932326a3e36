"""How big a network is, by hand formulas, and what one forward pass of it costs.

The formulas need nothing but widths, depths and lengths; :func:`measured` and :func:`operations`
count in the networks that train. Sizes are numbers of elements: four bytes each in float32. An
operation is a multiplication or an addition of a matrix product.
"""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS
from avvp.models import build
from avvp.models.layers import AUDIO_SIZE, FRAMES_A_SEGMENT, VISUAL_2D_SIZE, VISUAL_3D_SIZE
from avvp.models.mgn import EXPANSION, MIXED
from avvp.models.released import released_name

BYTES = 4
"""Of one element in float32."""


def linear(inputs: int, outputs: int) -> int:
    """A linear layer with bias."""
    return outputs * (inputs + 1)


def norm(width: int) -> int:
    """A layer norm: scale and shift."""
    return 2 * width


def attention(width: int) -> int:
    """Projections of queries, keys, values and read-outs, whatever the number of heads."""
    return 4 * linear(width, width)


def feed_forward(width: int, hidden: int) -> int:
    """Two linear layers with something in between."""
    return linear(width, hidden) + linear(hidden, width)


def encoder_block(width: int = 128) -> int:
    """A transformer block of MGN: attention, a feed-forward block, a norm before each."""
    return attention(width) + feed_forward(width, EXPANSION * width) + 2 * norm(width)


def grouping_block(tokens: int, width: int = 128) -> int:
    """A grouping block of MGN for ``tokens`` tokens.

    It reads (attention, feed-forward block), assigns (four projections), ends in a feed-forward
    block, has six norms, and mixes its tokens along the token axis: the only part whose size
    depends on their number.
    """
    read = attention(width) + feed_forward(width, EXPANSION * width)
    assign = 4 * linear(width, width)
    after = feed_forward(width, EXPANSION * width)
    return read + assign + after + 6 * norm(width) + feed_forward(tokens, MIXED)


def front_end(width: int) -> int:
    """Three streams brought to one width, and the fusion of the two visual ones."""
    streams = (AUDIO_SIZE, VISUAL_2D_SIZE, VISUAL_3D_SIZE, 2 * width)
    return sum(linear(size, width) for size in streams)


def predicted_mgn(depths: Sequence[int] = (3, 3, 6), width: int = 128) -> dict[str, int]:
    """The size of every module of :class:`avvp.models.mgn.MGN`, by its name there.

    Args:
        depths: encoder blocks of audio, of visual, and across modalities.
        width: D.
    """
    audio, visual, across = depths
    return {
        "front_end": front_end(width),
        "audio_token": CLASSES * width,
        "visual_token": CLASSES * width,
        "audio_encoder": audio * encoder_block(width),
        "segment_grouping": grouping_block(SEGMENTS, width),
        "audio_grouping": grouping_block(CLASSES, width),
        "visual_encoder": visual * encoder_block(width),
        "visual_grouping": grouping_block(CLASSES, width),
        "cross_modal_encoder": across * encoder_block(width),
        "cross_modal_grouping": grouping_block(CLASSES, width),
        "video_classifier": linear(width, 1),
        "audio_classifier": linear(width, 1),
        "visual_classifier": linear(width, 1),
        "token_classifier": linear(width, CLASSES),
    }


def predicted_han(width: int = 512) -> dict[str, int]:
    """The size of every module of :class:`avvp.models.han.HAN`, which MA trains too."""
    return {
        "front_end": front_end(width),
        "hybrid_attention": 2 * attention(width) + feed_forward(width, width) + 2 * norm(width),
        "pooling": 3 * linear(width, CLASSES),
    }


def predicted_idle(family: str, width: int = 512) -> dict[str, int]:
    """What a release stores and never calls, by the first part of its name there.

    Args:
        family: ``"han"``, ``"ma"`` or ``"mgn"``, which has nothing of the kind.

    Raises:
        AvvpError: there is no such family.
    """
    layer = attention(width) + feed_forward(width, width) + 2 * norm(width)
    encoders = {
        "audio_encoder": layer,
        "visual_encoder": layer,
        "cmt_encoder": layer + 2 * norm(width),
        "hat_encoder": 2 * norm(width),  # its layer is the one that works
    }
    heads = {
        "t_att": attention(width) + norm(width),
        "t_att2": attention(width) + norm(width),
        "fc1": linear(2 * width, width // 2),
        "fc2": linear(width // 2, 2),
    }
    families = {"han": encoders, "ma": encoders | heads, "mgn": {}}
    if family not in families:
        raise AvvpError(f"family is {family!r}; it must be one of {', '.join(families)}.")
    return families[family]


def measured(network: nn.Module) -> dict[str, int]:
    """The size of every module of a network, and of its own parameters, by name."""
    sizes: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        part = name.partition(".")[0]
        sizes[part] = sizes.get(part, 0) + parameter.numel()
    return sizes


def released_shapes(model: str, **options: Any) -> dict[str, tuple[int, ...]]:
    """The entries that a network has in its release: names there, and shapes.

    What a release carries idle is not among them.
    """
    with torch.device("meta"):  # shapes without memory, and without drawing a random number
        state = build(model, **options).state_dict()
    return {released_name(model, name): tuple(entry.shape) for name, entry in state.items()}


def saved_bytes(shapes: Mapping[str, Sequence[int]]) -> int:
    """The length of the file that ``torch.save`` writes for float32 entries of these shapes."""
    file = io.BytesIO()
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, file)
    return file.tell()


def operations(network: nn.Module, *, videos: int = 16) -> dict[str, int]:
    """Multiplications and additions of one forward pass, by module.

    Matrix products alone, two operations for each product of two numbers; softmaxes, norms and
    activations are not counted. The frames of a second are averaged beforehand.

    Args:
        network: on the CPU; it is left in evaluation mode.
        videos: B.
    """
    inputs = (
        torch.zeros(videos, SEGMENTS, size) for size in (AUDIO_SIZE, VISUAL_2D_SIZE, VISUAL_3D_SIZE)
    )
    network.eval()
    # The fused attention of a processor is not known to the counter; matrix products are.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs)
    whole, *_ = (name for name in counter.get_flop_counts() if "." not in name and name != "Global")
    counts = {
        name.removeprefix(f"{whole}."): sum(products.values())
        for name, products in counter.get_flop_counts().items()
        if name.count(".") == 1 and name.startswith(f"{whole}.")
    }
    missing = counter.get_total_flops() - sum(counts.values())
    return counts | ({"between modules": missing} if missing else {})


def attention_operations(queries: int, sources: int, width: int) -> int:
    """Four projections, then every query meets every source twice: to compare, and to read."""
    projections = 2 * width**2 * (2 * queries + 2 * sources)
    return projections + 4 * queries * sources * width


def feed_forward_operations(rows: int, width: int, hidden: int) -> int:
    """Two matrix products, each with two operations a row and weight."""
    return 4 * rows * width * hidden


def encoder_operations(length: int, width: int = 128) -> int:
    """A transformer block of MGN, on a sequence."""
    hidden = EXPANSION * width
    return attention_operations(length, length, width) + feed_forward_operations(
        length, width, hidden
    )


def grouping_operations(tokens: int, elements: int, width: int = 128) -> int:
    """A grouping block of MGN: mix the tokens, read, assign, and two feed-forward blocks."""
    meet = attention_operations(tokens, elements, width)  # the same count to read and to assign
    forward = feed_forward_operations(tokens, width, EXPANSION * width)
    return feed_forward_operations(width, tokens, MIXED) + 2 * meet + 2 * forward


def front_end_operations(width: int) -> int:
    """As :func:`front_end`, once a second."""
    return 2 * SEGMENTS * width * (AUDIO_SIZE + VISUAL_2D_SIZE + VISUAL_3D_SIZE + 2 * width)


def predicted_operations_mgn(
    depths: Sequence[int] = (3, 3, 6), width: int = 128, *, videos: int = 16
) -> dict[str, int]:
    """What :func:`operations` counts in MGN, by module.

    Args:
        depths, width: as in :func:`predicted_mgn`.
        videos: B.
    """
    audio, visual, across = depths
    one_modality = encoder_operations(SEGMENTS + CLASSES, width)
    probability = 2 * CLASSES * width
    each = {
        "front_end": front_end_operations(width),
        "audio_encoder": audio * one_modality,
        "visual_encoder": visual * one_modality,
        "segment_grouping": grouping_operations(SEGMENTS, SEGMENTS, width),
        "audio_grouping": grouping_operations(CLASSES, SEGMENTS, width),
        "visual_grouping": grouping_operations(CLASSES, SEGMENTS, width),
        "cross_modal_encoder": across * encoder_operations(2 * CLASSES, width),
        "cross_modal_grouping": grouping_operations(CLASSES, CLASSES, width),
        "video_classifier": probability,
        "audio_classifier": probability,
        "visual_classifier": probability,
        "between modules": 2 * SEGMENTS**2 * width,  # the similarity that contrast is taken from
    }
    # The tokens themselves are classified, once a batch.
    return {name: videos * count for name, count in each.items()} | {
        "token_classifier": 2 * 2 * CLASSES * width * CLASSES
    }


def predicted_operations_han(width: int = 512, *, videos: int = 16) -> dict[str, int]:
    """What :func:`operations` counts in HAN, by module."""
    layer = 2 * attention_operations(SEGMENTS, SEGMENTS, width)
    layer += feed_forward_operations(SEGMENTS, width, width)
    each = {
        "front_end": front_end_operations(width),
        "hybrid_attention": 2 * layer,  # one layer, called for sound and for the image
        "pooling": 3 * 2 * (2 * SEGMENTS) * width * CLASSES,
        "between modules": 2 * SEGMENTS**2 * width,
    }
    return {name: videos * count for name, count in each.items()}


def operations_of_frames(width: int, *, videos: int = 16) -> int:
    """What a release does on top: it projects every frame of a second, and then averages them."""
    frames = videos * SEGMENTS * (FRAMES_A_SEGMENT - 1)
    return 2 * frames * VISUAL_2D_SIZE * width


def rounded_up(size: int, unit: float) -> int:
    """A size in whole units, rounded up, as ``ls -h`` shows the size of a file."""
    return math.ceil(size / unit)
