"""The decoder that starts as PCA backwards: a linear path and a nonlinear one, summed."""

import torch
from torch import Tensor, nn

from convae_modern.blocks import make_activation, start
from convae_modern.linear_residual.basis import Basis, cosine_basis, principal_basis


class LinearResidualDecoder(nn.Module):
    """Latents N×latent_dim to images N×C×S×S: linear(z) + nonlinear(z).

    The nonlinear path is two dense layers and a convolution at S/4 that gives 4×4 pixels a
    position.

    Start: as in the encoder of this name, of whose linear path this one is the inverse as far as
    there can be one.

    Args:
        in_channels: C.
        image_size: S, divisible by 4.
        width: channels before the convolution.
        hidden: units of the dense layer.
        latent_dim: floats of a latent, at most C·S·S.
        activation: name of the activation.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 16,
        hidden: int = 1024,
        latent_dim: int = 200,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        side = image_size // 4
        self.linear = nn.Linear(latent_dim, in_channels * image_size**2)
        self.unflatten = nn.Unflatten(1, (in_channels, image_size, image_size))
        last = nn.Conv2d(width, 16 * in_channels, 3, padding=1)
        self.nonlinear = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            make_activation(activation),
            nn.Linear(hidden, width * side**2),
            make_activation(activation),
            nn.Unflatten(1, (width, side, side)),
            last,
            nn.PixelShuffle(4),
        )
        self.nonlinear.apply(start)
        nn.init.zeros_(last.weight)
        self._set(cosine_basis(latent_dim, in_channels, image_size))

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N×latent_dim to images N×C×S×S."""
        images: Tensor = self.unflatten(self.linear(z)) + self.nonlinear(z)
        return images

    def start_from_data(self, images: Tensor, value_range: tuple[float, float]) -> None:
        """Set the linear path to the principal components of uint8 images N×C×S×S.

        Where the images have fewer than latent_dim, the other floats of a latent start unused.
        """
        self._set(principal_basis(images, self.linear.in_features, value_range))

    @torch.no_grad()
    def _set(self, basis: Basis) -> None:
        count = len(basis.directions)
        self.linear.weight.zero_()
        self.linear.weight[:, :count] = (basis.directions * basis.deviations[:, None]).T
        self.linear.bias.copy_(basis.mean)
