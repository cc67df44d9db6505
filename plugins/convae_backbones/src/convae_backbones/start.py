"""Start values: Kaiming-normal before a ReLU, LeCun-normal where none follows, biases zero."""

import math

from torch import nn


def start(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, *, relu: bool) -> None:
    """Set a layer's start values, so that its output has the variance of its input.

    Args:
        layer: a transposed one is counted with the inputs that one of its outputs sees.
        relu: a ReLU follows, which halves the mean square (https://arxiv.org/abs/1502.01852).
    """
    if isinstance(layer, nn.ConvTranspose2d):
        inputs = layer.weight[:, 0].numel() / math.prod(layer.stride)
    else:
        inputs = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=math.sqrt((2 if relu else 1) / inputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
