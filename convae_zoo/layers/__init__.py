"""Layers that compute what PyTorch's compute, faster; and how they get into a model."""

from convae_zoo.layers.conv_transpose import ConvTranspose2d
from convae_zoo.layers.fused import fuse
from convae_zoo.layers.swap import use_fast_layers

__all__ = ["ConvTranspose2d", "fuse", "use_fast_layers"]
