"""Maps of an image's pixels: smoothing, and the score of a map."""

import math

import torch
from torch import Tensor
from torch.nn import functional

CUT = 4
"""A Gaussian ends after so many standard deviations."""


def smooth(maps: Tensor, deviation: float, radius: int | None = None) -> Tensor:
    """Smooth N×C×H×W with a Gaussian; the edges are mirrored.

    Args:
        maps: float.
        deviation: the Gaussian's standard deviation in pixels; 0 leaves the maps as they are.
        radius: pixels to each side of the middle; by default four deviations.
    """
    if deviation == 0:
        return maps
    radius = math.ceil(CUT * deviation) if radius is None else radius
    for axis in (2, 3):
        reach = min(radius, maps.shape[axis] - 1)  # a mirror shows no more than the image
        steps = torch.arange(-reach, reach + 1, dtype=maps.dtype, device=maps.device)
        kernel = (-(steps**2) / (2 * deviation**2)).exp()
        kernel = (kernel / kernel.sum()).view(1, 1, *((-1, 1) if axis == 2 else (1, -1)))  # noqa: PLR2004 - rows
        edges = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)  # noqa: PLR2004 - rows
        padded = functional.pad(maps.flatten(0, 1)[:, None], edges, mode="reflect")
        maps = functional.conv2d(padded, kernel).view_as(maps)
    return maps


def mean_of_highest(maps: Tensor, top: float) -> Tensor:
    """Return the mean of each map's highest pixels: N×H×W to N.

    Args:
        maps: float.
        top: the fraction of pixels, above 0 to 1; at least one pixel is taken.
    """
    pixels = maps.flatten(1)
    if top == 1:
        return pixels.mean(dim=1)
    count = max(1, round(top * pixels.shape[1]))
    return pixels.topk(count, dim=1, sorted=False).values.mean(dim=1)
