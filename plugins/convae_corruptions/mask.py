"""Masked squares."""

import torch
from torch import Generator, Tensor

from convae_corruptions.spans import Span, draw


class Mask:
    """Turns random squares of a grid black.

    Args:
        share: of the grid's squares; their number is rounded.
        size: side of a square in pixels; those at the right and lower border may be cut.
    """

    def __init__(self, share: Span = 0.25, size: int = 8) -> None:
        self.share, self.size = share, size

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Corrupt images N×C×H×W in units of 255; the same shape and dtype."""
        count, _, height, width = images.shape
        rows, columns = -(-height // self.size), -(-width // self.size)
        share = draw(self.share, images, generator).reshape(-1, 1)
        keys = torch.rand((count, rows * columns), device=images.device, generator=generator)
        rank = keys.argsort(1).argsort(1)
        masked = (rank < (share * (rows * columns)).round()).reshape(count, 1, rows, columns)
        down = torch.arange(height, device=images.device) // self.size
        across = torch.arange(width, device=images.device) // self.size
        return images.masked_fill(masked[:, :, down[:, None], across], 0)
