"""JPEG compression."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from convae_corruptions.spans import Span, draw

_COLOUR = 3


class JPEG:
    """Compresses and decompresses images as JPEG, on the CPU; values are rounded and clipped first.

    Colour is subsampled as usual (4:2:0). Images of other channel counts than three are compressed
    channel by channel.

    Args:
        quality: from 1 to 100, rounded.
    """

    def __init__(self, quality: Span = 20.0) -> None:
        self.quality = quality

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Corrupt images N×C×H×W in units of 255; uint8 of the same shape."""
        qualities = draw(self.quality, images, generator).reshape(-1).round().int().tolist()
        pixels = images
        if images.is_floating_point():
            pixels = images.round().clamp(0, 255).to(torch.uint8)
        step = _COLOUR if images.shape[1] == _COLOUR else 1
        corrupted = [
            torch.cat([_compress(part, quality) for part in image.split(step)])
            for image, quality in zip(pixels.cpu(), qualities, strict=True)
        ]
        return torch.stack(corrupted).to(images.device)


def _compress(image: Tensor, quality: int) -> Tensor:
    """Compress uint8 C×H×W, C of 1 or 3, and decompress it."""
    rows = image.permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(rows if len(image) > 1 else rows[..., 0]).save(file, "JPEG", quality=quality)
    with Image.open(file) as picture:
        return torch.from_numpy(np.array(picture).reshape(rows.shape)).permute(2, 0, 1)
