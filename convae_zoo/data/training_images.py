"""The images of an epoch: loaded on a device, in batches, cropped and turned at random."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from convae_zoo.data.augment import Augmentation, pose
from convae_zoo.data.batch_loader import BatchLoader
from convae_zoo.data.crops import Crops
from convae_zoo.data.image_set import ImageSet
from convae_zoo.data.large import is_mapped
from convae_zoo.data.picture_set import PictureSet, as_pictures
from convae_zoo.errors import UsageError
from convae_zoo.registry.specs import Recipe, shape_text

MOST_START_IMAGES = 20_000
"""The maximum number of crops from which the parts of a model initialise their weights."""


class TrainingImages:
    """Loads the images that a model is trained on.

    Args:
        images: of the model's shape; or larger images or whole pictures, if the recipe crops them.
        recipe: its augmentation and its seed.
        image_shape: the model's, (C, H, W).
        device: of the batches.

    Raises:
        UsageError: the recipe crops, and no picture is larger than the model's images; or it turns
            images by a quarter, and the model's are not square.
    """

    def __init__(
        self,
        images: ImageSet | PictureSet,
        recipe: Recipe,
        image_shape: tuple[int, int, int],
        device: torch.device,
    ) -> None:
        self.split = images.split
        self._augmentation, self._seed = Augmentation.parse(recipe.augment), recipe.seed
        if self._augmentation.needs_square and image_shape[1] != image_shape[2]:
            raise UsageError(
                f"augment {recipe.augment!r} turns images by a quarter, and the model's are "
                f"{shape_text(image_shape)}; use flip"
            )
        self._crops: Crops | None = None
        crop = self._augmentation.crop
        if crop is None:
            self._images = images.fitted(image_shape).images
            self._loader = BatchLoader(self._images, device, streamed=is_mapped(self._images))
            self._count, self.index_device = len(self._images), self._loader.index_device
        else:
            self._crops = Crops(
                as_pictures(images), crop, image_shape, seed=recipe.seed, device=device
            )
            self._count, self.index_device = len(self._crops), torch.device("cpu")

    def __len__(self) -> int:
        """Return the number of images in an epoch."""
        return self._count

    def batches(self, epoch: int, chosen: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield one batch for each tensor of indices, uint8 B×C×H×W, on the device.

        Args:
            epoch: on which the crops and the poses depend.
            chosen: the indices of each batch, int64, on `index_device`.
        """
        if self._crops is None:
            loaded = self._loader.batches(chosen)
        else:
            loaded = self._crops.batches(epoch, chosen)
        poses = self._augmentation.draw_poses(len(self), epoch=epoch, seed=self._seed)
        for indices, images in zip(chosen, loaded, strict=True):
            yield images if poses is None else pose(images, poses[indices.cpu()])

    def for_start(self) -> Tensor:
        """Return images from which a model's parts may initialise their weights, uint8 N×C×H×W."""
        if self._crops is None:
            return self._images
        chosen = torch.split(torch.arange(min(len(self), MOST_START_IMAGES)), 1024)
        return torch.cat([batch.cpu() for batch in self._crops.batches(0, chosen)])
