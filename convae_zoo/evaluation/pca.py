"""The baseline: principal component analysis with as many components as a latent has floats."""

import math

import attrs
import torch
from sklearn.decomposition import PCA
from torch import Tensor

COVARIANCE_LIMIT = 4096
"""The most pixel values an image may have for the exact fit; a wider one is fitted randomised."""

_VALUES_LIMIT = 2**28  # one GiB of float32: 87,381 images of 3×32×32, 1,783 of 3×224×224


@attrs.frozen(kw_only=True, eq=False)
class Baseline:
    """A fitted PCA.

    Attributes:
        mean: float32, D, of pixel values in [0, 1].
        components: float32, K×D, orthonormal rows.
        images: how many it was fitted on.
    """

    mean: Tensor
    components: Tensor
    images: int

    def reconstruct(self, images: Tensor) -> Tensor:
        """Project float images N×C×H×W in [0, 1] onto the components and back."""
        centred = images.flatten(1) - self.mean
        return (centred @ self.components.T @ self.components + self.mean).view_as(images)


def fitted_images(count: int, values: int) -> int:
    """Say how many of `count` images of so many pixel values are fitted on: what 1 GiB holds."""
    return min(count, max(1, _VALUES_LIMIT // values))


def obstacle(components: int, values: int, count: int | None = None) -> str | None:
    """Say why there can be no PCA of so many components, or None.

    Args:
        components: how many are asked for.
        values: pixel values of an image.
        count: how many images there are to fit on; None where it is not known yet.
    """
    if components > values:
        return f"PCA-{components} is not defined: an image has only {values} values"
    used = None if count is None else fitted_images(count, values)
    if used is not None and components > used:
        return f"PCA-{components} needs as many images to be fitted on, and there are {used}"
    return None


def fit_pca(images: Tensor, components: int) -> Baseline:
    """Fit PCA on uint8 images N×C×H×W, as float32 with black at 0 and white at 1.

    Up to `COVARIANCE_LIMIT` pixel values an image it is exact, from the covariance's eigenvectors;
    above it is randomised, with a fixed seed. Where the images exceed 1 GiB as float32, it is
    fitted on as many as that holds, evenly spaced.

    Raises:
        ValueError: there can be none, as `obstacle` says.
    """
    values = math.prod(images.shape[1:])
    if reason := obstacle(components, values, len(images)):
        raise ValueError(reason)
    used = fitted_images(len(images), values)
    if used < len(images):
        images = images[torch.linspace(0, len(images) - 1, used).long()]
    data = images.flatten(1).float().div_(255)
    # scikit-learn centres the covariance and not the data, which loses digits in float32.
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
