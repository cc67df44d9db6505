"""Additive white Gaussian noise."""

import torch
from torch import Generator, Tensor

from convae_corruptions.spans import Span, draw


class Gaussian:
    """Adds Gaussian noise, independent in each pixel and channel; the result is not clipped.

    Args:
        sigma: standard deviation in units of 255.
    """

    def __init__(self, sigma: Span = 25.0) -> None:
        self.sigma = sigma

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Corrupt images N×C×H×W in units of 255; float32 of the same shape."""
        return self.with_sigma(images, generator)[0]

    def with_sigma(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Also return the standard deviation of each image's noise, float32 N."""
        sigma = draw(self.sigma, images, generator)
        noise = torch.randn(
            images.shape, dtype=torch.float32, device=images.device, generator=generator
        )
        return noise.mul_(sigma).add_(images), sigma.reshape(-1)
