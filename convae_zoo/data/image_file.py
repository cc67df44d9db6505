"""Decoding of image files, with limits on pixels and memory.

Image files are untrusted: a few kilobytes may declare gigabytes of pixels, and one flipped byte may
make a decoder raise any exception. Every failure becomes a `DataError` that names the file.
"""

import contextlib
import ctypes
import functools
import logging
import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from convae_zoo.data.pil import from_pil
from convae_zoo.errors import DataError

T = TypeVar("T")

MAX_PIXELS = 2**26
"""The default maximum of pixels of an image file: 8192×8192."""

EXACT_PIXELS = 2**24
"""An image with more pixels that will be scaled down is already reduced while it is decoded."""

_BYTES_PER_PIXEL = {
    "PNG": 4,
    "BMP": 4,
    "GIF": 4,
    "JPEG": 10,
    "AVIF": 16,
    "WEBP": 17,
    "JPEG2000": 20,
}
"""Memory that Pillow's decoders need, as measured; for JPEG that of a progressive one."""

_OTHER_BYTES_PER_PIXEL = 8
_AFFORDED_BYTES_PER_PIXEL = 10
_DECODING_BYTES = 512 * 2**20
_LARGE_BYTES = 2**26
_READ_WHOLE = frozenset({"AVIF", "WEBP", "ICNS", "JPEG2000"})
_READ_WHOLE_BYTES = 2**26
_SEQUENCES = frozenset({"AVIF", "GIF", "PNG", "TIFF", "WEBP"})
"""Formats whose further frames are pictures; those of a phone's JPEG are previews."""

_RUNS_PROGRAMS = frozenset({"EPS"})  # Pillow would start Ghostscript


def read_image(
    path: str | Path,
    *,
    max_pixels: int = MAX_PIXELS,
    scaled_to: tuple[int, int] | None = None,
) -> Tensor:
    """Read an image file of any mode as uint8 3×H×W, rotated according to its EXIF orientation.

    Transparent images are composited over black. All threads' decoders together use at most
    512 MiB.

    Args:
        path: the file.
        max_pixels: files with more pixels are refused; formats that need much memory to decode
            (WebP, AVIF, JPEG 2000) are allowed proportionally fewer. Pillow's own limit of 179
            million pixels, ``PIL.Image.MAX_IMAGE_PIXELS``, also applies.
        scaled_to: the height and width that the caller will scale the image to. An image of more
            than `EXACT_PIXELS` is then reduced by an integer factor while it is decoded, to no less
            than twice that size.

    Raises:
        DataError: the file is missing, too large, damaged, no image, or several in one, as in an
            animation.
    """

    def decode(image: Image.Image) -> Tensor:
        factor = _reduction(image.size, scaled_to)
        if factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))  # JPEG only
            factor = _reduction(image.size, scaled_to)
        return from_pil(image, reduce=factor)

    return decode_image(path, decode, max_pixels=max_pixels)


def decode_image(
    path: str | Path, decode: Callable[[Image.Image], T], *, max_pixels: int = MAX_PIXELS
) -> T:
    """Open an image file and decode it, in the memory that all threads' decoders share.

    Args:
        path: the file.
        decode: called with the open image.
        max_pixels: as `read_image` takes it.

    Raises:
        DataError: the file is missing, too large, damaged, no image, or several in one, as in an
            animation; or `decode` fails.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - Path's own raises where access is denied
        # Opening a pipe would block forever.
        if os.path.isdir(path):  # noqa: PTH112 - the same
            raise DataError(f"{path} is a folder, not an image file")
        raise DataError(f"no image file at {path}")
    try:
        with (
            Image.open(path, formats=_formats(Path(path).stat().st_size)) as image,
            _DECODING.reserved(_needed_bytes(image, max_pixels)),
        ):
            _check_single(image)
            return decode(image)
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that can be read") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except MemoryError as error:
        raise DataError(f"{path} cannot be read: there is not enough memory for it") from error
    except Exception as error:  # Pillow's decoders raise anything for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read: {reason}") from error


def _needed_bytes(image: Image.Image, max_pixels: int) -> int:
    """Return the memory that decoding an image takes, unless it has too many pixels."""
    pixels = math.prod(image.size)
    per_pixel = _BYTES_PER_PIXEL.get(image.format or "", _OTHER_BYTES_PER_PIXEL)
    allowed = max_pixels * _AFFORDED_BYTES_PER_PIXEL // max(per_pixel, _AFFORDED_BYTES_PER_PIXEL)
    if pixels > allowed:
        raise DataError(
            f"its {image.width:,}×{image.height:,} pixels are more than the {allowed:,} allowed "
            f"for {image.format}; scale it down, or raise max_pixels (--max-pixels)"
        )
    return pixels * (per_pixel + 3)


def _check_single(image: Image.Image) -> None:
    """Refuse an animation and a file of several pages: all but the first would be lost."""
    if image.format in _SEQUENCES and getattr(image, "is_animated", False):
        raise DataError("it has several frames or pages; save each as a file of its own")


def _reduction(size: tuple[int, int], scaled_to: tuple[int, int] | None) -> int:
    """Return the integer factor to reduce an image by while it is decoded."""
    if scaled_to is None:
        return 1
    factor = math.ceil(math.sqrt(math.prod(size) / EXACT_PIXELS))
    return max(1, min(factor, min(size) // (2 * max(scaled_to))))


@functools.cache
def _all_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _RUNS_PROGRAMS)


def _formats(file_bytes: int) -> tuple[str, ...]:
    """Return the formats allowed for a file's size; some decoders read the whole file first."""
    if file_bytes <= _READ_WHOLE_BYTES:
        return _all_formats()
    return tuple(name for name in _all_formats() if name not in _READ_WHOLE)


class _MemoryBudget:
    """A memory budget shared by threads: each waits for its amount; a larger one runs alone."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def reserved(self, amount: int) -> Iterator[None]:
        amount = min(amount, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            if amount >= _LARGE_BYTES:
                _return_freed_memory()
            with self._changed:
                self._free += amount
                self._changed.notify_all()


def _return_freed_memory() -> None:
    """Let the C library return freed memory; it would keep that of each thread. Only in glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


_DECODING = _MemoryBudget(_DECODING_BYTES)

# Some decoders also log what they raise; without a handler that would be a second line on stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())
