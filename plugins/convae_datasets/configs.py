"""Configs of the datasets; no torch here."""

import attrs

from convae_zoo import fields

LARGEST_FILE = 2**26
"""Pixels of an image file, as `convae_zoo.data.MAX_PIXELS`, which needs torch."""

LARGEST_PATCH = 300
"""The shortest side of the smallest photograph that `photos` cuts."""

TEXTURES = ("brick", "grass", "gravel")
"""The photographs of `defects`."""

LARGEST_WINDOW = 160
"""The largest picture of `defects`; the part for the test is 192 pixels wide."""


@attrs.frozen(kw_only=True)
class PhotosConfig:
    """Config of `photos` and `photos-chelsea-coffee`.

    Attributes:
        image_size: height and width of a patch, from 8 to 300 pixels.
    """

    image_size: int = fields.integer(32, minimum=8)

    def __attrs_post_init__(self) -> None:
        if self.image_size > LARGEST_PATCH:
            raise ValueError(
                f"image_size must be at most {LARGEST_PATCH}, the size of the smallest "
                f"photograph, got {self.image_size}; for larger images use image-folder"
            )


@attrs.frozen(kw_only=True)
class TorchvisionConfig:
    """Config of the sets that torchvision reads.

    Attributes:
        path: the folder that holds the set, in torchvision's layout; None is the user's cache.
        download: download missing data into that folder.
    """

    path: str | None = fields.text()
    download: bool = fields.flag(default=False)


@attrs.frozen(kw_only=True)
class ImageFolderConfig:
    """Config of `image-folder`.

    Attributes:
        path: the folder.
        image_size: height and width that the images are fitted to.
        val_fraction: the part of the images that is kept for validation, from 0 to 1, where the
            folder has no splits of its own.
        max_pixels: image files with more pixels are skipped.
    """

    path: str | None = fields.text()
    image_size: int = fields.integer(32)
    val_fraction: float = fields.number(0.1, minimum=0, maximum=1)
    max_pixels: int = fields.integer(LARGEST_FILE)


@attrs.frozen(kw_only=True)
class AnomalyFolderConfig:
    """Config of `anomaly-folder`.

    Attributes:
        path: the folder.
        image_size: height and width that the images are fitted to; 0 keeps their own.
        val_fraction: the part of the normal training images that is kept for validation.
        max_pixels: image files with more pixels are skipped.
    """

    path: str | None = fields.text()
    image_size: int = fields.integer(0, minimum=0)
    val_fraction: float = fields.number(0.1, minimum=0, maximum=1)
    max_pixels: int = fields.integer(LARGEST_FILE)


@attrs.frozen(kw_only=True)
class DefectsConfig:
    """Config of `defects`.

    Attributes:
        texture: the photograph: brick, grass or gravel.
        image_size: height and width of a picture, from 32 to 160 pixels.
    """

    texture: str = fields.choice("brick", TEXTURES)
    image_size: int = fields.integer(96, minimum=32)

    def __attrs_post_init__(self) -> None:
        if self.image_size > LARGEST_WINDOW:
            raise ValueError(
                f"image_size must be at most {LARGEST_WINDOW}, got {self.image_size}: the part of "
                "the photograph for the test is not much wider"
            )
