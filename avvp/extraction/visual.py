"""What the two visual networks see of the 80 frames of a clip."""

import io
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

from avvp.data.features import FRAMES_PER_SECOND

# Pillow's bilinear filter is what Resize takes for images of Pillow.
_FRAME = Compose(
    [
        Resize(256),  # the shorter side
        CenterCrop(224),
        ToTensor(),
        Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)
_SMALL_FRAME = Compose(
    [
        Resize((112, 112)),  # whatever the shape was
        ToTensor(),
        Normalize((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    ]
)


def decode(files: Sequence[bytes]) -> list[Image.Image]:
    """The images in JPEG files, RGB."""
    return [Image.open(io.BytesIO(file)).convert("RGB") for file in files]


def frames(images: Sequence[Image.Image]) -> Tensor:
    """What ResNet-152 is given: (80, 3, 224, 224), the shorter side 256, the middle cut out."""
    return torch.stack([_FRAME(image) for image in images])


def stretches(images: Sequence[Image.Image]) -> Tensor:
    """What R(2+1)D-18 is given: (10, 3, 8, 112, 112), the frames of each second, whole."""
    small = torch.stack([_SMALL_FRAME(image) for image in images])
    return small.unflatten(0, (-1, FRAMES_PER_SECOND)).transpose(1, 2).contiguous()
