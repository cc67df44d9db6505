"""Mahalanobis distance of the latent."""

from collections.abc import Iterable

from torch import Tensor

from convae_scores.axes import fit_axes
from convae_scores.fitted import FittedScore, latents, normal_latents
from convae_zoo import Autoencoder


class MahalanobisScore(FittedScore):
    """Distance of an image's latent from the normal ones' mean, in units of their covariance.

    The covariance is Ledoit and Wolf's shrunk one. The score is the root of the mean squared
    distance per float: about 1 for a normal image.
    """

    TENSORS = ("mean", "whitening")

    mean: Tensor
    whitening: Tensor

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:
        """Fit to the latents of normal images, uint8 N×C×H×W.

        Raises:
            DataError: fewer than two images, latents that do not differ, or too large ones.
        """
        axes = fit_axes(normal_latents(batches, model))
        self.keep(mean=axes.mean, whitening=axes.whitening)

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, None]:
        """Map uint8 images N×C×H×W to scores N."""
        whitened = (latents(images, model) - self.mean) @ self.whitening
        return whitened.square().mean(dim=1).sqrt(), None
