"""Whole pictures through a model, tile by tile."""

import math

import torch
from torch import Tensor

from convae_zoo.data import pixels
from convae_zoo.data.tiles import map_tiles
from convae_zoo.evaluation.metrics import psnr
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.modes import BATCH_SIZE, evaluating
from convae_zoo.visuals.gallery.content import Reconstruction

_OVERLAP = 0.25  # of a tile's side


def reconstruct_picture(
    name: str, dataset: str, model: Autoencoder, image: Tensor
) -> Reconstruction:
    """Reconstruct a picture of any size in overlapping tiles of the model's size.

    Args:
        name: of the model's weights.
        dataset: that they were trained on.
        model: the autoencoder.
        image: uint8 3×H×W.
    """
    channels, height, width = model.image_shape
    fitted = pixels.fit(image[None], (channels, *image.shape[1:]))

    def run(tiles: Tensor) -> Tensor:
        return model.postprocess(model(model.to_float(tiles))).float()

    with evaluating(model):
        made = map_tiles(
            fitted,
            run,
            (height, width),
            overlap=round(min(height, width) * _OVERLAP),
            batch_size=BATCH_SIZE,
        )
    reconstruction = made.round().clamp(0, 255).to(torch.uint8)
    return Reconstruction(
        model=name,
        dataset=dataset,
        image=reconstruction[0].expand(3, -1, -1),
        psnr=psnr(reconstruction.float() / 255, fitted.float() / 255).item(),
        size=f"{math.prod(model.latent_shape):,} floats per {height}×{width} pixels",
    )
