"""The pictures that an estimator is given: one sequence of uint8 tensors, whatever their form."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from convae_zoo.data import ImageSet, pixels
from convae_zoo.data.image_file import MAX_PIXELS, read_image
from convae_zoo.errors import DataError, InputError
from convae_zoo.registry.specs import shape_text

_CHANNELS = (pixels.GREY, pixels.RGB)
FORMS = (
    "uint8 images N×C×H×W or N×H×W×C, a list of paths or PIL images, an ImageSet, or a 2-D array "
    "with image_shape"
)


@attrs.frozen(eq=False)
class Pictures:
    """Pictures that are read one by one.

    Attributes:
        items: uint8 N×C×H×W; or paths, PIL images, arrays and tensors.
        channels: channels of every picture; None for those that the pictures have.
        max_pixels: image files with more pixels are refused.
        numbers: of the pictures among all that were given; None for 0, 1, 2, …
    """

    items: Tensor | Sequence[Any]
    channels: int | None = None
    max_pixels: int = MAX_PIXELS
    numbers: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Tensor:
        """Read one picture, uint8 C×H×W on the CPU.

        Raises:
            InputError: it cannot be read, or has other channels.
        """
        item = self.items[index]
        try:
            if isinstance(item, str | Path):
                picture = self._colour(read_image(item, max_pixels=self.max_pixels))
            elif isinstance(item, Image):
                picture = self._colour(pixels.picture_tensor(item)[0])
            else:
                (picture,) = pixels.picture_tensor(item)
        except InputError:
            raise
        except (DataError, ValueError) as error:
            is_file = isinstance(item, str | Path)  # which the error names
            raise InputError(f"{error}" if is_file else f"{self.name(index)}: {error}") from error
        if len(picture) not in _known(self.channels):
            raise InputError(
                f"{self.name(index)} has {len(picture)} channels, expected "
                f"{_expected(self.channels)}"
            )
        return picture

    def name(self, index: int) -> str:
        """Name a picture for an error: its path, or its number among all that were given."""
        item = self.items[index]
        if isinstance(item, str | Path):
            return str(item)
        return f"picture {index if self.numbers is None else self.numbers[index]}"

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))

    def chosen(self, indices: Sequence[int]) -> "Pictures":
        """Return some of the pictures."""
        numbers = [index if self.numbers is None else self.numbers[index] for index in indices]
        if isinstance(self.items, Tensor):
            return attrs.evolve(self, items=self.items[list(indices)], numbers=numbers)
        items = [self.items[index] for index in indices]
        return attrs.evolve(self, items=items, numbers=numbers)

    def _colour(self, picture: Tensor) -> Tensor:
        """Make a picture from a file grey if one channel is expected."""
        if self.channels != pixels.GREY:
            return picture
        return pixels.fit(picture[None], (pixels.GREY, *picture.shape[1:]))[0]


def is_pictures(X: Any) -> bool:  # noqa: N803 - scikit-learn's name
    """Return whether X holds pictures rather than a table of numbers."""
    if isinstance(X, ImageSet | Tensor):
        return True
    if isinstance(X, np.ndarray):
        return X.ndim > 2 or X.dtype.kind in "US"  # noqa: PLR2004 - a table has two dimensions
    if isinstance(X, list | tuple) and X:
        first = X[0]
        return isinstance(first, str | Path | Image | Tensor) or (
            isinstance(first, np.ndarray) and first.ndim > 1
        )
    return False


def as_pictures(
    X: Any,  # noqa: N803 - the same
    channels: int | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
) -> Pictures:
    """Bring pictures of any form into one.

    Args:
        X: of the forms in `FORMS`, but no table. Of a list each item is a picture: a path, a PIL
            image, a uint8 array H×W or H×W×C, or a uint8 tensor C×H×W. Image files and PIL images
            have three channels, or one if `channels` is 1. N×H×W are grey pictures.
        channels: of every picture; by default those that X has.
        max_pixels: image files with more pixels are refused.

    Raises:
        InputError: X has another form, or no pictures.
    """
    if isinstance(X, ImageSet):
        X = X.images  # noqa: N806 - the same
    if isinstance(X, np.ndarray) and X.dtype.kind in "US":
        X = [str(path) for path in X.ravel()]  # noqa: N806 - the same
    if isinstance(X, np.ndarray | Tensor):
        X = _as_tensor(X, channels)  # noqa: N806 - the same
    if len(X) == 0:
        raise InputError("X has no pictures (0 samples); at least 1 is required")
    return Pictures(X, channels, max_pixels)


def _as_tensor(images: "np.ndarray[Any, Any] | Tensor", channels: int | None) -> Tensor:
    shape, dtype = tuple(images.shape), str(images.dtype).removeprefix("torch.")
    if dtype != "uint8" or len(shape) not in {3, 4}:
        raise InputError(f"X must be {FORMS}; got {dtype} of shape {shape_text(shape)}")
    tensor = torch.from_numpy(np.array(images)) if isinstance(images, np.ndarray) else images.cpu()
    if tensor.ndim == 3:  # noqa: PLR2004 - N×H×W
        tensor = tensor[:, None]
    known = _known(channels)
    if tensor.shape[1] in known:
        return tensor
    if tensor.shape[3] in known:
        return tensor.permute(0, 3, 1, 2).contiguous()
    raise InputError(
        f"X of shape {shape_text(shape)} has no axis of {_expected(channels)} channels; give "
        "N×C×H×W or N×H×W×C"
    )


def _known(channels: int | None) -> tuple[int, ...]:
    return _CHANNELS if channels is None else (channels,)


def _expected(channels: int | None) -> str:
    return " or ".join(map(str, _CHANNELS)) if channels is None else f"{channels} (as in fit)"
