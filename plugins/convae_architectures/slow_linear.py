"""A linear layer that an adaptive optimiser moves more slowly than other layers."""

import torch
from torch import Tensor, nn


class SlowLinear(nn.Linear):
    """Vectors N×in_features to N×out_features: slowness · (x·weightᵀ + bias).

    Adam's steps have one size for all weights. A size that suits fresh layers is too large for
    principal components, which need only small corrections. `weight` holds the matrix divided by
    `slowness`, so a step of the same size changes the matrix by `slowness` times as much.
    """

    slowness = 0.1

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors N×in_features to N×out_features."""
        return super().forward(x) * self.slowness

    @torch.no_grad()
    def set(self, matrix: Tensor, offset: Tensor) -> None:
        """Set the layer to x·matrixᵀ + offset; matrix out_features×in_features."""
        self.weight.copy_(matrix / self.slowness)
        self.bias.copy_(offset / self.slowness)

    @torch.no_grad()
    def matrix(self) -> Tensor:
        """Return the matrix that the layer multiplies by, out_features×in_features."""
        return self.weight * self.slowness
