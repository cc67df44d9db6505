"""Whole pictures through a model, for the gallery."""

import math

import torch
from torch import Tensor

from convae_zoo.evaluation.metrics import psnr
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.pictures import PictureModel
from convae_zoo.visuals.gallery.content import Reconstruction


def reconstruct_picture(
    name: str, dataset: str, model: Autoencoder, image: Tensor
) -> Reconstruction:
    """Reconstruct a picture of any size, as `zoo.reconstruct` does.

    Args:
        name: of the model's weights.
        dataset: that they were trained on.
        model: the autoencoder.
        image: uint8 3×H×W.
    """
    _, height, width = model.image_shape
    made = PictureModel(model, "fp32")(image).round().clamp(0, 255).to(torch.uint8)
    return Reconstruction(
        model=name,
        dataset=dataset,
        image=made,
        psnr=psnr(made[None].float() / 255, image[None].float() / 255).item(),
        size=f"{math.prod(model.latent_shape):,} floats per {height}×{width} pixels",
    )
