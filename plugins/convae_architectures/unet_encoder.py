"""The encoder of the U-Net: its latent holds the image beside the features of every size."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from convae_architectures.noise import estimate_sigma
from convae_architectures.unet import blocks, linear_conv


class UNetEncoder(nn.Module):
    """Images N×C×S×S to latents N×L×S/2×S/2, which hold the image too.

    The latent has, each rearranged to S/2 without loss: the image (4C channels), the features at
    S/2 (width), at S/4 (middle_width / 4) and at S/8 (deep_width / 16). Height and width may be any
    multiple of 8. Without bias and norm, the parts of a blind denoiser scale with their input,
    which carries over to unseen noise levels (https://arxiv.org/abs/1906.05478).

    Args:
        in_channels: C.
        image_size: S, divisible by 8.
        width: channels at S/2.
        middle_width: channels at S/4, divisible by 4.
        deep_width: channels at S/8, divisible by 16.
        depth: residual blocks at S/2.
        middle_depth: residual blocks at S/4.
        deep_depth: residual blocks at S/8.
        takes_sigma: whether the noise's standard deviation is an input, as a map beside the image.
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
        deep_depth: int = 4,
        *,
        takes_sigma: bool = False,
    ) -> None:
        super().__init__()
        self.takes_sigma = takes_sigma
        self.stem = linear_conv(4 * in_channels + takes_sigma, width, 3)
        self.fine = blocks(depth, width)
        self.to_middle = linear_conv(width, middle_width, 2, stride=2)
        self.middle = blocks(middle_depth, middle_width)
        self.to_deep = linear_conv(middle_width, deep_width, 2, stride=2)
        self.deep = blocks(deep_depth, deep_width)

    def forward(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Map images N×C×H×W to latents N×L×H/2×W/2.

        Args:
            x: images, their values 2 apart from black to white.
            sigma: the noise's standard deviation in each image, N, where black is 0 and white 1;
                None estimates it. Only an encoder with `takes_sigma` uses it.
        """
        image = functional.pixel_unshuffle(x, 2)
        seen = image
        if self.takes_sigma:
            sigma = estimate_sigma(x) if sigma is None else 2 * sigma
            seen = torch.cat((image, sigma.to(x).reshape(-1, 1, 1, 1).expand_as(image[:, :1])), 1)
        fine = self.fine(self.stem(seen))
        middle = self.middle(self.to_middle(fine))
        deep = self.deep(self.to_deep(middle))
        parts = image, fine, functional.pixel_shuffle(middle, 2), functional.pixel_shuffle(deep, 4)
        return torch.cat(parts, 1)
