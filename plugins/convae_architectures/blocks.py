"""The residual block, and the trunks made of it."""

import math

from torch import Tensor, nn

_ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU}
_GROUP = 8


def make_activation(name: str) -> nn.Module:
    """Make the activation of that name."""
    return _ACTIVATIONS[name]()


def make_norm(name: str, channels: int) -> nn.Module:
    """Make a norm that treats every image alone: ``none``, or ``group`` of about 8 channels."""
    if name == "none":
        return nn.Identity()
    return nn.GroupNorm(math.gcd(channels, max(1, channels // _GROUP)), channels)


def start(module: nn.Module) -> None:
    """Set a layer's start values: weights He-normal for the inputs of a unit, biases zero."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def start_linear(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Start a layer that no activation follows: the variance of its inputs times gain²."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))


class ResidualBlock(nn.Module):
    """Features N×C×H×W to the same shape: x + conv(act(norm(conv(act(norm(x)))))).

    The second convolution starts at zero, so that a fresh block is the identity and a stack of
    them needs no norm to begin with (https://arxiv.org/abs/1901.09321).

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
        self.branch.apply(start)
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

    Every halving moves pixels into channels (space to depth), so that no convolution works at
    full resolution and none throws positions away.

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
            start(layer)
            start_linear(layer)


class Up(nn.Sequential):
    """Features N×2w×S/4×S/4 to images N×C×S×S; no activation on the last layer.

    Every doubling is a sub-pixel one: channels are moved into pixels
    (https://arxiv.org/abs/1609.05158).

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
            start(layer)
            start_linear(layer)
