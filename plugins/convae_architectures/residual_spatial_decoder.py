"""The residual decoder of a spatial latent."""

from torch import Tensor, nn

from convae_architectures.blocks import Up, init_linear_path


class ResidualSpatialDecoder(nn.Module):
    """Latents N×latent_channels×S/4×S/4 to images N×C×S×S; no activation on the last layer.

    Initial weights: as in the residual encoder.

    Args:
        in_channels: C.
        image_size: S, divisible by 4.
        width: channels at S/2; twice as many at S/4.
        depth: residual blocks at each of the two sizes.
        activation: name of the activation.
        norm: ``none`` or ``group``.
        latent_channels: channels of a latent.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,  # noqa: ARG002 - a convolution fits every size; the config states it
        width: int = 32,
        depth: int = 1,
        activation: str = "silu",
        norm: str = "none",
        latent_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(latent_channels, 2 * width, 3, padding=1)
        self.trunk = Up(in_channels, width, depth, activation, norm)
        init_linear_path(self.stem)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N×latent_channels×S/4×S/4 to images N×C×S×S."""
        images: Tensor = self.trunk(self.stem(z))
        return images
