"""Image files through a model into image files: one by one, resumable."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from convae_zoo import files
from convae_zoo.data.image_file import MAX_PIXELS
from convae_zoo.data.whole import WholePicture, encode_picture, format_of, whole_picture
from convae_zoo.errors import DataError, FileError, UsageError
from convae_zoo.tasks.compress.parts import (
    PICTURES,
    digest_files,
    open_parts,
    parts_folder,
    remove_parts,
)
from convae_zoo.tasks.pictures.picture_model import PictureModel, Progress

Prepare = Callable[[str, WholePicture], tuple[Tensor, float | None]]
"""Returns the values and the sigma that a model is given for a named picture."""


@attrs.frozen
class Written:
    """A picture that was written, now or by an earlier process.

    Attributes:
        name: of the picture in its folder.
        source: the picture that was read.
        path: the picture that was written.
    """

    name: str
    source: Path
    path: Path


@attrs.frozen
class Restored:
    """The result of `restore_files`.

    Attributes:
        written: the pictures that were written.
        skipped: files that could not be read or written in their format, each with the reason.
    """

    written: tuple[Written, ...]
    skipped: tuple[str, ...]


def output_paths(images: Sequence[tuple[str, Path]], out: Path) -> list[Path]:
    """Return the path of each picture that is written.

    One image may go to a file, if `out` has the suffix of an image format and is no folder;
    otherwise `out` is a folder and pictures keep their names. A format that cannot be written
    becomes PNG.

    Raises:
        UsageError: several images for one file, two pictures with the same path, or a picture with
            the path of an image that is read.
    """
    if format_of(out.name) is not None and not out.is_dir():
        if len(images) > 1:
            raise UsageError(f"{out} is one file for {len(images)} images; name a folder")
        paths = [out]
    else:
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is a file; name a folder, or a picture such as {out.stem}.png")
        paths = [out / (name if format_of(name) else f"{name}.png") for name, _ in images]
    read = {os.path.realpath(source) for _, source in images}
    for path in paths:
        if os.path.realpath(path) in read:
            raise UsageError(f"{path} is an input of this command; choose another --out")
    if len(set(paths)) < len(paths):
        raise UsageError(f"two of the pictures would have the same path in {out}; rename one")
    return paths


def restore_files(
    run: PictureModel,
    images: Sequence[tuple[str, Path]],
    out: str | Path,
    *,
    plan: Mapping[str, Any],
    prepare: Prepare = lambda _name, picture: (picture.values, None),
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = False,
    progress: Callable[[str, int, int], object] = lambda _what, _done, _total: None,
) -> Restored:
    """Reconstruct image files of any size into image files of the same size and format.

    A list of finished pictures is kept in ``OUT.parts`` until all are written: a killed process
    loses its current picture only, and a new one with the same model and files goes on after it.

    Args:
        run: the model.
        images: each image's name in the folder, and its path.
        out: a folder; or a file, for one image. Missing folders are created.
        plan: what the pictures depend on beside the files; must have ``weights_sha256``.
        prepare: see `Prepare`.
        max_pixels: image files with more pixels are skipped.
        overwrite: replace existing files.
        progress: called with a picture's name, its tiles done, and their total.

    Raises:
        UsageError: as `output_paths` does; files exist; or another process is writing there.
        DataError: none of the images can be read.
        FileError: a picture cannot be written; finished ones are kept.
    """
    out = Path(out)
    if not images:
        raise UsageError("there are no images")
    paths = output_paths(images, out)
    folder = parts_folder(out)
    with files.claim_output(out, [source for _, source in images]):
        if not folder.exists():
            files.check_new(paths, overwrite=overwrite)
        open_parts(folder, {**plan, "max_pixels": max_pixels, "images": digest_files(images)})
        finished = _read_finished(folder / PICTURES)
        kept = {path for path in paths if _is_same(path, finished)}
        files.check_new((path for path in paths if path not in kept), overwrite=overwrite)
        written, skipped = [], []
        for (name, source), path in zip(images, paths, strict=True):
            if path in kept:
                written.append(Written(name, source, path))
                continue
            try:
                data = _restored(
                    run, name, source, path, prepare, max_pixels, _named(progress, name)
                )
            except DataError as error:
                skipped.append(str(error))
                continue
            _write(data, path, folder / PICTURES)
            written.append(Written(name, source, path))
        remove_parts(folder)
    if not written:
        raise DataError(f"none of the {len(images)} images can be read; the first: {skipped[0]}")
    return Restored(tuple(written), tuple(skipped))


def _restored(
    run: PictureModel,
    name: str,
    source: Path,
    path: Path,
    prepare: Prepare,
    max_pixels: int,
    progress: Progress,
) -> bytes:
    picture = whole_picture(source, max_pixels=max_pixels)
    values = run(*prepare(name, picture), progress)
    if not values.isfinite().all():
        raise DataError(f"{source}: the model returns NaN or infinity for it")
    try:
        return encode_picture(picture.restored(values), picture, path.name)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    except (OSError, ValueError) as error:  # Pillow's encoders, of sizes that a format cannot hold
        raise DataError(f"{source} cannot be written as {path.name}: {error}") from error


def _named(progress: Callable[[str, int, int], object], name: str) -> Progress:
    return lambda done, total: progress(name, done, total)


def _write(data: bytes, path: Path, finished: Path) -> None:
    """Write a picture; its digest goes first into the list, and is no picture's until it is there.

    Raises:
        FileError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with finished.open("a", encoding="utf-8") as lines:
            lines.write(f"\n{json.dumps(hashlib.sha256(data).hexdigest())}\n")
            lines.flush()
            os.fsync(lines.fileno())
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error
    files.write_bytes(path, data)


def _read_finished(path: Path) -> set[str]:
    """Read the digests of finished pictures; a line that was cut off is none."""
    found = set()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in path.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                digest = json.loads(line)
                if isinstance(digest, str):
                    found.add(digest)
    return found


def _is_same(path: Path, finished: set[str]) -> bool:
    with contextlib.suppress(OSError):
        return bool(finished) and hashlib.sha256(path.read_bytes()).hexdigest() in finished
    return False
