"""How pictures meet a model of fixed size: whole, padded where needed, or cut into tiles."""

import math
from collections.abc import Callable, Iterator

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from convae_zoo.data import empty_images, pixels
from convae_zoo.errors import InputError
from convae_zoo.registry.specs import shape_text
from convae_zoo.tasks.estimators.pictures import Pictures

COVER = 16
"""How many random tiles a pixel is in, at most, on average."""

Size = tuple[int, int, int]
Progress = Callable[[int], object]


@attrs.frozen(kw_only=True)
class Layout:
    """How pictures become a model's images.

    Attributes:
        channels: of a picture.
        picture_size: height and width of every picture, each of which is one image; None if
            pictures of any size from a tile's on are cut into tiles.
        image_shape: the model's, (C, H, W).
    """

    channels: int
    picture_size: tuple[int, int] | None
    image_shape: Size

    @property
    def overlap(self) -> int:
        """The fewest pixels that two neighbouring tiles share: half a tile."""
        return min(self.image_shape[1:]) // 2

    @classmethod
    def of(cls, picture: Tensor, image_shape: Size) -> "Layout":
        """Choose the layout of pictures like the given one, C×H×W, for a model's images."""
        channels, *size = picture.shape
        fits = size[0] <= image_shape[1] and size[1] <= image_shape[2]
        return cls(
            channels=channels,
            picture_size=(size[0], size[1]) if fits else None,
            image_shape=image_shape,
        )

    def check(self, picture: Tensor, name: str) -> None:
        """Check the size of one picture, C×H×W; `name` is for the error.

        Raises:
            InputError: it is not the size of the others, or smaller than a tile.
        """
        height, width = picture.shape[1:]
        if self.picture_size is not None and (height, width) != self.picture_size:
            raise InputError(
                f"{name} is {height}×{width}, expected {shape_text(self.picture_size)}, "
                "as the first one in fit; bring small pictures to one size"
            )
        if self.picture_size is None and (
            height < self.image_shape[1] or width < self.image_shape[2]
        ):
            raise InputError(
                f"{name} is {height}×{width}, smaller than a tile of "
                f"{shape_text(self.image_shape[1:])}; leave it out or enlarge it"
            )

    def images(self, pictures: Pictures, progress: Progress = lambda _: None) -> Tensor:
        """Turn whole pictures into images, uint8 N×C×H×W."""
        made = empty_images(len(pictures), self.image_shape)
        for index, picture in enumerate(pictures):
            self.check(picture, pictures.name(index))
            made[index] = self.padded(picture[None])[0]
            progress(1)
        return made

    def padded(self, pictures: Tensor) -> Tensor:
        """Centre pictures N×C×h×w on black, and bring them to the model's channels."""
        coloured = self.coloured(pictures)
        (height, width), (_, h, w) = pictures.shape[-2:], self.image_shape
        top, left = (h - height) // 2, (w - width) // 2
        return functional.pad(coloured, (left, w - width - left, top, h - height - top))

    def coloured(self, pictures: Tensor) -> Tensor:
        """Bring pictures N×C×h×w to the model's channels.

        Raises:
            DataError: they have neither one nor three.
        """
        return pixels.fit_channels(pictures, self.image_shape[0])

    def cropped(self, maps: Tensor) -> Tensor:
        """Cut maps …×H×W of images to the pictures that were padded."""
        if self.picture_size is None:
            return maps
        (height, width), (_, h, w) = self.picture_size, self.image_shape
        top, left = (h - height) // 2, (w - width) // 2
        return maps[..., top : top + height, left : left + width]

    def restored(self, images: Tensor) -> Tensor:
        """Turn float images N×C×H×W into pictures: the padding is cut off; colour is averaged."""
        pictures = self.cropped(images)
        if self.channels == pixels.GREY and images.shape[1] != pixels.GREY:
            return pictures.mean(dim=1, keepdim=True)
        return pictures

    def samples(
        self,
        pictures: Pictures,
        limit: int,
        generator: torch.Generator,
        progress: Progress = lambda _: None,
    ) -> Tensor:
        """Return images to fit a model to, uint8 N×C×H×W.

        Args:
            pictures: what they are taken from.
            limit: the most tiles; they are cut at random places, up to as many from each picture.
                Whole pictures are all taken.
            generator: draws the places.
            progress: called with the number of pictures just read.
        """
        if self.picture_size is not None:
            return self.images(pictures, progress)
        each = max(1, limit // len(pictures))
        made = empty_images(each * len(pictures), self.image_shape)
        _, h, w = self.image_shape
        count = 0
        for index, picture in enumerate(pictures):
            self.check(picture, pictures.name(index))
            covering = math.ceil(picture.shape[1] * picture.shape[2] / (h * w))
            for tile in self._random_tiles(picture, min(each, covering * COVER), generator):
                made[count] = tile
                count += 1
            progress(1)
        return made[:count]

    def _random_tiles(
        self, picture: Tensor, count: int, generator: torch.Generator
    ) -> Iterator[Tensor]:
        coloured = self.coloured(picture[None])[0]
        _, h, w = self.image_shape
        rows = torch.randint(coloured.shape[1] - h + 1, (count,), generator=generator)
        columns = torch.randint(coloured.shape[2] - w + 1, (count,), generator=generator)
        for top, left in zip(rows.tolist(), columns.tolist(), strict=True):
            yield coloured[:, top : top + h, left : left + w]
