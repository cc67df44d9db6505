"""Decode a latents file into image files."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import torch
from PIL import Image
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import ContractError, DataError, FileError, UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.compress import latents

BATCH = 128


@torch.inference_mode()
def decode_file(
    model: Autoencoder,
    path: str | Path,
    out: str | Path,
    *,
    weights: str,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Decode the latents of a file into PNG files of the images' names.

    Images that are there already are kept, so a process that was killed goes on.

    Args:
        model: in eval mode, on its device.
        path: a file that `encode_files` wrote.
        out: the folder for the images; it is made.
        weights: sha256 of the model's weights; they must be those that the file was made with.
        progress: called with the number of images that were done.

    Returns:
        How many images there are.

    Raises:
        ContractError: the latents are of another model.
        DataError: the file is damaged.
        FileError: an image cannot be written; those that are finished stay.
    """
    path, out = Path(path), Path(out)
    document = latents.read_document(path)
    if document.get("weights_sha256") != weights:
        made_by = document.get("model") or {}
        raise ContractError(
            f"{path} holds latents of another model ({_name(made_by)}, weights "
            f"{str(document.get('weights_sha256'))[:12]}) than the one given ({model.name}, "
            f"weights {weights[:12]}); decode it with its own"
        )
    targets = _targets(latents.read_names(path), out)
    done = 0
    for batch in latents.read_latents(path, BATCH):
        chosen = targets[done : done + len(batch)]
        if not all(target.exists() for target in chosen):
            _write(model.postprocess(model.decode(batch.to(model.device))).cpu(), chosen)
        done += len(batch)
        progress(len(batch))
    if done != len(targets):
        raise DataError(f"{path} is damaged: it has {done} latents but {len(targets)} names")
    return done


def _targets(names: list[str], out: Path) -> list[Path]:
    targets = []
    for name in names:
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise UsageError(f"name {name!r} in the latents file would leave the folder {out}")
        targets.append(out / inside.with_name(inside.name + ".png"))
    return targets


def _write(images: Tensor, targets: list[Path]) -> None:
    for image, target in zip(images, targets, strict=True):
        if target.exists():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make {target.parent}: {error.strerror}") from error
        array = image.permute(1, 2, 0).numpy()
        with files.atomic_path(target) as temporary:
            Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(temporary)


def _name(model: dict[str, object]) -> str:
    return str(model.get("name") or "a composed one")
