"""HAN: hybrid attention, then attentive MMIL pooling (Tian, Li and Xu, ECCV 2020)."""

import torch
from torch import Tensor, nn

from avvp.events import Parsing
from avvp.models.layers import Attention, FrontEnd, MMILPooling, segment_similarity


class HybridAttentionLayer(nn.Module):
    """Each segment reads its own modality and the other one (Eqs. 1-2, MGN; Eqs. 2-3, MA).

    The formula in the papers is a sum of three terms; the release adds dropout, two layer norms and
    a feed-forward block of the same width.
    """

    def __init__(self, width: int = 512, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.cross_attention = Attention(width, dropout=dropout)
        self.self_attention = Attention(width, dropout=dropout)
        self.expand = nn.Linear(width, width)
        self.contract = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, other: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """``query`` and ``other`` (B, T, D) -> (B, T, D) and the two attention maps (B, T, T)."""
        crossed, cross_map = self.cross_attention(query, other)
        within, self_map = self.self_attention(query, query)
        x = self.norm_attention(query + self.dropout(crossed) + self.dropout(within))
        hidden = self.dropout(self.expand(x).relu())
        out = self.norm_feed_forward(x + self.dropout(self.contract(hidden)))
        return out, {"cross": cross_map, "self": self_map}


class HAN(nn.Module):
    """Hybrid attention network.

    One layer with one set of weights serves both modalities, each time on the outputs of the front
    end: the visual stream reads the audio features as they came in, not after attention.

    Args:
        width: of every hidden feature.
        dropout: of the attention weights, the read-outs and the feed-forward block.
    """

    def __init__(self, *, width: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.pooling = MMILPooling(width)
        self.front_end = FrontEnd(width)
        self.hybrid_attention = HybridAttentionLayer(width, dropout=dropout)

    def features(
        self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Features before and after attention, each (B, T, D): audio, visual, audio, visual."""
        a, v = self.front_end(audio, visual_2d, visual_3d)  # (B, T, D) each
        # The weights are shared, so both modalities go through the layer as one batch of 2B.
        both, maps = self.hybrid_attention(torch.cat([a, v]), torch.cat([v, a]))
        a_hat, v_hat = both.chunk(2)
        return a, v, a_hat, v_hat, maps

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos.

        Args:
            audio: (B, T, 128).
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512).
        """
        _, v, a_hat, v_hat, maps = self.features(audio, visual_2d, visual_3d)
        return self.pooling(a_hat, v_hat).parsing(
            attention_self=maps["self"],  # (2B, T, T), audio first
            attention_cross=maps["cross"],
            similarity=segment_similarity(a_hat, v),  # (B, T, T): what MA contrasts, Eq. (8)
        )

    def event_features(
        self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor, heard: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One feature a class of every video, audio and visual: a mean over an event's seconds.

        Args:
            audio, visual_2d, visual_3d: as in :meth:`forward`.
            heard, seen: (B, C, T) bool, the seconds to average the features after attention over.

        Returns:
            two tensors (B, C, D); zeros where a class is on in no second.
        """
        _, _, a_hat, v_hat, _ = self.features(audio, visual_2d, visual_3d)
        averaged = (
            mask.to(x.dtype) @ x / mask.sum(dim=-1, keepdim=True).clamp(min=1)
            for mask, x in ((heard, a_hat), (seen, v_hat))
        )
        return tuple(averaged)
