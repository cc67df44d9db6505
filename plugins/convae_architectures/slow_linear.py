"""A linear layer that an adaptive optimiser moves more slowly than the layers beside it."""

import torch
from torch import Tensor, nn


class SlowLinear(nn.Linear):
    """Vectors N×in_features to N×out_features: slowness · (x·weightᵀ + bias).

    Adam's steps are of one size, whatever a weight's: those that suit fresh layers would shake
    principal components, which need small corrections only. Here `weight` holds the matrix
    divided by `slowness`, so that the same step changes the matrix by `slowness` times as much.
    """

    slowness = 0.1

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors N×in_features to N×out_features."""
        return super().forward(x) * self.slowness

    @torch.no_grad()
    def set(self, matrix: Tensor, offset: Tensor) -> None:
        """Make the layer x·matrixᵀ + offset; matrix out_features×in_features."""
        self.weight.copy_(matrix / self.slowness)
        self.bias.copy_(offset / self.slowness)

    @torch.no_grad()
    def matrix(self) -> Tensor:
        """Return the matrix that the layer multiplies by, out_features×in_features."""
        return self.weight * self.slowness
