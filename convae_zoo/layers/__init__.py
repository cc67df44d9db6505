"""Convolutions that compute what PyTorch's compute, faster; activations and initial weights."""

from convae_zoo.layers.activation import make_activation
from convae_zoo.layers.conv_transpose import ConvTranspose2d
from convae_zoo.layers.init import he_normal_, lecun_normal_, xavier_uniform_
from convae_zoo.layers.sequences import ChainedSequences
from convae_zoo.layers.swap import use_fast_layers

__all__ = [
    "ChainedSequences",
    "ConvTranspose2d",
    "he_normal_",
    "lecun_normal_",
    "make_activation",
    "use_fast_layers",
    "xavier_uniform_",
]
