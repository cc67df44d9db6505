"""Whole pictures: kept at their own size and depth, with their transparency, and written back so.

Values are in units of 255 whatever the depth: uint8, or float32 with black at 0 and white at 255.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from convae_zoo.data.image_file import MAX_PIXELS, decode_image
from convae_zoo.errors import DataError

Array = NDArray[Any]

_MAX_16_BIT = 65535
_STRIP_PIXELS = 2**20
_CHANNELS, _ALPHA_CHANNELS = (1, 2, 3, 4), (2, 4)
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_PLAIN = ("L", "LA", "RGB", "RGBA")
_JPEG_QUALITY = 95
_KEEPS_EXIF = ("JPEG", "PNG", "WEBP")
_NO_ALPHA = ("JPEG", "BMP", "PPM")
_DEEP_FORMATS = ("PNG", "TIFF")
_FORMS = (
    "a PIL image, a path, or an array H×W or H×W×C, uint8 or float in [0, 1], C of 1 or 3, or of "
    "2 or 4 with transparency"
)


@attrs.frozen(eq=False)
class WholePicture:
    """A picture's colours, apart from what a model does not change.

    Attributes:
        values: C×H×W with C of 1 or 3, in units of 255: uint8 or float32.
        alpha: H×W×1, of `dtype`; None if the picture is opaque.
        dtype: of the picture: uint8, uint16 (in files) or float32 (in arrays).
        flat: whether a grey picture is H×W, without an axis for its channel.
        metadata: what a file keeps beside its pixels, as Pillow's ``save`` takes it.
    """

    values: Tensor
    alpha: Array | None = None
    dtype: Any = np.uint8
    flat: bool = False
    metadata: dict[str, Any] = attrs.field(factory=dict)

    def restored(self, values: Tensor) -> Array:
        """Return other values, C×H×W in units of 255, in the picture's own form and depth.

        A float picture is not clipped; others are rounded and clipped.
        """
        count, height, width = values.shape
        colour = np.empty((height, width, count), dtype=self.dtype)
        rows = max(1, _STRIP_PIXELS // width)
        for top in range(0, height, rows):  # or the temporaries would be as large as the picture
            strip = values[:, top : top + rows].permute(1, 2, 0).numpy()
            colour[top : top + rows] = self._in_depth(strip)
        if self.alpha is not None:
            return np.concatenate([colour, self.alpha], axis=2)
        return colour[..., 0] if self.flat else colour

    def _in_depth(self, values: Array) -> Array:
        if self.dtype == np.float32:
            return values / np.float32(255)
        white = np.iinfo(self.dtype).max
        return np.rint(values * np.float32(white / 255)).clip(0, white)


def whole_picture(picture: Any, *, max_pixels: int = MAX_PIXELS) -> WholePicture:
    """Take a picture as it is: a path, a PIL image, or an array.

    Files and PIL images are rotated according to their EXIF orientation. Palettes and colour spaces
    other than grey and RGB become RGB.

    Args:
        picture: a path; a PIL image; or an array H×W or H×W×C, uint8 or float with black at 0 and
            white at 1, where noise may leave that range.
        max_pixels: image files with more pixels are refused; see `read_image`.

    Raises:
        DataError: it has another form or no pixels, its values are not finite, or it is a file that
            cannot be read or has a depth that cannot be kept; the file is named.
    """
    if isinstance(picture, str | Path):
        return decode_image(picture, _from_pil, max_pixels=max_pixels)
    if isinstance(picture, Image.Image):
        return _from_pil(picture.copy())
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    raise DataError(f"a picture must be {_FORMS}; got {type(picture).__name__}")


def encode_picture(array: Array, picture: WholePicture, name: str) -> bytes:
    """Return an image file's bytes; the name's suffix decides on the format.

    Args:
        array: as `WholePicture.restored` returns it, of a picture that is not float.
        picture: its metadata are kept.
        name: of the file.

    Raises:
        DataError: the format is unknown, or cannot hold the picture's depth or transparency.
    """
    kind = format_of(name)
    if kind is None:
        raise DataError(f"{name} does not end in the suffix of an image format that can be written")
    if array.dtype == np.uint16 and kind not in _DEEP_FORMATS:
        raise DataError(f"{name}: {kind} cannot hold 16 bits per pixel; name a .png or .tif file")
    if picture.alpha is not None and kind in _NO_ALPHA:
        raise DataError(f"{name}: {kind} has no transparency; name a .png file")
    options = dict(picture.metadata)
    if kind not in _KEEPS_EXIF:
        options.pop("exif", None)
    if kind in {"JPEG", "WEBP"}:
        options |= {"quality": _JPEG_QUALITY}
    if kind == "JPEG":
        options |= {"subsampling": 0}
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array).save(file, kind, **options)
    return file.getvalue()


def format_of(name: str) -> str | None:
    """Return the format that is written for a file's name, or None."""
    kind = Image.registered_extensions().get(Path(name).suffix.lower())
    return kind if kind in Image.SAVE else None


