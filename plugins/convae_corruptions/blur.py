"""Gaussian blur."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from convae_corruptions.spans import Span, draw

_REACH = 4  # standard deviations, as in scipy
_SMALLEST = 0.05  # pixels; below it the kernel is a single pixel


class Blur:
    """Convolves images with a Gaussian; beyond the border the outermost pixels are repeated.

    Args:
        sigma: standard deviation in pixels.
    """

    def __init__(self, sigma: Span = 1.0) -> None:
        self.sigma = sigma
        largest = sigma[1] if isinstance(sigma, tuple) else sigma
        self.radius = math.ceil(_REACH * largest)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Corrupt images N×C×H×W in units of 255; float32 of the same shape."""
        count, channels, height, width = images.shape
        sigma = draw(self.sigma, images, generator).reshape(-1, 1).clamp(min=_SMALLEST)
        offsets = torch.arange(-self.radius, self.radius + 1, device=images.device)
        kernel = (-0.5 * (offsets / sigma).square()).exp()
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
        planes = images.float().reshape(1, count * channels, height, width)
        planes = functional.pad(planes, (self.radius,) * 4, mode="replicate")
        for weight in (kernel[:, None, :, None], kernel[:, None, None, :]):
            planes = functional.conv2d(planes, weight, groups=count * channels)
        return planes.reshape(images.shape)
