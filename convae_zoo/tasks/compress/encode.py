"""Encode image files: in parts of a fixed size, each written when it is done."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from convae_zoo import files
from convae_zoo.data import pixels
from convae_zoo.errors import ConfigError, DataError, FileError, UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.distributed import World
from convae_zoo.tasks.compress import latents

PART = 1024
"""Images of a part: what is lost at most when a process is killed."""

BATCH = 128
DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


@attrs.frozen
class Encoded:
    """What was encoded.

    Attributes:
        count: latents in the file.
        skipped: files that could not be read, each with the reason.
        reused_parts: parts that an earlier process had done already.
    """

    count: int
    skipped: tuple[str, ...]
    reused_parts: int


def encode_files(
    model: Autoencoder,
    images: Sequence[tuple[str, Path]],
    out: str | Path,
    *,
    weights: str,
    dtype: str = "fp32",
    overwrite: bool = False,
    world: World | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Encoded:
    """Encode image files into one latents file.

    The parts lie in ``OUT.parts`` until all are there. A process that is killed loses the part at
    hand; started again with the same model and files, it repeats none that is finished.

    Args:
        model: in eval mode, on its device.
        images: each image's name in the latents file, and its path.
        out: the latents file.
        weights: sha256 of the model's weights, kept to tell models apart.
        dtype: ``fp32``, or ``fp16`` for half the size.
        overwrite: replace a file that is there.
        world: the processes that share the parts; the first joins them.
        progress: called with the number of images that were done.

    Raises:
        UsageError: the file is there, or there is nothing to encode.
        DataError: none of the images can be read.
        FileError: a part cannot be written; those that are finished stay.
    """
    out, world = Path(out), world or World()
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if not images:
        raise UsageError("there are no images to encode")
    if world.size > len(images):
        raise UsageError(f"{world.size} processes are more than {len(images)} images; start fewer")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} is there already; choose another --out, or pass --overwrite")
    with contextlib.ExitStack() as held:
        if world.is_main:
            held.enter_context(files.claim_output(out, [path for _, path in images]))
        return _encode(
            model, images, out, weights=weights, dtype=dtype, world=world, progress=progress
        )


def _encode(
    model: Autoencoder,
    images: Sequence[tuple[str, Path]],
    out: Path,
    *,
    weights: str,
    dtype: str,
    world: World,
    progress: Callable[[int], object],
) -> Encoded:
    document = {"model": model.plan.describe(), "weights_sha256": weights}
    folder = out.with_name(out.name + ".parts")
    if world.is_main:
        _prepare(folder, {**document, "dtype": dtype, "images": _digest(images)})
    world.wait()
    starts = range(0, len(images), PART)
    paths = [folder / f"part-{number:06}.safetensors" for number in range(len(starts))]
    reused = 0
    for number in range(world.rank, len(starts), world.size):
        chosen = images[starts[number] : starts[number] + PART]
        if paths[number].exists():
            reused += 1
            progress(len(chosen))
        else:
            _encode_part(model, chosen, paths[number], dtype, progress)
    world.wait()
    skipped = tuple(line for path in paths for line in latents.read_document(path)["skipped"])
    if len(skipped) == len(images):
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"none of the {len(images)} images can be read; the first: {skipped[0]}")
    if world.is_main:
        latents.join_parts(paths, out, {**document, "skipped": len(skipped)})
        shutil.rmtree(folder, ignore_errors=True)
    world.wait()
    return Encoded(len(images) - len(skipped), skipped, reused)


def _prepare(folder: Path, plan: dict[str, Any]) -> None:
    """Make the folder of the parts; parts of another model or of other files are dropped."""
    text = json.dumps(plan, sort_keys=True)
    record = folder / "plan.json"
    try:
        if folder.exists() and (not record.exists() or record.read_text("utf-8") != text):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot use {folder}: {error.strerror or error}") from error
    files.write_text(record, text)


def _digest(images: Sequence[tuple[str, Path]]) -> str:
    """Tell one list of files from another: by names, sizes and times, unread."""
    digest = hashlib.sha256()
    for name, path in images:
        try:
            status = path.stat()
            mark = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            mark = "missing"
        digest.update(f"{name}\0{mark}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@torch.inference_mode()
def _encode_part(
    model: Autoencoder,
    images: Sequence[tuple[str, Path]],
    path: Path,
    dtype: str,
    progress: Callable[[int], object],
) -> None:
    names: list[str] = []
    skipped: list[str] = []
    pieces: list[Tensor] = [torch.empty(0, *model.latent_shape)]
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        read: list[Tensor] = []
        for (name, _), image in zip(batch, _read(batch, model.image_shape), strict=True):
            if isinstance(image, DataError):
                skipped.append(str(image))
            else:
                names.append(name)
                read.append(image)
        if read:
            floats = pixels.to_float(torch.cat(read).to(model.device), model.value_range)
            pieces.append(model.encode(floats).float().cpu())
        progress(len(batch))
    latents.write_part(path, torch.cat(pieces).to(DTYPES[dtype]), names, {"skipped": skipped})


def _read(
    images: Sequence[tuple[str, Path]], image_shape: tuple[int, int, int]
) -> Iterator[Tensor | DataError]:
    def read(item: tuple[str, Path]) -> Tensor | DataError:
        try:
            return pixels.load_pictures(item[1], image_shape)
        except DataError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        yield from pool.map(read, images)
