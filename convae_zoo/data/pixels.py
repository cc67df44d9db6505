"""Conversion of pictures to uint8 tensors of a model's shape, and to its value range and back.

How images are fitted to a model's shape (C, H, W):

- channels: grey is repeated to three; colour becomes grey by ITU-R 601 luma. Other channel counts
  must match.
- size: an image up to an eighth smaller than H×W in each dimension, and larger in neither, is
  padded with black (28×28 to 32×32). Any other is centre-cropped to the aspect ratio of H×W and
  scaled, bilinear with antialiasing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from convae_zoo.data.image_file import MAX_PIXELS, read_image
from convae_zoo.data.pil import from_pil
from convae_zoo.errors import DataError

GREY, RGB = 1, 3
_LUMA = (0.299, 0.587, 0.114)
_CHUNK_BYTES = 2**24
_MAX_8_BIT = 255


def to_float(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Map images in units of 255 to float32 in a value range: 0 to its low end, 255 to its high.

    Of uint8 images the result is bit-identical to torchvision's ``ToTensor`` and ``Normalize``.
    """
    low, high = value_range
    mean, std = -low / (high - low), 1 / (high - low)
    return images.to(torch.float32, copy=True).div_(_MAX_8_BIT).sub_(mean).div_(std)


def to_uint8(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Map float images in a value range to uint8, rounded and clipped."""
    low, high = value_range
    scaled = (images.detach().float() - low) * (255 / (high - low))
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def fit(images: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Fit uint8 images N×C×H×W to a shape (C, H, W), as described in the module's docstring.

    Raises:
        DataError: the channels cannot be fitted.
    """
    channels, height, width = image_shape
    fitted = torch.empty(
        len(images), channels, height, width, dtype=torch.uint8, device=images.device
    )
    step = max(1, _CHUNK_BYTES // max(1, images[:1].numel()))
    for start in range(0, len(images), step):
        part = _fit_size(fit_channels(images[start : start + step], channels), (height, width))
        fitted[start : start + step] = part
    return fitted


def fit_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Fit bool masks N×H×W to a size as their images are; a pixel is true where most of it was."""
    grey = masks[:, None].to(torch.uint8) * _MAX_8_BIT
    return fit(grey, (GREY, *size))[:, 0] > _MAX_8_BIT // 2


def fit_channels(images: Tensor, channels: int) -> Tensor:
    """Fit the channels of uint8 images N×C×H×W, as described in the module's docstring.

    Raises:
        DataError: they cannot be fitted.
    """
    have = images.shape[1]
    if have == channels:
        return images
    if have == GREY and channels == RGB:
        return images.expand(-1, RGB, -1, -1)
    if have == RGB and channels == GREY:
        luma = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
        return (images.float() * luma).sum(1, keepdim=True).round().to(torch.uint8)
    raise DataError(
        f"images have {have} channels but the model takes {channels}; "
        f"only grey and colour are converted: create the model with in_channels={have}"
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
    return resize(images[..., top : top + rows, left : left + columns], size)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale uint8 images N×C×H×W to a height and width, bilinear with antialiasing."""
    if tuple(images.shape[-2:]) == size:
        return images
    if size == (1, 1) or images.is_cuda:
        images = images.float()  # uint8 to 1×1 trips an assertion of PyTorch; CUDA has no uint8
    scaled = functional.interpolate(
        images, size, mode="bilinear", antialias=True, align_corners=False
    )
    return scaled.round().to(torch.uint8) if scaled.is_floating_point() else scaled


def read_fitted(
    path: str | Path, image_shape: tuple[int, int, int], *, max_pixels: int = MAX_PIXELS
) -> Tensor:
    """Read an image file and fit it to a shape (C, H, W): uint8 1×C×H×W.

    Raises:
        DataError: the file is missing, too large, damaged or no image; it is named.
    """
    image = read_image(path, max_pixels=max_pixels, scaled_to=image_shape[1:])
    try:
        return fit(image[None], image_shape)
    except (DataError, MemoryError) as error:
        raise DataError(f"{path}: {str(error) or 'there is not enough memory for it'}") from error


def load_pictures(
    pictures: Any, image_shape: tuple[int, int, int], *, max_pixels: int = MAX_PIXELS
) -> Tensor:
    """Convert one picture or several, of any type, to uint8 N×C×H×W of a shape, on the CPU.

    Args:
        pictures: a PIL image, a path, an array or a uint8 tensor; or a sequence of them.
        image_shape: (C, H, W).
        max_pixels: image files with more pixels are refused; see `read_image`.

    Raises:
        DataError: a picture that cannot be read, or an unsupported type.
    """
    several = pictures if _is_several(pictures) else [pictures]
    batches = [
        read_fitted(p, image_shape, max_pixels=max_pixels)
        if isinstance(p, str | Path)
        else fit(picture_tensor(p), image_shape)
        for p in several
    ]
    if not batches:
        raise DataError("no pictures were given")
    return torch.cat(batches)


def _is_several(pictures: Any) -> bool:
    return isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes)


def picture_tensor(picture: Any) -> Tensor:
    """Convert a PIL image, an array or a uint8 tensor to uint8 N×C×H×W, on the CPU.

    Raises:
        DataError: it has another form, or no pixels.
    """
    images = _to_images(picture)
    if images.numel() == 0:
        raise DataError(f"a picture of shape {tuple(images.shape)} (N, C, H, W) has no pixels")
    return images


def _to_images(picture: Any) -> Tensor:
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
