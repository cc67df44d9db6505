"""What both parts of the U-Net use."""

from torch import Tensor, nn

from convae_zoo.layers import he_normal_, lecun_normal_


class PlainBlock(nn.Module):
    """Features N×C×H×W to the same shape: x + conv(relu(conv(x))), without norm and bias.

    The second convolution starts at zero: a fresh block is the identity.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        he_normal_(self.first)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map features N×C×H×W to the same shape."""
        out: Tensor = x + self.second(self.first(x).relu())
        return out


def blocks(count: int, channels: int) -> nn.Sequential:
    """Stack residual blocks."""
    return nn.Sequential(*(PlainBlock(channels) for _ in range(count)))


def linear_conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution without bias and with no activation after it."""
    padding = kernel // 2 if kernel % 2 else 0
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
    lecun_normal_(layer)
    return layer
