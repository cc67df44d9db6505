"""The noise of a picture: estimated from it, or added to it."""

from typing import Any

import torch
from skimage import restoration
from torch import Tensor

_SIDE = 1024
"""The estimate looks at the middle of a picture, at most so many pixels high and wide."""

_SMALLEST = 16
"""A picture with a shorter side says nothing of its noise."""


def estimate_sigma(values: Tensor) -> float:
    """Estimate the standard deviation of Gaussian noise, in units of 255, from 0 to 255.

    Args:
        values: C×H×W in units of 255.

    Source: Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3),
    1994; the median of the finest wavelet coefficients, averaged over channels.
    """
    _, height, width = values.shape
    if min(height, width) < _SMALLEST:
        return 0.0
    top, left = (max(0, (side - _SIDE) // 2) for side in (height, width))
    middle = values[:, top : top + _SIDE, left : left + _SIDE].float().numpy()
    sigma: Any = restoration.estimate_sigma(  # type: ignore[no-untyped-call]  # scikit-image leaves it untyped
        middle, channel_axis=0, average_sigmas=True
    )
    return min(max(float(sigma), 0.0), 255.0)


def add_noise(values: Tensor, sigma: float, seed: int = 0) -> Tensor:
    """Add Gaussian noise, independent in each pixel and channel; float32, not clipped.

    Args:
        values: C×H×W in units of 255.
        sigma: standard deviation in units of 255.
        seed: of the random numbers.
    """
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(seed))
    return noise.mul_(sigma).add_(values)
