"""Pictures to uint8 tensors of a model's shape, and uint8 to its value range and back.

The rule by which images are fitted to a model's shape (C, H, W):

- channels: grey is repeated to three; colour becomes grey by ITU-R 601 luma. Other counts must
  agree.
- size: an image that is no larger than H×W and at least half of it on both sides is centred on
  black (28×28 into 32×32); any other is scaled with antialiasing until it covers H×W, and its
  middle is cut out.
"""

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
_CHUNK = 4096


def to_float(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Map uint8 images to float32 in a value range: 0 to its low end, 255 to its high end."""
    low, high = value_range
    return images.float().mul_((high - low) / 255).add_(low)


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
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK]
        fitted[start : start + _CHUNK] = _fit_size(_fit_channels(part, channels), (height, width))
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
    if height <= h <= 2 * height and width <= w <= 2 * width:
        top, left = (h - height) // 2, (w - width) // 2
        return functional.pad(images, (left, w - width - left, top, h - height - top))
    scale = max(h / height, w / width)
    cover = (max(h, round(height * scale)), max(w, round(width * scale)))
    scaled = functional.interpolate(
        images.float(), cover, mode="bilinear", antialias=True, align_corners=False
    )
    top, left = (cover[0] - h) // 2, (cover[1] - w) // 2
    return scaled[..., top : top + h, left : left + w].round().clamp(0, 255).to(torch.uint8)


def read_image(path: str | Path) -> Tensor:
    """Read an image file of any mode as uint8 3×H×W, upright as its EXIF data says.

    Transparency is laid over black.

    Raises:
        DataError: the file is missing, or no image, or damaged.
    """
    try:
        with Image.open(path) as image:
            return from_pil(image)
    except FileNotFoundError:
        raise DataError(f"no image file at {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not an image file") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that can be read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def from_pil(image: Image.Image) -> Tensor:
    """Turn a PIL image of any mode into uint8 3×H×W."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in {"I", "I;16", "I;16B", "I;16L", "F"}:
        values = np.asarray(upright, dtype=np.float64)
        top = 1.0 if upright.mode == "F" and values.max(initial=0) <= 1 else 65535.0
        if upright.mode != "I;16" and values.max(initial=0) <= 255 and top != 1.0:  # noqa: PLR2004 - 8 bits
            top = 255.0
        upright = Image.fromarray((values / top * 255).clip(0, 255).round().astype(np.uint8))
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    array = np.array(upright.convert("RGB"))
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def load_pictures(pictures: Any, image_shape: tuple[int, int, int]) -> Tensor:
    """Turn one picture or several, in any form, into uint8 N×C×H×W of a shape.

    Raises:
        DataError: a picture that cannot be read, or a form that is not known.
    """
    several = pictures if _is_several(pictures) else [pictures]
    batches = [fit(_picture(p), image_shape) for p in several]
    if not batches:
        raise DataError("no pictures were given")
    return torch.cat(batches)


def _is_several(pictures: Any) -> bool:
    return isinstance(pictures, Sequence) and not isinstance(pictures, str)


def _picture(picture: Any) -> Tensor:
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
