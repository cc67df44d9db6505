"""Salt-and-pepper noise."""

import torch
from torch import Generator, Tensor

from convae_corruptions.spans import Span, draw


class SaltAndPepper:
    """Turns random pixels black or white, in all channels, each with the same probability.

    Args:
        share: probability that a pixel is changed.
    """

    def __init__(self, share: Span = 0.1) -> None:
        self.share = share

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Corrupt images N×C×H×W in units of 255; the same shape and dtype."""
        share = draw(self.share, images, generator)
        shape = (len(images), 1, *images.shape[2:])
        unit = torch.rand(shape, device=images.device, generator=generator)
        return images.masked_fill(unit < share / 2, 0).masked_fill(unit >= 1 - share / 2, 255)
