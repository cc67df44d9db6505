"""The residual decoder: a linear layer, residual blocks and sub-pixel upsampling."""

from torch import Tensor, nn

from convae_architectures.blocks import Up, init_linear_path


class ResidualDecoder(nn.Module):
    """Latents N×latent_dim to images N×C×S×S; no activation on the last layer.

    Initial weights: as in the residual encoder.

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
        side = image_size // 4
        self.linear = nn.Linear(latent_dim, 2 * width * side**2)
        self.unflatten = nn.Unflatten(1, (2 * width, side, side))
        self.trunk = Up(in_channels, width, depth, activation, norm)
        init_linear_path(self.linear)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N×latent_dim to images N×C×S×S."""
        images: Tensor = self.trunk(self.unflatten(self.linear(z)))
        return images
