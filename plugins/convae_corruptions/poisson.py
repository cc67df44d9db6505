"""Poisson noise, as photons have it."""

import torch
from torch import Generator, Tensor

from convae_corruptions.spans import Span, draw


class Poisson:
    """Replaces each value by a Poisson count of that mean, scaled back.

    Values below black count as black; the result is not clipped at white.

    Args:
        peak: mean count of a white pixel: the lower, the noisier.
    """

    def __init__(self, peak: Span = 30.0) -> None:
        self.peak = peak

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Corrupt images N×C×H×W in units of 255; float32 of the same shape."""
        scale = draw(self.peak, images, generator) / 255
        counts = torch.poisson(images.float().clamp(min=0) * scale, generator=generator)
        return counts.div_(scale)
