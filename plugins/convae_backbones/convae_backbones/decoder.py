"""The decoder: VGG-16 (https://arxiv.org/abs/1409.1556, configuration D) in reverse.

Where VGG-16 halves the size after a block, the mirrored block begins with a transposed convolution
that doubles it. Unlike interpolation, this keeps no upsampled copy of the features for the backward
pass, and activations work in place.
"""

from torch import Tensor, nn

from convae_backbones.configs import STRIDE
from convae_zoo.layers import he_normal_, lecun_normal_

BLOCKS = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1,))
"""Output channels of each block's convolutions, as multiples of the width; colours come last."""


class MirrorDecoder(nn.Module):
    """Latents N×latent_dim, or N×(C·S/32·S/32), to images N×3×S×S in no fixed range.

    A linear layer and a ReLU where there is a bottleneck; then thirteen 3×3 convolutions, as many
    as VGG-16 has, of which the first of each block is 4×4, transposed, of stride 2. A ReLU follows
    each but the last. Initial weights: He-normal, the last LeCun-normal; biases zero.

    Args:
        image_size: S, divisible by 32.
        latent_dim: floats of a latent; 0 is no bottleneck.
        channels: C.
        width: channels at full size, 64 in VGG-16.
    """

    def __init__(
        self, image_size: int = 224, latent_dim: int = 0, channels: int = 512, width: int = 64
    ) -> None:
        super().__init__()
        side = image_size // STRIDE
        self.bottleneck: nn.Module = nn.Identity()
        if latent_dim:
            linear = nn.Linear(latent_dim, channels * side**2)
            he_normal_(linear)
            self.bottleneck = nn.Sequential(linear, nn.ReLU(inplace=True))
        self.unflatten = nn.Unflatten(1, (channels, side, side))
        self.conv = nn.Sequential()
        made = channels
        for block in BLOCKS:
            for place, multiple in enumerate(block):
                layer = (_same if place else _double)(made, multiple * width)
                he_normal_(layer)
                self.conv.extend((layer, nn.ReLU(inplace=True)))
                made = multiple * width
        colours = _same(made, 3)
        lecun_normal_(colours)
        self.conv.append(colours)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N×D to images N×3×S×S."""
        images: Tensor = self.conv(self.unflatten(self.bottleneck(z)))
        return images


def _double(made: int, wanted: int) -> nn.ConvTranspose2d:
    """Make the layer that doubles height and width; 4 = 2·2 avoids a checkerboard pattern."""
    return nn.ConvTranspose2d(made, wanted, 4, stride=2, padding=1)


def _same(made: int, wanted: int) -> nn.Conv2d:
    return nn.Conv2d(made, wanted, 3, padding=1)
