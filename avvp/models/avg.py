"""AVG: one transformer over all seconds of sound and sight (Cross-Modal learning, Sec. 3.2).

The encoder follows UNITER (Chen et al., ECCV 2020): every second of every feature stream is a
token, and every token reads all others. It is pre-trained to ground sound in sight
(:mod:`avvp.grounding`) and fine-tuned to parse. Shapes: B videos, T = 10 segments, D hidden
channels; the 30 tokens are 2D visual, audio, 3D visual, ten each, in this order.
"""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from avvp.errors import AvvpError
from avvp.events import SEGMENTS, Parsing
from avvp.models.layers import (
    AUDIO_SIZE,
    VISUAL_2D_SIZE,
    VISUAL_3D_SIZE,
    MMILPooling,
    pool_frames,
    segment_similarity,
)

Positions = Literal["noise", "sinusoid"]

NORM_EPS = 1e-12
INITIAL = 0.02
"""Standard deviation of every initial weight of the encoder."""
VISUAL, AUDITORY = 0, 1
"""Token types. The release gives the 3D stream the type of sound."""


def sinusoid(hidden: int) -> Tensor:
    """The position table (T, D) that the release builds, and then overwrites with noise.

    Channel i of position p is sin(p / 10000^(2 i / D)) for even i, cos of the same for odd i: the
    exponent is twice the usual one, and sine and cosine never share a frequency.
    """
    channel = torch.arange(hidden, dtype=torch.float64)
    angle = torch.arange(SEGMENTS)[:, None] / 10_000 ** (2 * channel / hidden)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()


class StreamEmbedding(nn.Module):
    """Turn the features of one stream into tokens: what, when, and of which type."""

    def __init__(self, size: int, hidden: int, *, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(size, hidden)
        # The release chooses row 1 of this table for every second that is not masked, and masks
        # none; row 0, for masked ones, is set to zero at each forward pass.
        self.mask_embedding = nn.Parameter(torch.empty(2, size))
        self.register_buffer("positions", torch.empty(SEGMENTS, hidden))  # never trained
        self.norm_features = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.norm = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, token_type: Tensor) -> Tensor:
        """``features`` (B, T, size) and one type (D,) -> tokens (B, T, D)."""
        x = self.norm_features(self.linear(features + self.mask_embedding[1]))
        return self.dropout(self.norm(x + self.positions + token_type))


class EncoderLayer(nn.Module):
    """Multi-headed self-attention and a feed-forward block, each followed by a layer norm."""

    def __init__(self, hidden: int, intermediate: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.out_projection = nn.Linear(hidden, hidden)
        self.norm_attention = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.expand = nn.Linear(hidden, intermediate)
        self.contract = nn.Linear(intermediate, hidden)
        self.norm_feed_forward = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, readable: Tensor | None = None) -> Tensor:
        """``x`` (B, S, D) -> (B, S, D); ``readable`` (1, S) bool: the tokens that may be read."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, S, D / heads)
            for project in (self.query, self.key, self.value)
        )
        # In float32 also under autocast: in bfloat16 its gradient takes a processor ten times as
        # long.
        with torch.autocast(x.device.type, enabled=False):
            wide = torch.promote_types(q.dtype, torch.float32)
            context = functional.scaled_dot_product_attention(
                q.to(wide),
                k.to(wide),
                v.to(wide),
                attn_mask=readable,
                dropout_p=self.dropout.p if self.training else 0.0,
            )
        context = context.transpose(1, 2).flatten(2)
        x = self.norm_attention(x + self.dropout(self.out_projection(context)))
        hidden = functional.gelu(self.expand(x))
        return self.norm_feed_forward(x + self.dropout(self.contract(hidden)))


class Tokens(NamedTuple):
    """The encoder's output by stream, each (B, T, D)."""

    visual_2d: Tensor
    audio: Tensor
    visual_3d: Tensor | None


