"""Density of the latent under a Gaussian mixture."""

import math
import warnings
from collections.abc import Iterable

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from convae_scores.fitted import FittedScore, latents, normal_latents
from convae_zoo import Autoencoder
from convae_zoo.errors import DataError

IMAGES_PER_COMPONENT = 10
VARIANCE_FLOOR = 1e-3
"""Added to the variances of a Gaussian, of latents whose variances are at most 1."""


class DensityScore(FittedScore):
    """Negative log-density of an image's latent, in nats per dimension, up to a constant.

    The latents are projected onto their first principal components and scaled by one number; the
    mixture of Gaussians with full covariances is scikit-learn's.

    Args:
        components: Gaussians in the mixture; at most one per ten images.
        dimensions: principal components, at most.
        seed: of the mixture's start.
    """

    TENSORS = ("mean", "projection", "weights", "means", "precisions")

    mean: Tensor
    projection: Tensor
    weights: Tensor
    means: Tensor
    precisions: Tensor

    def __init__(self, components: int = 10, dimensions: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.components = components
        self.dimensions = dimensions
        self.seed = seed

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:
        """Fit to the latents of normal images, uint8 N×C×H×W.

        Raises:
            DataError: fewer than two images, or latents that do not differ.
        """
        normal = normal_latents(batches, model).double().cpu()
        mean = normal.mean(dim=0)
        _, strengths, directions = torch.linalg.svd(normal - mean, full_matrices=False)
        scale = float(strengths[0]) / math.sqrt(len(normal))
        if not scale > 0:
            raise DataError("the latents of all normal images are equal: the model has collapsed")
        projection = directions[: self.dimensions].T / scale
        mixture = GaussianMixture(
            max(1, min(self.components, len(normal) // IMAGES_PER_COMPONENT)),
            reg_covar=VARIANCE_FLOOR,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            # The last step of an unfinished fit is as good a density as any.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(((normal - mean) @ projection).numpy())
        found = {
            "mean": mean,
            "projection": projection,
            "weights": torch.from_numpy(mixture.weights_),
            "means": torch.from_numpy(mixture.means_),
            "precisions": torch.from_numpy(mixture.precisions_cholesky_),
        }
        self.keep(**{name: value.to(model.device) for name, value in found.items()})

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, None]:
        """Map uint8 images N×C×H×W to scores N."""
        z = (latents(images, model) - self.mean) @ self.projection
        # K×N×D: each Gaussian's whitened distances.
        whitened = (z - self.means[:, None]) @ self.precisions
        determinants = self.precisions.diagonal(dim1=1, dim2=2).log().sum(1)
        logs = self.weights.log() + determinants - whitened.square().sum(2).T / 2
        return -logs.logsumexp(dim=1) / z.shape[1], None
