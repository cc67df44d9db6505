"""Conversion of PIL images of any mode to uint8 colour, in strips to save memory."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convae_zoo.errors import DataError

_STRIP_PIXELS = 2**20
_MAX_8_BIT, _MAX_16_BIT = 255, 65535
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")

_ORIENTATION = 0x0112
_TRANSPOSED = (5, 6, 7, 8)
_FLIPS = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}
"""By EXIF orientation, the dimensions of C×H×W to flip, after the transpose if there is one."""


def from_pil(image: Image.Image, *, reduce: int = 1) -> Tensor:
    """Convert a PIL image of any mode to uint8 3×H×W, rotated according to its EXIF orientation.

    Transparent images are composited over black. Grey of more than 8 bits is scaled to 8: from
    0…65535 for 16 bits; for modes ``I`` and ``F``, which do not define a range, from the first of
    0…1 (``F`` only), 0…255 and 0…65535 that contains every value.

    Args:
        image: the image; it is loaded.
        reduce: side of the square blocks of pixels that are averaged into one pixel.

    Raises:
        DataError: the image has no pixels, or a mode that Pillow cannot convert.
    """
    if 0 in image.size:
        raise DataError(f"an image of {image.width}×{image.height} pixels has none")
    image.load()
    width, height = image.size
    top_value = _top_value(image)
    colour = torch.empty(
        3, -(-height // reduce), -(-width // reduce), dtype=torch.uint8, device="cpu"
    )
    for top, strip in _strips(image, reduce):
        converted = _to_rgb(strip, top_value)
        if reduce > 1:
            converted = converted.reduce(reduce)
        rows = torch.from_numpy(np.array(converted)).permute(2, 0, 1)
        colour[:, top // reduce : top // reduce + rows.shape[1]] = rows
    return _upright(colour, image.getexif().get(_ORIENTATION, 1))


def _strips(image: Image.Image, multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield strips of about a million pixels, each with the index of its first row."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // (width * multiple)) * multiple
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _top_value(image: Image.Image) -> int:
    """Return the value that is mapped to 255, for an image of more than 8 bits."""
    if image.mode not in {"I", "F"}:
        return _MAX_16_BIT
    highest = max(_values(strip).max() for _, strip in _strips(image, 1))
    if image.mode == "F" and highest <= 1:
        return 1
    return _MAX_8_BIT if highest <= _MAX_8_BIT else _MAX_16_BIT


def _values(image: Image.Image) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image, dtype=np.float64))


def _to_rgb(image: Image.Image, top_value: int) -> Image.Image:
    if image.mode in _WIDE_MODES:
        scaled = (_values(image) / top_value * 255).round().clip(0, 255)
        image = Image.fromarray(scaled.astype(np.uint8))
    try:
        if image.has_transparency_data:
            rgba = image.convert("LA") if image.mode == "La" else image
            rgba = rgba.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
        return image.convert("RGB")
    except ValueError as error:
        raise DataError(
            f"an image of mode {image.mode} cannot be converted to colour ({error})"
        ) from error


def _upright(colour: Tensor, orientation: object) -> Tensor:
    """Rotate uint8 C×H×W by an EXIF orientation from 1 to 8; other values have no effect."""
    if orientation in _TRANSPOSED:
        colour = colour.transpose(1, 2)
    flips = _FLIPS.get(orientation) if isinstance(orientation, int) else None
    return (colour.flip(flips) if flips else colour).contiguous()
