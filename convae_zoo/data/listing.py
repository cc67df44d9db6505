"""The image files of a folder."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from convae_zoo.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""The suffixes of image files, in lower case."""


def list_images(folder: str | Path) -> list[tuple[str, Path]]:
    """List the image files of a folder and its subfolders, sorted by name.

    Hidden files and folders are skipped; links to folders are not followed.

    Returns:
        For each file its path relative to the folder, with ``/``, and its path.

    Raises:
        DataError: the folder does not exist, cannot be read, or has no images.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"folder {folder} {what}")
    found = sorted((path.relative_to(root).as_posix(), path) for path in _walk(root))
    if not found:
        endings = ", ".join(sorted(SUFFIXES))
        raise DataError(f"folder {folder} holds no images ({endings})")
    return found


def find_images(paths: Iterable[str | Path]) -> list[tuple[str, Path]]:
    """List image files that are given one by one or by folder.

    Raises:
        DataError: a path does not exist, a folder has no images, or two images have the same name.
    """
    found: dict[str, Path] = {}
    for given in map(Path, paths):
        if not given.exists():
            raise DataError(f"no image file or folder at {given}")
        for name, path in list_images(given) if given.is_dir() else [(given.name, given)]:
            if name in found:
                raise DataError(
                    f"{found[name]} and {path} have the same name; pass them in separate calls"
                )
            found[name] = path
    return list(found.items())


def _walk(root: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise DataError(f"folder {error.filename} cannot be read: {error.strerror}")

    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(folder, name)