class AVG(nn.Module):
    """The network of the rows "Pretrain", before and after pre-training.

    Args:
        hidden: D, channels of a token; the release has 1024.
        layers: of the encoder; the release has 12.
        intermediate: hidden size of the feed-forward blocks.
        heads: of the attention; they share the channels evenly.
        dropout: of attention weights and read-outs. The release pre-trains with 0.1 and fine-tunes
            without, because its network stays in evaluation mode.
        positions: ``"noise"``: frozen random position tables, as released, where the initialisation
            of all weights overwrites the sinusoid; ``"sinusoid"``: what was meant.
        width: of the features that are pooled.

    Raises:
        AvvpError: heads do not divide the channels, or another kind of positions.
    """

    def __init__(
        self,
        *,
        hidden: int = 1024,
        layers: int = 12,
        intermediate: int = 3072,
        heads: int = 8,
        dropout: float = 0.0,
        positions: Positions = "noise",
        width: int = 512,
    ) -> None:
        super().__init__()
        if hidden % heads:
            raise AvvpError(f"hidden is {hidden}; it must be a multiple of heads, {heads}.")
        if positions not in get_args(Positions):
            raise AvvpError(f"positions is {positions!r}; it must be 'noise' or 'sinusoid'.")
        self.visual_2d = StreamEmbedding(VISUAL_2D_SIZE, hidden, dropout=dropout)
        self.visual_3d = StreamEmbedding(VISUAL_3D_SIZE, hidden, dropout=dropout)
        self.audio = StreamEmbedding(AUDIO_SIZE, hidden, dropout=dropout)
        self.token_types = nn.Parameter(torch.empty(2, hidden))
        self.layers = nn.ModuleList(
            EncoderLayer(hidden, intermediate, heads=heads, dropout=dropout) for _ in range(layers)
        )
        self._initialise(positions, hidden)
        self.read_audio = nn.Linear(hidden, width)
        self.read_visual_2d = nn.Linear(hidden, width)
        self.read_visual_3d = nn.Linear(hidden, width)
        self.fusion = nn.Linear(2 * width, width)
        self.pooling = MMILPooling(width)

    def _initialise(self, positions: Positions, hidden: int) -> None:
        nn.init.normal_(self.token_types, std=INITIAL)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INITIAL)
                nn.init.zeros_(module.bias)
            elif isinstance(module, StreamEmbedding):
                nn.init.normal_(module.mask_embedding, std=INITIAL)
                nn.init.normal_(module.positions, std=INITIAL)
                if positions == "sinusoid":
                    module.positions.copy_(sinusoid(hidden))

    def tokens(
        self,
        audio: Tensor,
        visual_2d: Tensor,
        visual_3d: Tensor | None,
        *,
        hide_visual_3d: bool = False,
    ) -> Tokens:
        """Encode B videos.

        Args:
            audio: (B, T, 128).
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512); None leaves the stream out, which gives the other two exactly
                what hiding it gives them, for two thirds of the work.
            hide_visual_3d: no token may read the 3D tokens, which still read all others: the
                release pre-trains so, with zeros for features.
        """
        streams = [
            self.visual_2d(pool_frames(visual_2d), self.token_types[VISUAL]),
            self.audio(audio, self.token_types[AUDITORY]),
        ]
        readable = None
        if visual_3d is not None:
            streams.append(self.visual_3d(visual_3d, self.token_types[AUDITORY]))
            if hide_visual_3d:
                readable = torch.arange(3 * SEGMENTS, device=audio.device)[None] < 2 * SEGMENTS
        x = torch.cat(streams, dim=1)
        for layer in self.layers:
            x = layer(x, readable)
        parts = x.split(SEGMENTS, dim=1)
        return Tokens(parts[0], parts[1], parts[2] if visual_3d is not None else None)

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos; arguments as in :meth:`avvp.models.han.HAN.forward`."""
        tokens = self.tokens(audio, visual_2d, visual_3d)
        spatial = self.read_visual_2d(tokens.visual_2d)
        motion = self.read_visual_3d(tokens.visual_3d)
        seen = self.fusion(torch.cat([spatial, motion], dim=-1))
        return self.pooling(self.read_audio(tokens.audio), seen).parsing(
            # (B, T, T), rows: sound, columns: sight; what grounding across modalities trains.
            similarity=segment_similarity(tokens.audio, tokens.visual_2d)
        )
