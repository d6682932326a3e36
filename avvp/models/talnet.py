"""TALNet, which hears only: a recurrent tagger with linear softmax pooling (Wang et al., 2019)."""

from torch import Tensor, nn

from avvp.events import CLASSES, Parsing, of_one_modality
from avvp.models.layers import AUDIO_SIZE, recur


def linear_softmax(probability: Tensor) -> Tensor:
    """Pool (B, T, C) over time to (B, C): each second weighs as much as it is sure.

    sum_t y_t^2 / sum_t y_t. Its slope in y_t is (2 y_t - p) / sum y: a second above half the pooled
    probability p is pushed towards the video's label, one below it away from a positive label.
    """
    return probability.square().sum(dim=1) / probability.sum(dim=1).clamp(min=1e-7)


class TALNet(nn.Module):
    """Tagging and localisation network.

    The method's: a bidirectional GRU over the features of the seconds, one sigmoid a class, linear
    softmax pooling. Ours: VGGish features and one linear layer take the place of its ten
    convolutions over the spectrogram, since LLP ships features.

    Args:
        width: of the features that the GRU reads, and of its two directions together.
    """

    def __init__(self, *, width: int = 1024) -> None:
        super().__init__()
        self.embedding = nn.Linear(AUDIO_SIZE, width)
        self.gru = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse the sound of B videos; the image is not looked at.

        Args:
            audio: (B, T, 128).
            visual_2d, visual_3d: of no account.
        """
        context, _ = recur(self.gru, self.embedding(audio).relu())  # (B, T, width)
        segment = self.classifier(context).float().sigmoid()  # (B, T, C)
        return of_one_modality("audio", linear_softmax(segment), segment)
