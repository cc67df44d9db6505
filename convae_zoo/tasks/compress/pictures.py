"""The pictures that latents are decoded into: their paths, and which of them are finished."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import DataError, FileError, UsageError

SUFFIX = ".png"
_MARK = "convae_zoo"
_LONGEST = 255  # bytes of one name in a path


def picture_paths(names: Sequence[str], out: Path) -> list[Path]:
    """Return the path of each name's picture in a folder.

    A name that is too long with its ``.png`` is cut, and a hash of it is appended.

    Raises:
        UsageError: a name leads out of the folder.
        DataError: a name is not a valid file name, or two names have the same path.
    """
    paths = [out / _inside(name, out) for name in names]
    if len(set(paths)) != len(paths):
        raise DataError("several of its names have the same path")
    return paths


def _inside(name: str, out: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"name {name!r} in the latents file leads out of the folder {out}")
    *folders, last = path.parts or ("\0",)
    try:
        inside = PurePosixPath(*(_short(part) for part in folders), _short(last, SUFFIX))
    except ValueError:  # a lone surrogate
        inside = PurePosixPath("\0")
    if "\0" in str(inside):
        raise DataError(f"its name {name!r} is not a valid file name")
    return inside


def _short(part: str, suffix: str = "") -> str:
    encoded = os.fsencode(part)
    if len(encoded) + len(suffix) <= _LONGEST:
        return part + suffix
    tail = f"-{hashlib.sha256(encoded).hexdigest()[:8]}{suffix}"
    return encoded[: _LONGEST - len(tail)].decode("utf-8", "ignore") + tail


def find_finished(paths: Sequence[Path], source: str, *, overwrite: bool) -> set[int]:
    """Return the indices of the pictures that are already decoded from this source.

    Raises:
        UsageError: a picture's path is taken by another file, and `overwrite` is not set.
    """
    finished, others = set(), []
    for place, path in enumerate(paths):
        try:
            exists = path.exists() or path.is_symlink()
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}") from error
        if exists and mark_of(path) == latent_mark(source, place):
            finished.add(place)
        elif exists:
            others.append(path)
    if others and not overwrite:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        raise UsageError(
            f"{others[0]}{more} already exist and were not decoded from these latents; choose "
            "another --out, or pass --overwrite"
        )
    return finished


def write_picture(image: Tensor, path: Path, mark: str) -> None:
    """Write an image, uint8 C×H×W with C of 1 or 3, as a PNG file that records its origin.

    Raises:
        FileError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot create {path.parent}: {error.strerror}") from error
    array = image.permute(1, 2, 0).numpy()
    info = PngInfo()
    info.add_text(_MARK, mark)
    with files.atomic_path(path) as temporary:
        picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
        picture.save(temporary, pnginfo=info)


def latent_mark(source: str, place: int) -> str:
    """Return the mark of a picture that was decoded from a latent of a file."""
    return f"latents {source} {place}"


def mark_of(path: Path) -> object:
    """Read the origin that a picture records; None if it records none."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.info.get(_MARK)
    except Exception:  # noqa: BLE001 - an unreadable file is not one of ours
        return None
