"""A method of your own: the surest second speaks for the video, and neighbours should agree."""

import sys

import torch
from torch import Tensor, nn

from avvp import Parsing
from avvp.events import CLASSES
from avvp.experiments import REGISTRY, Experiment, get_profile, run
from avvp.losses import Objective
from avvp.models import MODELS


class Surest(nn.Module):
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


class Steady(Objective):
    def terms(self) -> dict:
        return {**super().terms(), "steady": lambda p, _: p.segment_audio.diff(dim=1).abs().mean()}


MODELS["surest"] = Surest
LOSS = Steady({"video": 1.0, "audio": 1.0, "visual": 1.0, "steady": 1.0})
ENTRY = Experiment("mine/surest", "Surest second", model="surest", objective=LOSS)
REGISTRY[ENTRY.name] = ENTRY

if __name__ == "__main__":
    print(run(ENTRY, profile=get_profile(*sys.argv[1:] or ["smoke"])).metrics)
