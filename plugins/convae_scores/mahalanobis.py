"""Mahalanobis distance of the latent."""

from collections.abc import Iterable

import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from convae_scores.fitted import FittedScore, latents, normal_latents
from convae_zoo import Autoencoder
from convae_zoo.errors import DataError

LARGEST = 4096
"""Floats of a latent: the covariance has as many rows and columns."""


class MahalanobisScore(FittedScore):
    """Distance of an image's latent from the normal ones' mean, in units of their covariance.

    The covariance is shrunk towards a multiple of the identity by scikit-learn's Ledoit-Wolf
    estimate, so it can be inverted with fewer images than floats of a latent. The score is the
    root of the mean squared distance per float: about 1 for a normal image.
    """

    TENSORS = ("mean", "whitening")

    mean: Tensor
    whitening: Tensor

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:
        """Fit to the latents of normal images, uint8 N×C×H×W.

        Raises:
            DataError: fewer than two images, latents that do not differ, or too large ones.
        """
        normal = normal_latents(batches, model)
        if normal.shape[1] > LARGEST:
            raise DataError(
                f"mahalanobis takes latents of at most {LARGEST:,} floats, this model's have "
                f"{normal.shape[1]:,}; use the score 'neighbours' or 'reconstruction'"
            )
        mean = normal.double().mean(dim=0)
        centred = normal.double() - mean
        # The estimate of the shrinkage is relative to the latents' scale.
        scale = centred.square().mean().sqrt()
        if not scale > 0:
            raise DataError("the latents of all normal images are equal: the model has collapsed")
        covariance, _ = ledoit_wolf((centred / scale).cpu().numpy(), assume_centered=True)
        values, vectors = torch.linalg.eigh(torch.from_numpy(covariance))
        values = values.clamp_min(float(values.max()) * torch.finfo(torch.float32).eps)
        whitening = (vectors / values.sqrt()).to(scale.device) / scale
        self.keep(mean=mean, whitening=whitening)

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, None]:
        """Map uint8 images N×C×H×W to scores N."""
        whitened = (latents(images, model) - self.mean) @ self.whitening
        return whitened.square().mean(dim=1).sqrt(), None
