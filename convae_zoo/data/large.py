"""Room for images, however many there are."""

import math
import os
import tempfile
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from convae_zoo.errors import DataError

RESIDENT_SHARE = 0.5
"""Share of the machine's free memory that a set of images may fill."""


def empty_images(count: int, shape: tuple[int, int, int], *, budget: int | None = None) -> Tensor:
    """Make room for images: uint8 N×C×H×W, not yet filled.

    In memory where they fit. Otherwise in a file of the cache folder that has no name any more, so
    that it goes with the process; the system then reads and drops its pages as they are needed, and
    whoever uses the tensor sees no difference.

    Args:
        count: N.
        shape: (C, H, W).
        budget: bytes that may be filled in memory; by default half of what is free.

    Raises:
        DataError: the file cannot be made, or the disk has not the room.
    """
    size = count * math.prod(shape)
    if size <= (free_memory() * RESIDENT_SHARE if budget is None else budget):
        return torch.empty(count, *shape, dtype=torch.uint8)
    folder = Path(platformdirs.user_cache_dir("convae_zoo"))
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
            f"{count} images take {size / 1e9:.1f} GB, more than the memory has free, and a file "
            f"for them in {folder} cannot be made: {reason}"
        ) from error
    return mapped.view(count, *shape)


def is_mapped(images: Tensor) -> bool:
    """Tell whether images lie in a file rather than in memory."""
    return images.untyped_storage().filename is not None


def free_memory() -> int:
    """Return the bytes of memory that can be taken without swapping, as far as they are known."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            found = dict(line.split(":", 1) for line in file)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
