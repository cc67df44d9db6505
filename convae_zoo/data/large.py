"""Storage for images, in memory or in a file."""

import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import DataError

RESIDENT_SHARE = 0.5
"""Share of the machine's free memory that a set of images may occupy."""


def empty_images(count: int, shape: tuple[int, int, int], *, budget: int | None = None) -> Tensor:
    """Allocate an uninitialised tensor for images, uint8 N×C×H×W.

    In memory if they fit. Otherwise in an unlinked file of the cache folder, which ends with the
    process: the system loads and drops its pages as needed, and the tensor is used like any other.

    Args:
        count: N.
        shape: (C, H, W).
        budget: bytes of memory that may be used; by default half of what is free.

    Raises:
        DataError: the file cannot be created, or the disk is too small for it.
    """
    size = count * math.prod(shape)
    if size <= (free_memory() * RESIDENT_SHARE if budget is None else budget):
        return torch.empty(count, *shape, dtype=torch.uint8)
    folder = files.cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="images-")
        try:
            os.posix_fallocate(descriptor, 0, size)
            mapped = torch.from_file(name, shared=True, size=size, dtype=torch.uint8)
        finally:
            os.close(descriptor)
            Path(name).unlink()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{count} images take {size / 1e9:.1f} GB, more than fits in free memory, and a file "
            f"for them in {folder} cannot be created: {reason}"
        ) from error
    return mapped.view(count, *shape)


def store_pictures(pictures: Iterable[Tensor]) -> Iterator[Tensor]:
    """Copy pictures to where they are kept: in memory, and in files what does not fit there.

    Args:
        pictures: uint8 C×H×W, each of its own size.

    Returns:
        Equal pictures, H×W×C in memory, which are cropped and scaled fastest.

    Raises:
        DataError: a file cannot be created.
    """
    budget = int(free_memory() * RESIDENT_SHARE)
    for picture in pictures:
        channels, height, width = picture.shape
        room = empty_images(1, (height, width, channels), budget=max(0, budget))
        budget -= picture.nbytes
        yield room[0].permute(2, 0, 1).copy_(picture)


def is_mapped(images: Tensor) -> bool:
    """Return whether images are stored in a file rather than in memory."""
    return images.untyped_storage().filename is not None


def free_memory() -> int:
    """Return the bytes of memory that are free without swapping, as far as known."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            found = dict(line.split(":", 1) for line in file)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
