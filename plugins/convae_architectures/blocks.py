"""Residual blocks, and the trunks built from them."""

import math

from torch import Tensor, nn

from convae_zoo.layers import he_normal_, lecun_normal_, make_activation

_GROUP = 8


def make_norm(name: str, channels: int) -> nn.Module:
    """Make a norm within each image: ``none``, or ``group`` with groups of about 8 channels."""
    if name == "none":
        return nn.Identity()
    return nn.GroupNorm(math.gcd(channels, max(1, channels // _GROUP)), channels)


def init_linear_path(layer: nn.Module) -> None:
    """Set the initial weights of a layer with no activation after it: LeCun-normal, bias 0."""
    # Drawn twice, the first for nothing: so a seed gives the weights that it has always given.
    he_normal_(layer)
    lecun_normal_(layer)


class ResidualBlock(nn.Module):
    """Features N×C×H×W to the same shape: x + conv(act(norm(conv(act(norm(x)))))).

    The second convolution starts at zero: a fresh block is the identity, and a stack of blocks
    trains without a norm (https://arxiv.org/abs/1901.09321).

    Args:
        channels: C.
        activation: name of the activation.
        norm: name of the norm.
    """

    def __init__(self, channels: int, activation: str = "silu", norm: str = "none") -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        self.branch = nn.Sequential(
            make_norm(norm, channels),
            make_activation(activation),
            nn.Conv2d(channels, channels, 3, padding=1),
            make_norm(norm, channels),
            make_activation(activation),
            last,
        )
        self.branch.apply(he_normal_)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map features N×C×H×W to the same shape."""
        out: Tensor = x + self.branch(x)
        return out


class DenseBlock(nn.Module):
    """Vectors N×D to the same shape: x + linear(act(x)); the layer starts at zero.

    Args:
        units: D.
        activation: name of the activation.
    """

    def __init__(self, units: int, activation: str = "silu") -> None:
        super().__init__()
        self.activation = make_activation(activation)
        self.linear = nn.Linear(units, units)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors N×D to the same shape."""
        out: Tensor = x + self.linear(self.activation(x))
        return out


class Down(nn.Sequential):
    """Images N×C×S×S to features N×2w×S/4×S/4; an activation comes last.

    Each halving moves pixels into channels (space to depth): no convolution works at full
    resolution, and none discards positions.

    Args:
        in_channels: C.
        width: w.
        depth: residual blocks at each of the two sizes.
        activation: name of the activation.
        norm: name of the norm.
    """

    def __init__(
        self, in_channels: int, width: int, depth: int, activation: str, norm: str
    ) -> None:
        stem = nn.Conv2d(4 * in_channels, width, 3, padding=1)
        down = nn.Conv2d(4 * width, 2 * width, 1)
        super().__init__(
            nn.PixelUnshuffle(2),
            stem,
            *(ResidualBlock(width, activation, norm) for _ in range(depth)),
            nn.PixelUnshuffle(2),
            down,
            *(ResidualBlock(2 * width, activation, norm) for _ in range(depth)),
            make_norm(norm, 2 * width),
            make_activation(activation),
        )
        for layer in (stem, down):
            init_linear_path(layer)


class Up(nn.Sequential):
    """Features N×2w×S/4×S/4 to images N×C×S×S; no activation on the last layer.

    Each doubling moves channels into pixels (sub-pixel convolution,
    https://arxiv.org/abs/1609.05158).

    Args:
        in_channels: C.
        width: w.
        depth: residual blocks at each of the two sizes.
        activation: name of the activation.
        norm: name of the norm.
    """

    def __init__(
        self, in_channels: int, width: int, depth: int, activation: str, norm: str
    ) -> None:
        up = nn.Conv2d(2 * width, 4 * width, 1)
        last = nn.Conv2d(width, 4 * in_channels, 3, padding=1)
        super().__init__(
            *(ResidualBlock(2 * width, activation, norm) for _ in range(depth)),
            up,
            nn.PixelShuffle(2),
            *(ResidualBlock(width, activation, norm) for _ in range(depth)),
            make_norm(norm, width),
            make_activation(activation),
            last,
            nn.PixelShuffle(2),
        )
        for layer in (up, last):
            init_linear_path(layer)
