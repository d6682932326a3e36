"""AVSDN: read both modalities, fuse what was read, write it down (Lin, Li and Wang, 2019)."""

import torch
from torch import Tensor, nn

from avvp.events import CLASSES, Parsing
from avvp.models.layers import (
    AUDIO_SIZE,
    VISUAL_2D_SIZE,
    VISUAL_3D_SIZE,
    Standardise,
    pool_frames,
    recur,
    widened,
)


class ResidualFusion(nn.Module):
    """(tanh(a + m) + tanh(v + m)) / 2 with m = (U_a a + U_v v) / 2; U: two layers with a tanh."""

    def __init__(self, state: int) -> None:
        super().__init__()
        self.of_audio, self.of_visual = (
            nn.Sequential(nn.Linear(state, state), nn.Tanh(), nn.Linear(state, state))
            for _ in range(2)
        )

    def forward(self, audio: Tensor, visual: Tensor) -> Tensor:
        """Fuse two tensors (..., state)."""
        shared = (self.of_audio(audio) + self.of_visual(visual)) / 2
        return ((audio + shared).tanh() + (visual + shared).tanh()) / 2


class AVSDN(nn.Module):
    """Dual-modality sequence-to-sequence network.

    The method's: an encoding LSTM a modality, whose final states are fused and start a decoding
    LSTM over both; in training with weak labels a relevance of each second times the class scores
    of the whole, and the maximum over time.

    Ours, because LLP asks for each modality by itself: two branches that classify each second from
    the encoder's output beside the fused global state, with a maximum over time. One fusion serves
    the hidden and the memory state; the image is ResNet and R(2+1)D side by side; features are
    standardised, for the reason that :class:`avvp.models.ave.AVE` gives.

    Args:
        state: of an LSTM in one direction.
    """

    def __init__(self, *, state: int = 128) -> None:
        super().__init__()
        visual = VISUAL_2D_SIZE + VISUAL_3D_SIZE
        options = {"batch_first": True, "bidirectional": True}
        self.standardise = Standardise(AUDIO_SIZE, VISUAL_2D_SIZE, VISUAL_3D_SIZE)
        self.listen = nn.LSTM(AUDIO_SIZE, state, **options)
        self.watch = nn.LSTM(visual, state, **options)
        self.fusion = ResidualFusion(state)
        self.decoder = nn.LSTM(AUDIO_SIZE + visual, state, **options)
        self.relevance = nn.Linear(2 * state, 1)
        self.classifier = nn.Linear(2 * state, CLASSES)
        self.audio_branch = nn.Linear(4 * state, CLASSES)
        self.visual_branch = nn.Linear(4 * state, CLASSES)

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos.

        Args:
            audio: (B, T, 128).
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512).
        """
        audio, visual_2d, visual_3d = self.standardise(audio, visual_2d, visual_3d)
        images = torch.cat([pool_frames(visual_2d), visual_3d], dim=-1)  # (B, T, 2560)
        # (B, T, 2 state); hidden and memory (2, B, state)
        heard, heard_last = recur(self.listen, audio)
        seen, seen_last = recur(self.watch, images)
        hidden, memory = (
            widened(self.fusion(a.relu(), v.relu()))
            for a, v in zip(heard_last, seen_last, strict=True)
        )
        written, _ = recur(self.decoder, torch.cat([audio, images], dim=-1), (hidden, memory))
        written = written.relu()  # (B, T, 2 state)
        relevance = self.relevance(written).float().sigmoid()  # (B, T, 1)
        whole = self.classifier(written.mean(dim=1)).float()  # (B, C)
        video = (relevance * whole.unsqueeze(1)).amax(dim=1).sigmoid()  # (B, C)

        around = torch.cat([hidden[0], hidden[1]], dim=-1)  # (B, 2 state)
        around = around.unsqueeze(1).expand(-1, heard.shape[1], -1)
        segments = [
            branch(torch.cat([output, around], dim=-1)).float().sigmoid()  # (B, T, C)
            for branch, output in ((self.audio_branch, heard), (self.visual_branch, seen))
        ]
        return Parsing(
            video, *(s.amax(dim=1) for s in segments), *segments, {"relevance": relevance}
        )
