"""What VGGish hears: a log-mel picture of every second, and the network that reads it."""

import numpy as np
import torch
from torch import Tensor, nn

from avvp.events import SEGMENTS
from avvp.extraction.clips import SAMPLE_RATE

BANDS = 64
FRAMES = 96
"""Mel bands and 10 ms frames of the picture of one second."""

_WINDOW = 400  # samples: 25 ms
_HOP = 160  # 10 ms
_FFT = 512
_LOWEST, _HIGHEST = 125.0, 7500.0  # Hz
_OFFSET = 0.01


def mel(frequency: np.ndarray | float) -> np.ndarray:
    """Hertz to mel: 1127 ln(1 + f / 700)."""
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def mel_weights() -> np.ndarray:
    """(257, 64): how much of each frequency bin goes into each band.

    The bands are triangles of height 1 over equal steps in mel between 125 and 7500 Hz, their sides
    straight in mel. The bin of 0 Hz counts in none.
    """
    bins = mel(np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1))[:, None]
    edges = np.linspace(mel(_LOWEST), mel(_HIGHEST), BANDS + 2)
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle))
    weights = weights.clip(min=0)
    weights[0] = 0
    return weights


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Logarithm of the mel spectrum of every complete frame: (N,) samples at 16 kHz -> (n, 64).

    Frames of 25 ms every 10 ms, a periodic Hann window, the magnitude (not the power) of an FFT of
    length 512, 64 mel bands, ln(x + 0.01): n = 1 + (N - 400) // 160, 98 for a second.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    spectrum = np.abs(np.fft.rfft(frames * window, _FFT))
    return np.log(spectrum @ mel_weights() + _OFFSET)


def examples(sound: np.ndarray) -> Tensor:
    """What VGGish is given, each second on its own: (160000,) -> (10, 1, 96, 64), float32."""
    seconds = sound.astype(np.float64).reshape(SEGMENTS, SAMPLE_RATE)
    pictures = np.stack([log_mel(second)[:FRAMES] for second in seconds])
    return torch.from_numpy(pictures.astype(np.float32))[:, None]


class VGGish(nn.Module):
    """VGGish with its last ReLU, and neither PCA nor quantisation: (N, 1, 96, 64) -> (N, 128).

    The parameters have the names of the published PyTorch port, torchvggish: ``features.0``, ``3``,
    ``6``, ``8``, ``11``, ``13`` are the convolutions (TensorFlow: conv1, conv2, conv3_1, conv3_2,
    conv4_1, conv4_2), ``embeddings.0``, ``2``, ``4`` the dense layers (fc1_1, fc1_2, fc2).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for block in ((64,), (128,), (256, 256), (512, 512)):
            for width in block:
                layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(kernel_size=2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(6 * 4 * 512, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 128),
            nn.ReLU(),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Embeddings of log-mel pictures: (N, 1, 96, 64) -> (N, 128)."""
        # Flattened in TensorFlow's order: time, band, channel.
        return self.embeddings(self.features(pictures).permute(0, 2, 3, 1).flatten(1))
