"""The residual encoder: a trunk of residual blocks and a linear bottleneck."""

from torch import Tensor, nn

from convae_architectures.blocks import Down, init_linear_path


class ResidualEncoder(nn.Module):
    """Images N×C×S×S to latents N×latent_dim; no activation on the latent.

    Initial weights: He-normal before an activation, LeCun-normal elsewhere, biases zero; the last
    convolution of a block zero.

    Args:
        in_channels: C.
        image_size: S, divisible by 4.
        width: channels at S/2; twice as many at S/4.
        depth: residual blocks at each of the two sizes.
        activation: name of the activation.
        norm: ``none`` or ``group``.
        latent_dim: floats of a latent.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 32,
        depth: int = 1,
        activation: str = "silu",
        norm: str = "none",
        latent_dim: int = 200,
    ) -> None:
        super().__init__()
        self.trunk = Down(in_channels, width, depth, activation, norm)
        self.head = nn.Linear(2 * width * (image_size // 4) ** 2, latent_dim)
        init_linear_path(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to latents N×latent_dim."""
        latent: Tensor = self.head(self.trunk(x).flatten(1))
        return latent
