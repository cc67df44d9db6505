"""Initial weights of a convolution or a linear layer.

Each function takes one layer; ``model.apply(he_normal_)`` takes all of a model. Modules of other
types stay as they are. n is the number of inputs that an output of the layer sees.
"""

import math
from typing import TypeAlias

from torch import nn

Weighted: TypeAlias = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def he_normal_(module: nn.Module) -> None:
    """Draw weights from N(0, 2/n) and set the bias to 0, for a layer before a ReLU or its like.

    The ReLU halves the mean square, which the 2 makes up for (https://arxiv.org/abs/1502.01852).
    """
    if isinstance(module, Weighted):
        _normal(module, 2 / _inputs(module))


def lecun_normal_(module: nn.Module) -> None:
    """Draw weights from N(0, 1/n) and set the bias to 0, for a layer with no activation after it.

    The output has the variance of the input (LeCun et al., "Efficient BackProp", 1998).
    """
    if isinstance(module, Weighted):
        _normal(module, 1 / _inputs(module))


def xavier_uniform_(module: nn.Module, bias: float = 0.0) -> None:
    """Draw weights from the uniform distribution of variance 2/(n + outputs), and set the bias.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.
    """
    if isinstance(module, Weighted):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.constant_(module.bias, bias)


def _inputs(layer: Weighted) -> float:
    if isinstance(layer, nn.ConvTranspose2d):  # an output sees one input in stride²
        return layer.weight[:, 0].numel() / math.prod(layer.stride)
    return layer.weight[0].numel()


def _normal(layer: Weighted, variance: float) -> None:
    nn.init.normal_(layer.weight, std=math.sqrt(variance))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
