"""Parts that several models share: the front end, one-headed attention, MMIL pooling."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from avvp.devices import on_gpu
from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS, Parsing

AUDIO_SIZE = 128
VISUAL_2D_SIZE = 2048
VISUAL_3D_SIZE = 512
FRAMES_A_SEGMENT = 8


def pool_frames(visual_2d: Tensor) -> Tensor:
    """Average the 8 frames of each second: (B, 8T, 2048) -> (B, T, 2048).

    Pooled features pass through. Averaging before a linear layer equals averaging after it, at an
    eighth of the work.

    Raises:
        AvvpError: a video has neither T nor 8T rows.
    """
    steps = visual_2d.shape[1]
    if steps == SEGMENTS:
        return visual_2d
    if steps == SEGMENTS * FRAMES_A_SEGMENT:
        return visual_2d.unflatten(1, (SEGMENTS, FRAMES_A_SEGMENT)).mean(2)
    raise AvvpError(
        f"visual_2d has {steps} rows a video; expected {SEGMENTS} (pooled) or "
        f"{SEGMENTS * FRAMES_A_SEGMENT} (8 frames a second)."
    )


def widened(x: Tensor) -> Tensor:
    """``x`` (...), on cuda in float32 at least, as what a softmax is taken of.

    There autocast widens it for a network that is trained alone and not for those that are trained
    together. On a processor it does so for neither, and that is how the committed runs were made.
    That spoils Cross-Modal learning at its released rate (chapter 6), so profile full trains it in
    float32.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32)) if on_gpu(x.device) else x


def recur(layer: nn.RNNBase, sequence: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    """Run a recurrent layer over ``sequence`` (B, T, D), on cuda in float32 also under autocast.

    There cuDNN would compute it in float16, whatever autocast is told, and nothing scales the
    gradients for so small a range. A processor does in bfloat16 what it is told to.

    Args:
        layer: batch first.
        sequence: what it reads.
        state: what it starts from, as the layer takes it; None: zeros.

    Returns:
        what the layer returns.
    """
    if not on_gpu(sequence.device):
        return layer(sequence, state)
    with torch.autocast(sequence.device.type, enabled=False):
        return layer(widened(sequence), state)


class Standardise(nn.Module):
    """Bring every feature to mean 0 and variance 1, over the videos and seconds of training.

    Batch normalisation without parameters of its own. All features of LLP have a large common part
    that tells no class from another.
    """

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm1d(size, affine=False) for size in sizes)

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        """Features (B, S, size) each, S rows a video, in the order of the sizes."""
        return tuple(
            norm(x.float().flatten(0, 1)).unflatten(0, x.shape[:2])
            for norm, x in zip(self.norms, features, strict=True)
        )


class FrontEnd(nn.Module):
    """Project both modalities to one width (released_architectures, section 0.2).

    The concatenation puts the 2D features before the 3D ones. No activation follows.
    """

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.audio = nn.Linear(AUDIO_SIZE, width)
        self.visual_2d = nn.Linear(VISUAL_2D_SIZE, width)
        self.visual_3d = nn.Linear(VISUAL_3D_SIZE, width)
        self.fusion = nn.Linear(2 * width, width)

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> tuple[Tensor, Tensor]:
        """Features of both modalities, each (B, T, width)."""
        spatial = self.visual_2d(pool_frames(visual_2d))  # (B, T, D)
        motion = self.visual_3d(visual_3d)  # (B, T, D)
        return self.audio(audio), self.fusion(torch.cat([spatial, motion], dim=-1))


class Attention(nn.Module):
    """Scaled dot-product attention with one head and projections (Eq. 3, MGN; Eq. 1, MA).

    The softmax runs over keys; dropout acts on its weights. One head of the full width, so the
    scale is 1 / sqrt(width).
    """

    def __init__(self, width: int = 512, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.in_projection = nn.Linear(width, 3 * width)  # rows of query, key, value, in this order
        self.out_projection = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        # As torch's own attention starts: one Xavier bound for the stacked matrix, biases 0.
        nn.init.xavier_uniform_(self.in_projection.weight)
        nn.init.zeros_(self.in_projection.bias)
        nn.init.zeros_(self.out_projection.bias)

    def forward(self, query: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Read ``source`` (B, S, D) from ``query`` (B, T, D).

        Returns:
            the read-out (B, T, D) and the attention weights (B, T, S) before dropout.
        """
        width = query.shape[-1]
        weight, bias = self.in_projection.weight, self.in_projection.bias
        if query is source:
            q, k, v = self.in_projection(query).chunk(3, dim=-1)
        else:
            q = nn.functional.linear(query, weight[:width], bias[:width])
            k, v = nn.functional.linear(source, weight[width:], bias[width:]).chunk(2, dim=-1)
        scores = q @ k.transpose(1, 2) * width**-0.5  # (B, T, S)
        attention = widened(scores).softmax(dim=-1)
        return self.out_projection(self.dropout(attention) @ v), attention


def segment_similarity(audio: Tensor, visual: Tensor) -> Tensor:
    """Cosine of every second of sound with every second of vision, in one video.

    Args:
        audio: (B, T, D).
        visual: (B, S, D).

    Returns:
        (B, T, S) in [-1, 1]; norms below 1e-12 count as 1e-12.
    """
    a, v = (nn.functional.normalize(x.float(), dim=-1, eps=1e-12) for x in (audio, visual))
    return (a @ v.transpose(1, 2)).float()


class Pooled(NamedTuple):
    """What MMIL pooling returns; the names follow :class:`avvp.events.Parsing`."""

    video: Tensor  #: (B, C)
    audio: Tensor  #: (B, C)
    visual: Tensor  #: (B, C)
    segment: Tensor  #: (B, T, 2, C), audio first
    over_time: Tensor  #: (B, T, 2, C), sums to 1 over T
    over_modality: Tensor  #: (B, T, 2, C), sums to 1 over the two modalities

    def parsing(self, **extras: Tensor) -> Parsing:
        """The parsing; its extras are the two attentions and ``extras``."""
        weights = {
            "attention_over_time": self.over_time,
            "attention_over_modality": self.over_modality,
        }
        heard, seen = self.segment.unbind(dim=2)
        return Parsing(self.video, self.audio, self.visual, heard, seen, weights | extras)


class MMILPooling(nn.Module):
    """Attentive multimodal multiple-instance pooling (Eq. 5, MGN; HAN-E0 for the classifier).

    Two softmaxes, one over time and one over modalities, taken independently and multiplied: their
    product sums to a number in (0, 2), so the joint probability can exceed 1.
    """

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, CLASSES)
        self.time_attention = nn.Linear(width, CLASSES)
        self.modality_attention = nn.Linear(width, CLASSES)

    def forward(self, audio: Tensor, visual: Tensor) -> Pooled:
        """Pool ``audio`` and ``visual``, each (B, T, D)."""
        both = torch.stack([audio, visual], dim=2)  # (B, T, 2, D)
        # Probabilities and their sums stay in float32 under autocast: a mean of ten rounded
        # probabilities would move decisions at 0.5.
        segment = self.classifier(both).float().sigmoid()
        over_time = self.time_attention(both).float().softmax(dim=1)
        over_modality = self.modality_attention(both).float().softmax(dim=2)
        weighted = over_time * segment  # (B, T, 2, C)
        one_modality = weighted.sum(dim=1)  # (B, 2, C)
        video = (weighted * over_modality).sum(dim=(1, 2))  # (B, C)
        return Pooled(
            video, one_modality[:, 0], one_modality[:, 1], segment, over_time, over_modality
        )
