"""CMCS, which sees only: several branches for one action (Liu, Jiang and Wang, CVPR 2019)."""

import torch
from torch import Tensor, nn

from avvp.events import CLASSES, Parsing, of_one_modality
from avvp.models.layers import VISUAL_2D_SIZE, VISUAL_3D_SIZE, pool_frames


class CMCS(nn.Module):
    """Completeness modelling and context separation.

    The method's: dropped feature channels, a shared convolution, K classifying branches whose
    scores are averaged and which the loss keeps apart, and a softmax over time as attention. Ours:
    sigmoids in place of a softmax over classes, since events of LLP overlap; and no background
    class, since it is learnt from clips without motion that the method makes of the raw video.
    What is left is the modelling of completeness.

    Args:
        branches: how many, K.
        base: channels of the shared convolution.
        width: channels of a branch, and of the attention.
        dropout: share of the feature channels that is dropped for a whole video.
    """

    def __init__(
        self, *, branches: int = 4, base: int = 32, width: int = 16, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout1d(dropout)
        self.base = nn.Conv1d(VISUAL_2D_SIZE + VISUAL_3D_SIZE, base, kernel_size=1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(base, width, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Conv1d(width, CLASSES, kernel_size=1),
            )
            for _ in range(branches)
        )
        self.attention = nn.Sequential(
            nn.Conv1d(base, width, kernel_size=1), nn.ReLU(), nn.Conv1d(width, 1, kernel_size=1)
        )

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse the image of B videos; the sound is not listened to.

        Args:
            audio: of no account.
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512).
        """
        seen = torch.cat([pool_frames(visual_2d), visual_3d], dim=-1).transpose(1, 2)
        shared = self.base(self.dropout(seen)).relu()  # (B, base, T)
        branches = torch.stack([branch(shared) for branch in self.branches], dim=1).float()
        branches = branches.transpose(2, 3)  # (B, K, T, C)
        score = branches.mean(dim=1)  # (B, T, C)
        attention = self.attention(shared).squeeze(1).float().softmax(dim=-1)  # (B, T)
        video = (attention.unsqueeze(-1) * score).sum(dim=1).sigmoid()  # (B, C)
        extras = {"attention": attention, "branches": branches}
        return of_one_modality("visual", video, score.sigmoid(), extras)
