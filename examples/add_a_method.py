"""A method of your own in a page: the most certain second of a video speaks for the video."""

import sys

import torch
from torch import Tensor, nn

from avvp import Parsing
from avvp.events import CLASSES
from avvp.experiments import PROFILES, REGISTRY, Experiment, run
from avvp.models import MODELS


class MaxPooling(nn.Module):
    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.audio = nn.Sequential(nn.Linear(128, width), nn.ReLU(), nn.Linear(width, CLASSES))
        self.visual = nn.Sequential(nn.Linear(2560, width), nn.ReLU(), nn.Linear(width, CLASSES))

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        heard = self.audio(audio).sigmoid()  # (B, T, C): every second, every class
        seen = self.visual(torch.cat([visual_2d, visual_3d], dim=-1)).sigmoid()
        audio_video, visual_video = heard.amax(dim=1), seen.amax(dim=1)  # (B, C)
        video = torch.maximum(audio_video, visual_video)
        return Parsing(video, audio_video, visual_video, heard, seen, extras={})


MODELS["max"] = MaxPooling
REGISTRY["mine/max"] = Experiment("mine/max", "Max pooling", model="max", options={"width": 256})

if __name__ == "__main__":
    profile = PROFILES[sys.argv[1] if len(sys.argv) > 1 else "quick"]
    for metric, score in run(REGISTRY["mine/max"], profile=profile).metrics.items():
        print(f"{metric:22} {score:5.1f}")
