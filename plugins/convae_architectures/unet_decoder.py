"""The decoder of the U-Net: it removes from the image in the latent what the features tell."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from convae_architectures.unet import blocks, linear_conv


class UNetDecoder(nn.Module):
    """Latents N×L×S/2×S/2 of the U-Net's encoder to images N×C×S×S.

    The last layer starts at zero: a fresh model returns the image that it was given.

    Args:
        in_channels: C.
        image_size: S, divisible by 8.
        width: channels at S/2.
        middle_width: channels at S/4, divisible by 4.
        deep_width: channels at S/8, divisible by 16.
        depth: residual blocks at S/2.
        middle_depth: residual blocks at S/4.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 64,  # noqa: ARG002 - a convolution fits every size; the config states it
        width: int = 64,
        middle_width: int = 96,
        deep_width: int = 128,
        depth: int = 2,
        middle_depth: int = 3,
    ) -> None:
        super().__init__()
        self.channels = [4 * in_channels, width, middle_width // 4, deep_width // 16]
        self.to_middle = linear_conv(deep_width, 4 * middle_width, 1)
        self.middle = blocks(middle_depth, middle_width)
        self.to_fine = linear_conv(middle_width, 4 * width, 1)
        self.fine = blocks(depth, width)
        self.noise = nn.Conv2d(width, 4 * in_channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.noise.weight)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N×L×H/2×W/2 to images N×C×H×W."""
        image, fine, middle, deep = torch.split(z, self.channels, 1)
        x = self.to_middle(functional.pixel_unshuffle(deep, 4))
        x = self.middle(functional.pixel_shuffle(x, 2) + functional.pixel_unshuffle(middle, 2))
        x = self.fine(functional.pixel_shuffle(self.to_fine(x), 2) + fine)
        return functional.pixel_shuffle(image - self.noise(x), 2)
