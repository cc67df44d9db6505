"""The encoder that starts as PCA: a linear path and a nonlinear one, summed."""

from torch import Tensor, nn

from convae_architectures.basis import Basis, cosine_basis, principal_basis
from convae_architectures.blocks import DenseBlock, ResidualBlock, init_linear_path
from convae_architectures.slow_linear import SlowLinear
from convae_zoo import is_loading
from convae_zoo.layers import make_activation


class LinearResidualEncoder(nn.Module):
    """Images N×C×S×S to latents N×latent_dim: linear(x) + nonlinear(x).

    The nonlinear path has residual convolutions at S/4, with 4×4 pixels per position, and residual
    dense layers.

    Initial weights: the linear path holds the cosines of lowest frequency; `start_from_data` sets
    it to the images' principal components, each divided by its deviation, which gives every float
    of a latent variance 1. The nonlinear path starts as in the residual encoder, but its last layer
    at zero: with the decoder of this name, a fresh model is exactly PCA.

    Args:
        in_channels: C.
        image_size: S, divisible by 4.
        width: channels of the convolutions.
        depth: residual blocks of convolutions.
        hidden: units of the dense layers.
        latent_dim: floats of a latent, at most C·S·S.
        activation: name of the activation.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 48,
        depth: int = 2,
        hidden: int = 512,
        latent_dim: int = 200,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        self.linear = SlowLinear(in_channels * image_size**2, latent_dim)
        stem = nn.Conv2d(16 * in_channels, width, 3, padding=1)
        dense = nn.Linear(width * (image_size // 4) ** 2, hidden)
        last = nn.Linear(hidden, latent_dim)
        self.nonlinear = nn.Sequential(
            nn.PixelUnshuffle(4),
            stem,
            *(ResidualBlock(width, activation) for _ in range(depth)),
            nn.Flatten(),
            dense,
            DenseBlock(hidden, activation),
            make_activation(activation),
            last,
        )
        for layer in (stem, dense, last):
            init_linear_path(layer)
        nn.init.zeros_(last.weight)
        if not is_loading():
            self._set(cosine_basis(latent_dim, in_channels, image_size))

    def forward(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to latents N×latent_dim."""
        latent: Tensor = self.linear(x.flatten(1)) + self.nonlinear(x)
        return latent

    def start_from_data(self, images: Tensor, value_range: tuple[float, float]) -> None:
        """Set the linear path to the principal components of uint8 images N×C×S×S.

        With fewer than latent_dim components, the remaining rows stay as they are.
        """
        self._set(principal_basis(images, self.linear.out_features, value_range))

    def _set(self, basis: Basis) -> None:
        rows = self.linear.matrix()
        count = len(basis.directions)
        rows[:count] = (basis.directions / basis.deviations[:, None]).to(rows)
        self.linear.set(rows, -rows @ basis.mean.to(rows))
