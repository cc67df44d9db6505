"""The decoder that starts as inverse PCA: a linear path, a dense one, and a refinement."""

import torch
from torch import Tensor, nn

from convae_architectures.basis import Basis, cosine_basis, principal_basis
from convae_architectures.blocks import DenseBlock, ResidualBlock, init_linear_path
from convae_architectures.slow_linear import SlowLinear
from convae_zoo import is_loading
from convae_zoo.layers import make_activation


class LinearResidualDecoder(nn.Module):
    """Latents N×latent_dim to images N×C×S×S: y + refine(y), where y = linear(z) + dense(z).

    Principal components leave out mostly fine detail, so the convolutions are a super-resolution
    network: they work at S/2 on the image y and add the detail that belongs to it (as in
    https://arxiv.org/abs/1609.05158).

    Initial weights: as in the encoder of this name; the linear path is the inverse of the
    encoder's, and the last layers of the two others are zero.

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
        values = in_channels * image_size**2
        self.linear = SlowLinear(latent_dim, values)
        first, last = nn.Linear(latent_dim, hidden), nn.Linear(hidden, values)
        self.dense = nn.Sequential(
            first, DenseBlock(hidden, activation), make_activation(activation), last
        )
        self.unflatten = nn.Unflatten(1, (in_channels, image_size, image_size))
        stem = nn.Conv2d(4 * in_channels, width, 3, padding=1)
        detail = nn.Conv2d(width, 4 * in_channels, 3, padding=1)
        self.refine = nn.Sequential(
            nn.PixelUnshuffle(2),
            stem,
            *(ResidualBlock(width, activation) for _ in range(depth)),
            make_activation(activation),
            detail,
            nn.PixelShuffle(2),
        )
        for layer in (first, last, stem, detail):
            init_linear_path(layer)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(detail.weight)
        if not is_loading():
            self._set(cosine_basis(latent_dim, in_channels, image_size))

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N×latent_dim to images N×C×S×S."""
        coarse = self.unflatten(self.linear(z) + self.dense(z))
        images: Tensor = coarse + self.refine(coarse)
        return images

    def start_from_data(self, images: Tensor, value_range: tuple[float, float]) -> None:
        """Set the linear path to the principal components of uint8 images N×C×S×S.

        With fewer than latent_dim components, the remaining floats of a latent start unused.
        """
        self._set(principal_basis(images, self.linear.in_features, value_range))

    def _set(self, basis: Basis) -> None:
        columns = torch.zeros_like(self.linear.weight)
        count = len(basis.directions)
        columns[:, :count] = (basis.directions * basis.deviations[:, None]).T
        self.linear.set(columns, basis.mean)
