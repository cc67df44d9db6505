"""Encoding of image files, in parts of a fixed size that are written one by one."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from convae_zoo import files
from convae_zoo.data import pixels
from convae_zoo.data.image_file import MAX_PIXELS
from convae_zoo.errors import ConfigError, DataError, UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.distributed import World
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.modes import evaluating
from convae_zoo.tasks.compress import latents
from convae_zoo.tasks.compress.codes import Codes, checked_codes, codes_of
from convae_zoo.tasks.compress.parts import (
    digest_files,
    is_finished,
    open_parts,
    parts_folder,
    remove_parts,
)

PART = 1024
"""Images per part: the most work that a killed process loses."""

BATCH = 128
READERS = 4
DTYPES = ("auto", "fp32", "fp16")
_TORCH_DTYPES = {"auto": torch.float32, "fp32": torch.float32, "fp16": torch.float16}


@attrs.frozen
class Encoded:
    """The result of `encode_files`.

    Attributes:
        count: latents in the file.
        skipped: files that could not be read, each with the reason.
        reused_parts: parts that an earlier process had finished.
    """

    count: int
    skipped: tuple[str, ...]
    reused_parts: int


@attrs.frozen(eq=False)
class _Job:
    """How each part is encoded."""

    model: Autoencoder
    fast: Inference
    codes: Codes | None
    dtype: torch.dtype
    max_pixels: int
    progress: Callable[[int], object]


def encode_files(
    model: Autoencoder,
    images: Sequence[tuple[str, Path]],
    out: str | Path,
    *,
    weights: str,
    dtype: str = "auto",
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = False,
    world: World | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Encoded:
    """Encode image files into one latents file.

    The parts are stored in ``OUT.parts`` until all are finished. A killed process loses its current
    part only; a new one with the same model and files resumes after the finished parts.

    Args:
        model: runs in eval mode, on its device; its own mode is restored.
        images: each image's name in the latents file, once, and its path.
        out: the latents file.
        weights: sha256 of the model's weights, stored to identify the model.
        dtype: ``fp32``; ``fp16`` for half the size; or ``auto``: discrete latents are stored as
            codes, in as few bits as they need, and others as fp32.
        max_pixels: image files with more pixels are skipped.
        overwrite: replace an existing file.
        world: the processes that share the parts; the first joins them.
        progress: called with the number of images just finished.

    Raises:
        UsageError: the file exists or is an input, another process is writing it, two images have
            the same name, or there is nothing to encode.
        DataError: none of the images can be read.
        FileError: a part cannot be written; finished parts are kept.
        PluginError: a part of the model fails; finished parts are kept.
        DeviceError: memory ran out, or the device failed; finished parts are kept.
    """
    out, world = Path(out), world or World()
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if not images:
        raise UsageError("there are no images to encode")
    if len({name for name, _ in images}) < len(images):
        raise UsageError("two images have the same name; give each its own")
    if world.size > len(images):
        raise UsageError(f"{world.size} processes are more than {len(images)} images; start fewer")
    files.check_new([out], overwrite=overwrite)
    codes = codes_of(model) if dtype == "auto" else None
    document = {"model": model.plan.describe(), "weights_sha256": weights}
    if codes is not None:
        document["codes"] = codes.describe()
    with contextlib.ExitStack() as held:
        if world.is_main:
            held.enter_context(files.claim_output(out, [path for _, path in images]))
        held.enter_context(evaluating(model))
        fast = Inference(model, repeatable=True)
        job = _Job(model, fast, codes, _TORCH_DTYPES[dtype], max_pixels, progress)
        return _encode(job, images, out, document, world)


def _encode(
    job: _Job,
    images: Sequence[tuple[str, Path]],
    out: Path,
    document: dict[str, Any],
    world: World,
) -> Encoded:
    folder = parts_folder(out)
    if world.is_main:
        how = {"dtype": str(job.dtype), "max_pixels": job.max_pixels}
        version = {"format_version": latents.FORMAT_VERSION}
        open_parts(folder, {**document, **how, **version, "images": digest_files(images)})
    world.wait()
    starts = range(0, len(images), PART)
    paths = [folder / f"part-{number:06}.safetensors" for number in range(len(starts))]
    reused = 0
    for number in range(world.rank, len(starts), world.size):
        chosen = images[starts[number] : starts[number] + PART]
        if is_finished(paths[number]):
            reused += 1
            job.progress(len(chosen))
        else:
            _encode_part(job, chosen, paths[number])
    world.wait()
    skipped = tuple(s for path in paths for s in latents.open_latents(path).document["skipped"])
    world.wait()  # the first process removes the parts
    if len(skipped) == len(images):
        if world.is_main:
            remove_parts(folder)
        raise DataError(f"none of the {len(images)} images can be encoded; the first: {skipped[0]}")
    if world.is_main:
        latents.join_parts(paths, out, {**document, "skipped": len(skipped)})
        remove_parts(folder)
    world.wait()
    return Encoded(len(images) - len(skipped), skipped, reused)


def _encode_part(job: _Job, images: Sequence[tuple[str, Path]], path: Path) -> None:
    names: list[str] = []
    skipped: list[str] = []
    pieces: list[Tensor] = [_stored(job, torch.empty(0, *job.model.latent_shape))]
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        read: list[tuple[str, Path, Tensor]] = []
        for (name, source), image in zip(batch, _read(job, batch), strict=True):
            if isinstance(image, DataError):
                skipped.append(str(image))
            else:
                read.append((name, source, image))
        if read:
            stacked = torch.cat([image for _, _, image in read]).to(job.model.device)
            latent = job.fast.encode(job.model.to_float(stacked))
            finite = latent.cpu().to(job.dtype).isfinite().flatten(1).all(1)
            for (name, source, _), whole in zip(read, finite.tolist(), strict=True):
                if whole:
                    names.append(name)
                else:
                    skipped.append(_not_finite(source, job.dtype))
            if finite.any():
                pieces.append(_stored(job, latent[finite.to(latent.device)]))
        job.progress(len(batch))
    kind = "latents" if job.codes is None else "codes"
    latents.write_part(path, kind, torch.cat(pieces), names, {"skipped": skipped})


def _stored(job: _Job, latent: Tensor) -> Tensor:
    """Convert latents to their stored form, on the CPU."""
    if job.codes is None:
        return latent.cpu().to(job.dtype)
    if len(latent) == 0:
        return torch.empty(0, job.codes.bytes, dtype=torch.uint8)
    return job.codes.pack(checked_codes(job.model, latent))


def _not_finite(path: Path, dtype: torch.dtype) -> str:
    if dtype == torch.float16:
        return f"{path}: its latent is beyond the range of fp16; store it as fp32"
    return f"{path}: the model returns NaN or infinity for it"


def _read(job: _Job, images: Sequence[tuple[str, Path]]) -> Iterator[Tensor | DataError]:
    """Read image files in parallel; yield each fitted to the model, uint8 1×C×H×W, or its error."""
    shape = job.model.image_shape

    def read(item: tuple[str, Path]) -> Tensor | DataError:
        try:
            return pixels.read_fitted(item[1], shape, max_pixels=job.max_pixels)
        except DataError as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(read, images)
