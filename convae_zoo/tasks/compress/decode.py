"""Decoding of a latents file into image files."""

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import ContractError, DataError, UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.modes import evaluating
from convae_zoo.tasks.compress.codes import Codes, codes_of, from_codes
from convae_zoo.tasks.compress.latents import LatentsFile, open_latents
from convae_zoo.tasks.compress.pictures import (
    find_finished,
    latent_mark,
    picture_paths,
    write_picture,
)

BATCH = 128


def decode_file(
    model: Autoencoder,
    path: str | Path,
    out: str | Path,
    *,
    weights: str,
    overwrite: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Decode the latents of a file into PNG files with the images' names.

    The whole file is checked before anything is written. Pictures already decoded from the same
    latents are kept, so a killed process can be resumed.

    Args:
        model: runs in eval mode, on its device; its own mode is restored.
        path: a file that `encode_files` wrote.
        out: the folder for the images; created if it is missing.
        weights: sha256 of the model's weights; must equal that of the encoding model.
        overwrite: replace files of another origin that have a picture's path.
        progress: called with the number of images just finished.

    Returns:
        The number of images.

    Raises:
        ContractError: the latents are of another model.
        UsageError: files of another origin have the pictures' paths, or another process is writing
            to the folder.
        DataError: the file is damaged.
        FileError: an image cannot be written; finished images are kept.
        PluginError: a part of the model fails; finished images are kept.
        DeviceError: memory ran out, or the device failed; finished images are kept.
    """
    path, out = Path(path), Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder for the images")
    latents = open_latents(path)
    if latents.document.get("weights_sha256") != weights:
        raise ContractError(
            f"{path} holds latents of another model ({_name(latents.document.get('model'))}, "
            f"weights {str(latents.document.get('weights_sha256'))[:12]}) than the one given "
            f"({model.name}, weights {weights[:12]}); decode it with its own"
        )
    try:
        codes = _check_shape(model, latents)
        paths = picture_paths(latents.names, out)
    except DataError as error:
        raise DataError(f"{path} is damaged: {error}; encode the images again") from error
    with files.claim_output(out, [path]), evaluating(model):
        finished = find_finished(paths, latents.sha256, overwrite=overwrite)
        done = 0
        for batch in _decoded(model, latents, codes, finished):
            for place, image in batch:
                write_picture(image, paths[place], latent_mark(latents.sha256, place))
            size = min(BATCH, len(paths) - done)
            done += size
            progress(size)
    return done


def _decoded(
    model: Autoencoder, latents: LatentsFile, codes: Codes | None, finished: set[int]
) -> Iterator[list[tuple[int, Tensor]]]:
    """Decode in batches; yield the index and image, uint8, of each that is not finished."""
    start, fast = 0, Inference(model, repeatable=True)
    for batch in latents.batches(BATCH):
        places = range(start, start + len(batch))
        start += len(batch)
        if finished.issuperset(places):
            yield []
            continue
        try:
            z = batch.to(model.device) if codes is None else from_codes(model, codes.unpack(batch))
        except DataError as error:
            raise DataError(f"{latents.path} is damaged: {error}") from error
        images = model.postprocess(fast.decode(z)).cpu()
        yield [(p, i) for p, i in zip(places, images, strict=True) if p not in finished]


def _check_shape(model: Autoencoder, latents: LatentsFile) -> Codes | None:
    """Check that latents fit a model; return the storage of codes, or None for float latents."""
    if latents.kind == "latents":
        if latents.shape[1:] != model.latent_shape:
            raise DataError(
                f"its latents have the shape {latents.shape[1:]} and the model's "
                f"{model.latent_shape}"
            )
        return None
    codes, known = Codes.described(latents.document), codes_of(model)
    if codes != known or latents.shape[1:] != (codes.bytes,):
        raise DataError("its codes are not those of the model")
    return codes


def _name(model: object) -> str:
    name = model.get("name") if isinstance(model, dict) else None
    return str(name or "a composed one")
