"""What the sets of image files share: splits by name, and reading in several threads."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torch import Tensor

from convae_zoo.data import empty_images
from convae_zoo.errors import DataError

Files = list[tuple[str, Path]]
"""Names, which splits and classes go by, and paths."""

_THREADS = min(8, os.cpu_count() or 1)


def hashed_splits(files: Files, val_fraction: float) -> dict[str, Files]:
    """Split files into train and val: in val are those whose name's hash is below a fraction.

    Where that leaves a split empty, the nearest file goes there.
    """
    places = {name: hash_fraction(name) for name, _ in files}
    chosen = {name for name, value in places.items() if value < val_fraction}
    if 0 < val_fraction < 1 and len(files) > 1:
        # A small folder may have none on one side by chance.
        if not chosen:
            chosen.add(min(places, key=lambda name: places[name]))
        elif len(chosen) == len(files):
            chosen.remove(max(places, key=lambda name: places[name]))
    return {
        "train": [file for file in files if file[0] not in chosen],
        "val": [file for file in files if file[0] in chosen],
    }


def hash_fraction(name: str) -> float:
    """Hash a name to a number from 0 up to 1."""
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6]) / 2**48


def read_files(
    files: Files, read: Callable[[Path], Tensor], shape: tuple[int, int, int]
) -> tuple[Tensor, list[str], list[str]]:
    """Read images of one shape, uint8 N×C×H×W; see `empty_images`.

    Args:
        files: their names and paths.
        read: reads one, uint8 C×H×W; its `DataError` leaves the image out.
        shape: (C, H, W).

    Returns:
        The images, their names, and why others were left out.
    """
    images = empty_images(len(files), shape)
    kept: list[str] = []
    skipped: list[str] = []
    for name, image in read_each(files, read, skipped):
        images[len(kept)] = image
        kept.append(name)
    return images[: len(kept)], kept, skipped


def check_any(kept: Sequence[object], skipped: Sequence[str], where: str) -> None:
    """Refuse a split of which no image could be read.

    Raises:
        DataError: it is such a one; the first problem is named.
    """
    if not kept:
        raise DataError(
            f"none of the {len(skipped)} images of {where} can be read; the first: {skipped[0]}"
        )


def read_each(
    files: Files, read: Callable[[Path], Tensor], skipped: list[str]
) -> Iterator[tuple[str, Tensor]]:
    """Read files in several threads; yield the name and the image of each, in order.

    Args:
        files: their names and paths.
        read: reads one; its `DataError` leaves the image out.
        skipped: why images were left out is added here.
    """

    def attempt(path: Path) -> Tensor | str:
        try:
            return read(path)
        except DataError as error:
            return str(error)

    pool = ThreadPoolExecutor(_THREADS)
    try:
        results = pool.map(attempt, (path for _, path in files))
        for (name, _), result in zip(files, results, strict=True):
            if isinstance(result, str):
                skipped.append(result)
            else:
                yield name, result
    finally:
        pool.shutdown(cancel_futures=True)
