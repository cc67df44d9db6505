"""A map of images by their latents."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from convae_zoo.data import ImageSet
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.modes import evaluating
from convae_zoo.visuals.gallery.content import LatentMap


def map_latents(name: str, model: Autoencoder, images: ImageSet, count: int = 160) -> LatentMap:
    """Place images by the two main directions of their latents.

    Args:
        name: of the model's weights.
        model: the autoencoder.
        images: of which some are placed, evenly spaced.
        count: how many.
    """
    chosen = images.images[torch.linspace(0, len(images) - 1, min(count, len(images))).long()]
    with evaluating(model):
        latents = model.encode(model.to_float(chosen)).flatten(1).double().cpu()
    centred = latents - latents.mean(0)
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    variance = sizes.square()
    return LatentMap(
        model=name,
        dataset=images.name,
        images=chosen,
        points=_spread(pad(left, (0, 1))[:, :2]),  # a latent of one float has one direction
        explained=float(variance[:2].sum() / variance.sum().clamp_min(1e-12)),
    )


def _spread(points: Tensor) -> Tensor:
    """Map each axis to [0, 1] by ranks and values half and half: far-off points crowd no others."""
    ranks = points.argsort(0).argsort(0).double() / max(len(points) - 1, 1)
    low, high = points.amin(0), points.amax(0)
    return (ranks + (points - low) / (high - low).clamp_min(1e-12)) / 2
