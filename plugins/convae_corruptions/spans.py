"""A strength that is the same for all images, or drawn from a range for each."""

import torch
from torch import Generator, Tensor

Span = float | tuple[float, float]
"""A number, or the (low, high) of a uniform distribution."""


def draw(span: Span, images: Tensor, generator: Generator) -> Tensor:
    """Return one value per image, float32 N×1×1×1; a number takes nothing from the generator."""
    shape = (len(images), 1, 1, 1)
    if not isinstance(span, tuple):
        return torch.full(shape, float(span), dtype=torch.float32, device=images.device)
    low, high = span
    unit = torch.rand(shape, dtype=torch.float32, device=images.device, generator=generator)
    return low + (high - low) * unit
