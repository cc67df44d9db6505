"""Random crops of whole pictures, at random scales, cut while a model trains.

Crops are drawn from the seed, the epoch and the crop's number alone: a run can be resumed at any
step, and processes that take different numbers get different crops.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from convae_zoo.data import pixels
from convae_zoo.data.batch_loader import fits_on, prefetched
from convae_zoo.data.large import is_mapped
from convae_zoo.data.order import epoch_generator
from convae_zoo.data.picture_set import PictureSet
from convae_zoo.errors import UsageError
from convae_zoo.registry.recipe_settings import CropConfig
from convae_zoo.registry.specs import shape_text


class Crops:
    """Loads batches of crops, on a device.

    Crop i of an epoch is of picture i mod N. On a GPU the pictures are kept in its memory if they
    fit; otherwise a thread prefetches crops.

    Args:
        pictures: N of them.
        config: scale and count.
        image_shape: (C, H, W) of a crop.
        seed: of the run.
        device: of the batches.

    Raises:
        UsageError: no picture is larger than a crop.
    """

    def __init__(
        self,
        pictures: PictureSet,
        config: CropConfig,
        image_shape: tuple[int, int, int],
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self._channels, self._height, self._width = image_shape
        if not any(
            p.shape[1] > self._height or p.shape[2] > self._width for p in pictures.pictures
        ):
            raise UsageError(
                f"augment 'crop' needs pictures larger than the model's {shape_text(image_shape)}, "
                f"and dataset {pictures.name!r} has none; use flip or dihedral"
            )
        self._config, self._seed = config, seed
        self.device = device
        self._resident = fits_on(device, pictures.nbytes)
        self._streamed = not self._resident or any(map(is_mapped, pictures.pictures))
        self._pictures = [
            picture.to(device) if self._resident else picture for picture in pictures.pictures
        ]

    def __len__(self) -> int:
        """Return the number of crops in an epoch."""
        return len(self._pictures) * self._config.count

    def batches(self, epoch: int, chosen: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield one batch of crops, uint8 B×C×H×W, for each tensor of crop numbers."""
        draws = torch.rand(
            len(self), 3, generator=epoch_generator(epoch, self._seed, use=2), dtype=torch.float64
        )

        def gather(indices: Tensor) -> Tensor:
            numbers = indices.tolist()
            rows = draws[indices.cpu()].tolist()
            crops = [self._crop(number, row) for number, row in zip(numbers, rows, strict=True)]
            return torch.cat(crops)

        if self._streamed:
            yield from prefetched(gather, chosen, self.device)
        else:
            yield from map(gather, chosen)

    def _crop(self, number: int, draw: list[float]) -> Tensor:
        picture = self._pictures[number % len(self._pictures)]
        top, left, height, width = self._window(picture.shape[1:], draw)
        part = picture[:, top : top + height, left : left + width]
        crop = pixels.resize(part[None], (self._height, self._width))
        return pixels.fit_channels(crop, self._channels)

    def _window(self, size: Sequence[int], draw: list[float]) -> tuple[int, int, int, int]:
        """Place a window in a picture of a size, by three numbers from 0 up to 1.

        Returns:
            Its top row, left column, height and width.
        """
        given = self._config.scale
        low, high = given if isinstance(given, tuple) else (given, given)
        high = min(high, size[0] / self._height, size[1] / self._width)
        low = min(low, high)
        scale = low * (high / low) ** draw[0]
        height = min(size[0], max(1, round(self._height * scale)))
        width = min(size[1], max(1, round(self._width * scale)))
        top = int(draw[1] * (size[0] - height + 1))
        left = int(draw[2] * (size[1] - width + 1))
        return top, left, height, width
