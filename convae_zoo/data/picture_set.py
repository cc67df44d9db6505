"""A set of whole pictures of different sizes, from which training takes crops."""

import functools
import hashlib

import attrs
import torch
from torch import Tensor

from convae_zoo.data import pixels
from convae_zoo.data.image_set import NOT_STATED, ImageSet
from convae_zoo.errors import DataError


@attrs.define(kw_only=True, eq=False, slots=False)
class PictureSet:
    """Whole pictures of one split of a dataset.

    Attributes:
        name: the dataset's name.
        split: ``train``, ``val``, …
        pictures: uint8, each C×H×W of its own size, on the CPU; fastest with H×W×C in memory.
        skipped: files that could not be read, each with the reason.
        license: of the pictures.
        expression: as an `ImageSet` has it.
    """

    name: str
    split: str
    pictures: tuple[Tensor, ...]
    skipped: tuple[str, ...] = ()
    license: str = NOT_STATED
    expression: str = ""

    def __attrs_post_init__(self) -> None:
        if not self.pictures:
            raise DataError(f"dataset {self.name!r} has no pictures in split {self.split!r}")
        for picture in self.pictures:
            if picture.dtype != torch.uint8 or picture.ndim != 3 or picture.numel() == 0:  # noqa: PLR2004 - C×H×W
                raise DataError(
                    f"dataset {self.name!r} must give uint8 pictures C×H×W, got {picture.dtype} of "
                    f"shape {tuple(picture.shape)}"
                )

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        """Return the set's name, split and size."""
        pixel_count = sum(p.shape[1] * p.shape[2] for p in self.pictures) / 1e6
        return (
            f"PictureSet({self.name}, split {self.split}: {len(self):,} pictures, "
            f"{pixel_count:,.1f} million pixels)"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all pictures."""
        return sum(picture.nbytes for picture in self.pictures)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sha256 of the pictures' shapes and bytes, in hex."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(repr(tuple(picture.shape)).encode())
            digest.update(picture.permute(1, 2, 0).contiguous().numpy().data)
        return digest.hexdigest()

    def fitted(self, image_shape: tuple[int, int, int]) -> ImageSet:
        """Return the set with every picture fitted to a shape as in `pixels.fit`: its middle.

        Raises:
            DataError: the channels cannot be fitted.
        """
        images = [pixels.fit(picture[None], image_shape) for picture in self.pictures]
        return ImageSet(
            name=self.name,
            split=self.split,
            images=torch.cat(images),
            skipped=self.skipped,
            license=self.license,
            expression=self.expression,
        )


def as_pictures(images: ImageSet | PictureSet) -> PictureSet:
    """Return a set of images as one of pictures, of which each may be cropped."""
    if isinstance(images, PictureSet):
        return images
    return PictureSet(
        name=images.name,
        split=images.split,
        pictures=tuple(images.images.contiguous(memory_format=torch.channels_last)),
        skipped=images.skipped,
        license=images.license,
        expression=images.expression,
    )
