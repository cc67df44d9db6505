"""The residual encoder with a spatial latent."""

from torch import Tensor, nn

from convae_architectures.blocks import Down, init_linear_path


class ResidualSpatialEncoder(nn.Module):
    """Images N×C×S×S to latents N×latent_channels×S/4×S/4; no activation on the latent.

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
        self.trunk = Down(in_channels, width, depth, activation, norm)
        self.head = nn.Conv2d(2 * width, latent_channels, 1)
        init_linear_path(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to latents N×latent_channels×S/4×S/4."""
        latent: Tensor = self.head(self.trunk(x))
        return latent
