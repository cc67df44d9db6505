"""The baseline: principal component analysis with as many components as a latent has floats."""

import math

import attrs
import torch
from torch import Tensor

COVARIANCE_LIMIT = 4096
"""The maximum of pixel values per image for the exact fit; above it the fit is randomised."""

_VALUES_LIMIT = 2**28  # one GiB of float32: 87,381 images of 3×32×32, 1,783 of 3×224×224


@attrs.frozen(kw_only=True, eq=False)
class Baseline:
    """A fitted PCA.

    Attributes:
        mean: float32, D, of pixel values in [0, 1].
        components: float32, K×D, orthonormal rows.
        images: number of images that it was fitted on.
    """

    mean: Tensor = attrs.field(repr=False)
    components: Tensor = attrs.field(repr=lambda rows: f"<{len(rows)} rows>")
    images: int

    def reconstruct(self, images: Tensor) -> Tensor:
        """Project float images N×C×H×W in [0, 1] onto the components and back."""
        centred = images.flatten(1) - self.mean
        return (centred @ self.components.T @ self.components + self.mean).view_as(images)


def fitted_images(count: int, values: int) -> int:
    """Return how many of `count` images PCA is fitted on: as many as fit in 1 GiB.

    Args:
        count: images that are available.
        values: pixel values per image.
    """
    return min(count, max(1, _VALUES_LIMIT // values))


def why_no_pca(components: int, values: int, count: int | None = None) -> str | None:
    """Return why PCA cannot have this many components, or None if it can.

    Args:
        components: their number.
        values: pixel values per image.
        count: number of images to fit on; None if it is not known yet.
    """
    if components > values:
        return f"PCA-{components} is not defined: an image has only {values} values"
    used = None if count is None else fitted_images(count, values)
    if used is not None and components > used:
        return f"PCA-{components} must be fitted on at least as many images, and there are {used}"
    return None


def fit_pca(images: Tensor, components: int) -> Baseline:
    """Fit PCA on uint8 images N×C×H×W, as float32 with black at 0 and white at 1.

    Up to `COVARIANCE_LIMIT` pixel values per image the fit is exact, from the eigenvectors of the
    covariance; above it is randomised, with a fixed seed. If the images exceed 1 GiB as float32,
    PCA is fitted on as many evenly spaced images as fit in it.

    Raises:
        ValueError: PCA is not possible; see `why_no_pca`.
    """
    from sklearn.decomposition import PCA  # slow to import

    values = math.prod(images.shape[1:])
    if reason := why_no_pca(components, values, len(images)):
        raise ValueError(reason)
    used = fitted_images(len(images), values)
    if used < len(images):
        images = images[torch.linspace(0, len(images) - 1, used).long()]
    data = images.flatten(1).float().div_(255)
    # scikit-learn centres the covariance, not the data, which loses precision in float32.
    mean = data.mean(0, dtype=torch.float64).float()
    data -= mean
    exact = values <= COVARIANCE_LIMIT
    pca = PCA(
        n_components=components,
        svd_solver="covariance_eigh" if exact else "randomized",
        copy=False,
        random_state=None if exact else 0,
    ).fit(data.numpy())
    return Baseline(
        mean=mean + torch.from_numpy(pca.mean_),
        components=torch.from_numpy(pca.components_).contiguous(),
        images=used,
    )