def _from_pil(image: Image.Image) -> WholePicture:
    if 0 in image.size:
        raise DataError(f"an image of {image.width}×{image.height} pixels has none")
    if image.mode not in _DEEP_GREY and any(
        ";16" in str(tile) for tile in getattr(image, "tile", ())
    ):
        raise DataError(
            "it has 16 bits in each of several channels, of which Pillow reads 8; convert it to 8 "
            "bits, or to grey"
        )
    image.load()
    metadata = {}
    ImageOps.exif_transpose(image, in_place=True)
    with contextlib.suppress(Exception):  # damaged metadata are dropped
        metadata = {"exif": image.getexif().tobytes()} if image.getexif() else {}
    if profile := image.info.get("icc_profile"):
        metadata["icc_profile"] = profile
    if image.mode in _DEEP_GREY:
        return _deep_grey(image, metadata)
    if image.mode == "F":
        raise DataError("it has 32-bit floats; pass its values as a float array in [0, 1]")
    if image.mode not in _PLAIN:
        if image.has_transparency_data:
            image = image.convert("LA" if image.mode == "La" else "RGBA")
        else:
            image = image.convert("L" if image.mode == "1" else "RGB")
            metadata.pop("icc_profile", None)  # of the old colour space
    elif image.mode in {"L", "RGB"} and "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    return attrs.evolve(_from_array(np.array(image)), metadata=metadata)


def _deep_grey(image: Image.Image, metadata: dict[str, Any]) -> WholePicture:
    grey = np.array(image)
    if grey.min() < 0 or grey.max() > _MAX_16_BIT:
        raise DataError("its values are beyond 16 bits; pass them as a float array in [0, 1]")
    values = torch.from_numpy(grey.astype(np.float32)).mul_(255 / _MAX_16_BIT)
    return WholePicture(values[None], dtype=np.uint16, flat=True, metadata=metadata)


def _from_array(array: Array) -> WholePicture:
    is_float = np.issubdtype(array.dtype, np.floating)
    channels = 1 if array.ndim == 2 else array.shape[-1]  # noqa: PLR2004 - H×W
    if (
        array.ndim not in {2, 3}
        or channels not in _CHANNELS
        or (array.dtype != np.uint8 and not is_float)
    ):
        raise DataError(f"a picture must be {_FORMS}; got {array.dtype} {array.shape}")
    if array.size == 0:
        raise DataError(f"a picture of shape {array.shape} has no pixels")
    if is_float and not np.isfinite(array).all():
        raise DataError("a picture has values that are not finite")
    dtype = np.float32 if is_float else np.uint8
    planes = array.reshape(*array.shape[:2], channels).astype(dtype)
    alpha = None
    if channels in _ALPHA_CHANNELS:
        planes, alpha = planes[..., :-1], planes[..., -1:]
    values = torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))
    if is_float:
        values = values * 255
    return WholePicture(values, alpha, dtype, flat=array.ndim == 2)  # noqa: PLR2004 - H×W
