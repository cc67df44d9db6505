"""The principal axes of normal latents."""

import attrs
import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from convae_zoo.errors import DataError

LARGEST = 4096
"""Floats of a latent: the covariance has as many rows and columns."""


@attrs.frozen(kw_only=True, eq=False)
class Axes:
    """An ellipsoid around normal latents.

    Attributes:
        mean: float64, D.
        whitening: float64, D×D: (z - mean) @ whitening has covariance 1.
        colouring: its inverse.
    """

    mean: Tensor
    whitening: Tensor
    colouring: Tensor


def fit_axes(normal: Tensor) -> Axes:
    """Fit the axes to latents N×D, with Ledoit and Wolf's shrunk covariance.

    The covariance is shrunk towards a multiple of the identity, so it can be inverted with fewer
    latents than they have floats.

    Raises:
        DataError: the latents do not differ, or are too large.
    """
    if normal.shape[1] > LARGEST:
        raise DataError(
            f"a covariance is fitted to latents of at most {LARGEST:,} floats, this model's have "
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
    deviations, vectors = values.sqrt().to(mean.device) * scale, vectors.to(mean.device)
    return Axes(
        mean=mean,
        whitening=vectors / deviations,
        colouring=(vectors * deviations).T,
    )
