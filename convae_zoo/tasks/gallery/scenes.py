"""Whole pictures through a model: reconstructed, or with noise that it removes."""

import math

import attrs
import torch
from torch import Tensor

from convae_zoo.data import pixels
from convae_zoo.evaluation.metrics import psnr
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.pictures import denoise, reconstruct
from convae_zoo.tasks.pictures.noise import add_noise
from convae_zoo.tasks.pictures.pca import PicturePca
from convae_zoo.visuals.gallery.content import BeforeAfter, Reconstruction

SIGMA = 25.0
"""Standard deviation of the noise, in units of 255."""


def reconstruct_picture(
    name: str, dataset: str, model: Autoencoder, image: Tensor
) -> Reconstruction:
    """Reconstruct a picture of any size in overlapping tiles.

    Args:
        name: of the model's weights.
        dataset: that they were trained on.
        model: the autoencoder.
        image: uint8 3×H×W.
    """
    fitted = _fitted(image, model.image_shape)
    (made,) = reconstruct(model, [_array(fitted)])
    floats = math.prod(model.latent_shape)
    return _reconstruction(name, dataset, _tensor(made), fitted, floats, model.image_shape)


def reconstruct_by_pca(pca: PicturePca, dataset: str, image: Tensor) -> Reconstruction:
    """Reconstruct a picture of any size by PCA, as `reconstruct_picture` does by a model.

    Args:
        pca: fitted.
        dataset: that it was fitted on.
        image: uint8 3×H×W.
    """
    fitted = _fitted(image, pca.image_shape)
    made = pca(fitted).round().clamp(0, 255).to(torch.uint8)
    found = _reconstruction(
        f"PCA-{pca.components}", dataset, made, fitted, pca.components, pca.image_shape
    )
    return attrs.evolve(found, is_baseline=True)


def denoise_picture(name: str, model: Autoencoder, image: Tensor) -> BeforeAfter:
    """Add noise to a picture, and let a model remove it.

    Args:
        name: of the model's weights.
        model: trained with a corruption.
        image: uint8 3×H×W.
    """
    fitted = _fitted(image, model.image_shape)
    noisy = add_noise(fitted, SIGMA).round().clamp(0, 255).to(torch.uint8)
    sigma = SIGMA if model.plan.takes_sigma else None
    (made,) = denoise(model, [_array(noisy)], sigma)
    clean = _tensor(made)
    return BeforeAfter(
        before=noisy.expand(3, -1, -1),
        after=clean.expand(3, -1, -1),
        before_label=f"noise of sigma {SIGMA:g}",
        after_label=name,
        note=f"{_psnr(noisy, fitted):.2f} dB → {_psnr(clean, fitted):.2f} dB",
    )


def _fitted(image: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Return a picture with the channels of a model's images."""
    return pixels.fit(image[None], (image_shape[0], *image.shape[1:]))[0]


def _reconstruction(
    name: str,
    dataset: str,
    made: Tensor,
    original: Tensor,
    floats: int,
    image_shape: tuple[int, int, int],
) -> Reconstruction:
    _, height, width = image_shape
    return Reconstruction(
        model=name,
        dataset=dataset,
        image=made.expand(3, -1, -1),
        psnr=_psnr(made, original),
        size=f"{floats:,} floats per {height}×{width} pixels",
    )


def _array(image: Tensor) -> object:
    return image.permute(1, 2, 0).contiguous().numpy()


def _tensor(array: object) -> Tensor:
    image = torch.as_tensor(array)
    return image[None] if image.ndim == 2 else image.permute(2, 0, 1)  # noqa: PLR2004 - H×W


def _psnr(image: Tensor, original: Tensor) -> float:
    return psnr(image[None].float() / 255, original[None].float() / 255).item()
