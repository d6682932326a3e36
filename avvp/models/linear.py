"""The floor: a linear classifier of each second, averaged over time."""

import torch
from torch import Tensor, nn

from avvp.events import CLASSES, Parsing
from avvp.models.layers import AUDIO_SIZE, VISUAL_2D_SIZE, VISUAL_3D_SIZE, pool_frames


class LinearMeanPooling(nn.Module):
    """A reference row: no attention, no context, one linear layer a modality.

    The probability of a modality is the mean of its ten segment probabilities; that of the video is
    the mean over both. Trained with HAN's loss, and HAN's protocol at ten times the learning rate,
    it says how much of a score the features give away by themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.audio = nn.Linear(AUDIO_SIZE, CLASSES)
        self.visual = nn.Linear(VISUAL_2D_SIZE + VISUAL_3D_SIZE, CLASSES)

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos; arguments as in :meth:`avvp.models.han.HAN.forward`."""
        frames = torch.cat([pool_frames(visual_2d), visual_3d], dim=-1)  # (B, T, 2560)
        segment_audio = self.audio(audio).float().sigmoid()  # (B, T, C)
        segment_visual = self.visual(frames).float().sigmoid()
        heard, seen = segment_audio.mean(1), segment_visual.mean(1)  # (B, C)
        return Parsing((heard + seen) / 2, heard, seen, segment_audio, segment_visual, {})
