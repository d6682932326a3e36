"""AVE: the sound says where to look (Tian, Shi, Li, Duan and Xu, ECCV 2018)."""

import torch
from torch import Tensor, nn

from avvp.events import CLASSES, SEGMENTS, Parsing
from avvp.models.layers import (
    AUDIO_SIZE,
    FRAMES_A_SEGMENT,
    VISUAL_2D_SIZE,
    VISUAL_3D_SIZE,
    Standardise,
    pool_frames,
    recur,
)

REGIONS = 49
"""Places of the 7 x 7 feature map that the method looks at; also its attention's hidden width."""


class AudioGuidedAttention(nn.Module):
    """Weigh several views of one second by what is heard in it.

    z_i = w_h tanh(W_v ReLU(U v_i) + W_g ReLU(B a)), a softmax over i, and the weighted mean. U
    comes from outside, because our views differ in size.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heard = nn.Linear(AUDIO_SIZE, width)  # B
        self.of_visual = nn.Linear(width, REGIONS, bias=False)  # W_v
        self.of_audio = nn.Linear(width, REGIONS, bias=False)  # W_g
        self.score = nn.Linear(REGIONS, 1, bias=False)  # w_h

    def forward(self, audio: Tensor, views: Tensor) -> Tensor:
        """Weights of I views, (B, T, I), from ``audio`` (B, T, 128) and ReLU(U v) (B, T, I, D)."""
        guide = self.of_audio(self.heard(audio).relu()).unsqueeze(2)  # (B, T, 1, 49)
        scored = self.score(torch.tanh(self.of_visual(views) + guide)).squeeze(-1)
        return scored.float().softmax(dim=-1)


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, CLASSES))


class AVE(nn.Module):
    """Audio-guided visual attention, one LSTM a modality, a maximum over time.

    The method's: the attention, bidirectional LSTMs over sound and attended image, their states
    side by side through two linear layers, the maximum over the seconds as the video's score.

    Ours, because LLP ships no maps of regions: a second is viewed as its eight ResNet frames, where
    they are at hand, and then as appearance and motion (:meth:`look`). And because LLP asks for
    each modality by itself: two more heads, on the state of either LSTM alone. And because the
    common part of LLP's features, as they are, drives the LSTMs into saturation within an epoch or
    two, after which the image is never learnt: features are standardised.

    Args:
        width: D, of the views that are compared with the sound.
        state: of an LSTM in one direction.
    """

    def __init__(self, *, width: int = 512, state: int = 128) -> None:
        super().__init__()
        self.standardise = Standardise(AUDIO_SIZE, VISUAL_2D_SIZE, VISUAL_3D_SIZE)
        self.appearance = nn.Linear(VISUAL_2D_SIZE, width)  # U
        self.motion = nn.Linear(VISUAL_3D_SIZE, width)
        self.attention = AudioGuidedAttention(width)
        self.listen = nn.LSTM(AUDIO_SIZE, state, batch_first=True, bidirectional=True)
        self.watch = nn.LSTM(width, state, batch_first=True, bidirectional=True)
        self.fused_head = _head(4 * state)
        self.audio_head = _head(2 * state)
        self.visual_head = _head(2 * state)

    def look(
        self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What is seen in each second, given its sound: (B, T, D), and the attention weights.

        Frames are averaged by their weights, then appearance and motion are. Where the frames of a
        second are given as their mean there is nothing to choose among them; eight equal frames
        give the same result.
        """
        weights = {}
        if visual_2d.shape[1] == SEGMENTS * FRAMES_A_SEGMENT:
            frames = visual_2d.unflatten(1, (SEGMENTS, FRAMES_A_SEGMENT))  # (B, T, 8, 2048)
            over_frames = self.attention(audio, self.appearance(frames).relu())  # (B, T, 8)
            visual_2d = torch.einsum("bti,btid->btd", over_frames.to(frames.dtype), frames)
            weights["attention_over_frames"] = over_frames
        appearance = self.appearance(pool_frames(visual_2d))
        views = torch.stack([appearance, self.motion(visual_3d)], dim=2).relu()  # (B, T, 2, D)
        over_views = self.attention(audio, views)  # (B, T, 2)
        weights["attention_over_views"] = over_views
        return torch.einsum("bti,btid->btd", over_views.to(views.dtype), views), weights

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos.

        Args:
            audio: (B, T, 128).
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512).
        """
        audio, visual_2d, visual_3d = self.standardise(audio, visual_2d, visual_3d)
        seen, weights = self.look(audio, visual_2d, visual_3d)
        heard_state, _ = recur(self.listen, audio)  # (B, T, 2 state)
        seen_state, _ = recur(self.watch, seen)
        fused = self.fused_head(torch.cat([heard_state, seen_state], dim=-1))
        segments = [
            logits.float().sigmoid()  # (B, T, C)
            for logits in (fused, self.audio_head(heard_state), self.visual_head(seen_state))
        ]
        return Parsing(*(segment.amax(dim=1) for segment in segments), *segments[1:], weights)
