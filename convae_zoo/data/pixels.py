"""Pictures to uint8 tensors of a model's shape, and uint8 to its value range and back.

The rule by which images are fitted to a model's shape (C, H, W):

- channels: grey is repeated to three; colour becomes grey by ITU-R 601 luma. Other counts must
  agree.
- size: an image that lacks at most an eighth of H and of W, and is larger in neither, is centred
  on black (28×28 into 32×32). Of any other, the middle part that has the shape of H×W is scaled
  to it, bilinear with antialiasing.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from convae_zoo.errors import DataError

GREY, RGB = 1, 3
_LUMA = (0.299, 0.587, 0.114)
_CHUNK_BYTES = 2**24
_MAX_8_BIT, _MAX_16_BIT = 255, 65535


def to_float(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Map uint8 images to float32 in a value range: 0 to its low end, 255 to its high end.

    To the bit what torchvision's ``ToTensor`` and ``Normalize`` give.
    """
    low, high = value_range
    mean, std = -low / (high - low), 1 / (high - low)
    return images.to(torch.float32, copy=True).div_(_MAX_8_BIT).sub_(mean).div_(std)


def to_uint8(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Map float images in a value range to uint8, rounded; what is outside is clipped."""
    low, high = value_range
    scaled = (images.detach().float() - low) * (255 / (high - low))
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def fit(images: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Fit uint8 images N×C×H×W to a shape (C, H, W) by the rule at the head of this file.

    Raises:
        DataError: the channels cannot be fitted.
    """
    channels, height, width = image_shape
    fitted = torch.empty(len(images), channels, height, width, dtype=torch.uint8)
    step = max(1, _CHUNK_BYTES // max(1, images[:1].numel()))
    for start in range(0, len(images), step):
        part = _fit_size(_fit_channels(images[start : start + step], channels), (height, width))
        fitted[start : start + step] = part
    return fitted


def _fit_channels(images: Tensor, channels: int) -> Tensor:
    have = images.shape[1]
    if have == channels:
        return images
    if have == GREY and channels == RGB:
        return images.expand(-1, RGB, -1, -1)
    if have == RGB and channels == GREY:
        luma = torch.tensor(_LUMA).view(1, 3, 1, 1)
        return (images.float() * luma).sum(1, keepdim=True).round().to(torch.uint8)
    raise DataError(
        f"images have {have} channels but the model takes {channels}; "
        f"only grey and colour are turned into each other: make the model with in_channels={have}"
    )


def _fit_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    (height, width), (h, w) = images.shape[-2:], size
    if (height, width) == (h, w):
        return images
    if 7 * h <= 8 * height <= 8 * h and 7 * w <= 8 * width <= 8 * w:
        top, left = (h - height) // 2, (w - width) // 2
        return functional.pad(images, (left, w - width - left, top, h - height - top))
    scale = max(h / height, w / width)
    rows, columns = max(1, round(h / scale)), max(1, round(w / scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    middle = images[..., top : top + rows, left : left + columns]
    if h == w == 1:
        middle = middle.float()  # uint8 to 1×1 trips an internal assertion of PyTorch
    scaled = functional.interpolate(
        middle, (h, w), mode="bilinear", antialias=True, align_corners=False
    )
    return scaled.round().to(torch.uint8) if scaled.is_floating_point() else scaled


def read_image(path: str | Path) -> Tensor:
    """Read an image file of any mode as uint8 3×H×W, upright as its EXIF data says.

    Transparency is laid over black.

    Raises:
        DataError: the file is missing, or no image, or damaged.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - Path's own raises where access is denied
        # Opening a pipe would wait for ever.
        if os.path.isdir(path):  # noqa: PTH112 - the same
            raise DataError(f"{path} is a folder, not an image file")
        raise DataError(f"no image file at {path}")
    try:
        with Image.open(path) as image:
            return from_pil(image)
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that can be read") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    # What Pillow's readers raise for damaged files.
    except (
        OSError,
        ValueError,
        SyntaxError,
        struct.error,
        OverflowError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        Image.DecompressionBombError,
    ) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def from_pil(image: Image.Image) -> Tensor:
    """Turn a PIL image of any mode into uint8 3×H×W, upright as its EXIF data says.

    Transparency is laid over black. Grey of more than 8 bits is scaled to 8: from 0…65535 for 16
    bits; for mode ``I`` or ``F``, which do not say, from the first of 0…1 (``F`` only), 0…255 and
    0…65535 that holds every value.

    Raises:
        DataError: the image has no pixels, or a mode that Pillow cannot convert.
    """
    if 0 in image.size:
        raise DataError(f"an image of {image.width}×{image.height} pixels has none")
    upright = ImageOps.exif_transpose(image)
    if upright.mode in {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}:
        upright = _to_8_bits(upright)
    try:
        if upright.has_transparency_data:
            rgba = upright.convert("LA") if upright.mode == "La" else upright
            rgba = rgba.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
        array = np.array(upright.convert("RGB"))
    except ValueError as error:
        raise DataError(
            f"an image of mode {image.mode} cannot be turned into colour ({error})"
        ) from error
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def _to_8_bits(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    most = values.max()
    if image.mode == "F" and most <= 1:
        top = 1
    elif image.mode in {"I", "F"} and most <= _MAX_8_BIT:
        top = _MAX_8_BIT
    else:
        top = _MAX_16_BIT
    return Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))


def load_pictures(pictures: Any, image_shape: tuple[int, int, int]) -> Tensor:
    """Turn one picture or several, in any form, into uint8 N×C×H×W of a shape, on the CPU.

    Raises:
        DataError: a picture that cannot be read, or a form that is not known.
    """
    several = pictures if _is_several(pictures) else [pictures]
    batches = [fit(_picture(p), image_shape) for p in several]
    if not batches:
        raise DataError("no pictures were given")
    return torch.cat(batches)


def _is_several(pictures: Any) -> bool:
    return isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes)


def _picture(picture: Any) -> Tensor:
    images = _to_images(picture)
    if images.numel() == 0:
        raise DataError(f"a picture of shape {tuple(images.shape)} (N, C, H, W) has no pixels")
    return images


def _to_images(picture: Any) -> Tensor:
    if isinstance(picture, str | Path):
        return read_image(picture)[None]
    if isinstance(picture, Image.Image):
        return from_pil(picture)[None]
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Tensor) and picture.dtype == torch.uint8 and picture.ndim in {3, 4}:
        return picture.cpu() if picture.ndim == 4 else picture.cpu()[None]  # noqa: PLR2004 - N×C×H×W
    form = f"{picture.dtype} {tuple(picture.shape)}" if isinstance(picture, Tensor) else ""
    raise DataError(
        "a picture must be a PIL image, a path, a uint8 array H×W, H×W×C or N×H×W×C, or a uint8 "
        f"tensor C×H×W or N×C×H×W, got {type(picture).__name__} {form}".rstrip()
    )


def _from_array(array: "np.ndarray[Any, Any]") -> Tensor:
    if array.dtype != np.uint8 or array.ndim not in {2, 3, 4}:
        raise DataError(
            "an array of pixels must be uint8, H×W, H×W×C or N×H×W×C, got "
            f"{array.dtype} {array.shape}"
        )
    tensor = torch.from_numpy(np.array(array))
    if tensor.ndim == 2:  # noqa: PLR2004 - H×W
        return tensor[None, None]
    return (tensor if tensor.ndim == 4 else tensor[None]).permute(0, 3, 1, 2)  # noqa: PLR2004 - N×H×W×C
