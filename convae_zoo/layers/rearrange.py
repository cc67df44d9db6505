"""Memory layouts of features, and copies between them that move several values at once."""

from collections.abc import Callable

import torch
from torch import Tensor

IMAGES = 4
"""Dimensions of a batch N×C×H×W."""

_WIDE = {4: torch.int32, 8: torch.int64, 16: torch.complex128}
"""A dtype by its bytes, for values that stay side by side in a copy."""


def is_channels_last(x: Tensor) -> bool:
    """Return whether the channels of each pixel of a batch N×C×H×W lie side by side."""
    return (
        x.ndim == IMAGES and x.is_contiguous(memory_format=torch.channels_last) and x.stride(1) == 1
    )


def to_channels_last(x: Tensor) -> Tensor:
    """Copy a batch N×C×H×W to channels_last, unless it has that layout.

    With one channel both layouts have the same order; the strides then tell oneDNN which is meant.
    """
    images, channels, height, width = x.shape
    if channels == 1:
        strides = (height * width, 1, width, 1)
        return x.contiguous().as_strided((images, channels, height, width), strides)
    return x.contiguous(memory_format=torch.channels_last)


def flattened(x: Tensor) -> Tensor:
    """Flatten a batch in channels_last, N×C×H×W, to N×HWC without a copy."""
    return x.permute(0, 2, 3, 1).flatten(1)


def unflatten(channels: int, height: int, width: int) -> Callable[[Tensor], Tensor]:
    """Return the inverse of `flattened`, without a copy."""

    def unflattened(x: Tensor) -> Tensor:
        return x.view(-1, height, width, channels).permute(0, 3, 1, 2)

    return unflattened


def pixel_unshuffle(factor: int, x: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Return a pixel unshuffle of contiguous batches to channels_last; None if `x` is none."""
    wide = _WIDE.get(factor * x.element_size())
    if wide is None or x.ndim != IMAGES or not x.is_contiguous():
        return None

    def unshuffled(x: Tensor) -> Tensor:
        images, channels, height, width = x.shape
        rows = x.view(images, channels, height // factor, factor, width).view(wide)
        pixels = rows.permute(0, 2, 4, 1, 3).flatten(3)
        return pixels.contiguous().view(x.dtype).permute(0, 3, 1, 2)

    return unshuffled


def pixel_shuffle(factor: int, x: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Return a pixel shuffle of channels_last batches to contiguous; None if `x` is none."""
    wide = _WIDE.get(factor * x.element_size())
    if wide is None or not is_channels_last(x):
        return None

    def shuffled(x: Tensor) -> Tensor:
        images, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).view(wide)
        pixels = pixels.view(images, height, width, channels // factor**2, factor)
        rows = pixels.permute(0, 3, 1, 4, 2).reshape(images, -1, height * factor, width)
        return rows.view(x.dtype)

    return shuffled
