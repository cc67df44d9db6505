"""The noise of a picture: estimated from it, or added to it."""

from typing import Any

import torch
from skimage import restoration
from torch import Tensor

_SIDE = 1024
"""The estimate looks at the middle of a picture, at most so many pixels high and wide."""

_CLEARLY_LESS = 4
"""How many times less noise in the colours than in the brightness is no chance."""

_SMALLEST = 16
"""A picture with a shorter side says nothing of its noise."""


def estimate_sigma(values: Tensor) -> float:
    """Estimate the standard deviation of Gaussian noise, in units of 255, from 0 to 255.

    Args:
        values: C×H×W in units of 255.

    Source: Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3),
    1994; the median of the finest wavelet coefficients, averaged over channels.
    """
    middle = _middle(values)
    if min(values.shape[1:]) < _SMALLEST or torch.equal(
        middle, middle[:, :1, :1].expand_as(middle)
    ):
        return 0.0
    sigma: Any = restoration.estimate_sigma(  # type: ignore[no-untyped-call]  # scikit-image leaves it untyped
        middle.numpy(), channel_axis=0, average_sigmas=True
    )
    return min(max(0.0, float(sigma)), 255.0)  # 0 for NaN, of a channel without any detail


def add_noise(values: Tensor, sigma: float, seed: int = 0) -> Tensor:
    """Add Gaussian noise, independent in each pixel and channel; float32, not clipped.

    Args:
        values: C×H×W in units of 255.
        sigma: standard deviation in units of 255.
        seed: of the random numbers.
    """
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(seed))
    return noise.mul_(sigma).add_(values)


def is_noise_without_colour(values: Tensor) -> bool:
    """Whether the noise of a picture is about the same in all of its channels.

    It is so in grey pictures, and in JPEG files that store colour at half the resolution.

    Args:
        values: C×H×W with C of 1 or 3.
    """
    if len(values) == 1:
        return True
    red, green, blue = _middle(values)
    brightness, *colours = (  # of unit length: equal where noise is white
        estimate_sigma(axis[None])
        for axis in (
            (red + green + blue) / 3**0.5,
            (red - green) / 2**0.5,
            (red + green - 2 * blue) / 6**0.5,
        )
    )
    return max(colours) < brightness / _CLEARLY_LESS


def _middle(values: Tensor) -> Tensor:
    top, left = (max(0, (side - _SIDE) // 2) for side in values.shape[1:])
    return values[:, top : top + _SIDE, left : left + _SIDE].float()
