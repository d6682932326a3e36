"""STPN, which sees only: sparse temporal pooling (Nguyen, Liu, Prasad and Han, CVPR 2018)."""

import torch
from torch import Tensor, nn

from avvp.events import CLASSES, Parsing, of_one_modality
from avvp.models.layers import VISUAL_2D_SIZE, VISUAL_3D_SIZE, pool_frames


class STPN(nn.Module):
    """Sparse temporal pooling network.

    The method's: class-agnostic attention between 0 and 1 for each second, a video vector that is
    the mean of the seconds' features times their attention, one linear layer. A second's score is
    its attention times the sigmoid of its class activation, w_c x_t, without the bias. Ours: the
    features are ResNet and R(2+1)D side by side, where the method has two streams of I3D, and a
    score of a second is left as it is, where the method interpolates it between its segments.

    Args:
        hidden: width of the attention's hidden layer.
    """

    def __init__(self, *, hidden: int = 256) -> None:
        super().__init__()
        width = VISUAL_2D_SIZE + VISUAL_3D_SIZE
        self.attention = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse the image of B videos; the sound is not listened to.

        Args:
            audio: of no account.
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512).
        """
        seen = torch.cat([pool_frames(visual_2d), visual_3d], dim=-1)  # (B, T, 2560)
        attention = self.attention(seen).float().sigmoid()  # (B, T, 1)
        video = self.classifier((attention * seen).mean(dim=1)).float().sigmoid()  # (B, C)
        activation = nn.functional.linear(seen, self.classifier.weight).float()  # (B, T, C)
        segment = attention * activation.sigmoid()
        return of_one_modality("visual", video, segment, {"attention": attention.squeeze(-1)})
