"""What PCA with as many numbers as a model's latent makes of whole pictures."""

import math

import attrs
from torch import Tensor

from convae_zoo.data import ImageSet
from convae_zoo.errors import UsageError
from convae_zoo.evaluation.pca import Baseline, fit_pca, why_no_pca
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.pictures.picture_model import through_tiles


@attrs.frozen(kw_only=True)
class PicturePca:
    """PCA applied to pictures as a model is: in overlapping tiles, blended without seams.

    Attributes:
        baseline: the fitted PCA.
        image_shape: of a tile, (C, H, W).
        components: their number.
    """

    baseline: Baseline
    image_shape: tuple[int, int, int]
    components: int

    def __call__(self, values: Tensor) -> Tensor:
        """Reconstruct a picture C×H×W, in units of 255; the result is float32, not clipped."""
        channels, rows, columns = self.image_shape

        def run(tiles: Tensor) -> Tensor:
            return self.baseline.reconstruct(tiles.float() / 255) * 255

        return through_tiles(values, channels, run, (rows, columns), min(rows, columns) // 2)


def picture_pca(model: Autoencoder, images: ImageSet) -> PicturePca:
    """Fit PCA with as many components as the latent of a model has floats.

    Args:
        model: whose latent and image size it gets.
        images: of the model's image shape.

    Raises:
        UsageError: PCA cannot have so many components.
    """
    components = math.prod(model.latent_shape)
    if reason := why_no_pca(components, math.prod(model.image_shape), len(images)):
        raise UsageError(reason)
    return PicturePca(
        baseline=fit_pca(images.images, components),
        image_shape=model.image_shape,
        components=components,
    )
