"""Reconstructs a picture of any size."""

import math
from pathlib import Path

from PIL import Image

from convae_zoo.app.result import (
    MAX_PIXELS,
    Progress,
    Result,
    image_of,
    quality_figures,
    quality_of,
    read_picture,
)
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.pictures import reconstruct


def reconstruct_picture(
    model: Autoencoder,
    path: Path,
    *,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = lambda _done, _total: None,
) -> Result:
    """Reconstruct a picture as `zoo.reconstruct` does, and compare it with its original.

    Args:
        model: the autoencoder.
        path: of the picture.
        max_pixels: a picture with more is refused.
        progress: called with the tiles done and their total.

    Raises:
        ZooError: the picture cannot be read, or the model fails.
    """
    original = read_picture(path, max_pixels)
    (made,) = reconstruct(model, [path], progress=progress)
    _, height, width = model.image_shape
    return Result(
        before=image_of(original),
        after=Image.fromarray(made),
        figures=(
            *quality_figures(quality_of(made, original)),
            ("Latent", f"{math.prod(model.latent_shape):,} floats per {height}×{width} pixels"),
        ),
    )
