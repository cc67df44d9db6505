"""Compresses a picture to a file of latents and back."""

import math
import tempfile
from pathlib import Path

from PIL import Image

from convae_zoo.app.result import MAX_PIXELS, Result, quality_figures, read_picture
from convae_zoo.data import pixels
from convae_zoo.data.whole import whole_picture
from convae_zoo.errors import DataError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.compress import decode_file, encode_files
from convae_zoo.tasks.compress.codes import codes_of
from convae_zoo.tasks.pictures.quality import quality

FILE = "latents.safetensors"
_BYTES = {"auto": 4, "fp32": 4, "fp16": 2}


def compress_picture(
    model: Autoencoder,
    path: Path,
    folder: Path,
    *,
    weights: str,
    dtype: str = "auto",
    max_pixels: int = MAX_PIXELS,
) -> Result:
    """Encode a picture, fitted to the model, as ``convae-zoo encode`` does, and decode the file.

    Args:
        model: the autoencoder.
        path: of the picture.
        folder: of the latents file, which must be new.
        weights: sha256 of the model's weights.
        dtype: as `encode_files` takes it.
        max_pixels: a picture with more is refused.

    Raises:
        ZooError: the picture cannot be read, or the model fails.
    """
    read_picture(path, max_pixels)
    original = pixels.read_fitted(path, model.image_shape, max_pixels=max_pixels)[0]
    file = folder / FILE
    encoded = encode_files(
        model, [("picture", path)], file, weights=weights, dtype=dtype, max_pixels=max_pixels
    )
    if encoded.skipped:
        raise DataError(encoded.skipped[0])
    with tempfile.TemporaryDirectory() as decoded:
        decode_file(model, file, decoded, weights=weights)
        with Image.open(Path(decoded) / "picture.png") as image:
            image.load()
    size, raw = latent_bytes(model, dtype), original.numel()
    grey = original[0] if len(original) == 1 else original.permute(1, 2, 0)
    return Result(
        before=Image.fromarray(grey.contiguous().numpy()),
        after=image,
        figures=(
            ("Latent", f"{size:,} bytes"),
            ("Pixels", f"{raw:,} bytes"),
            ("Ratio", f"{raw / size:.2f}"),
            *quality_figures(quality(whole_picture(image).values, original)),
            ("File of latents", f"{file.stat().st_size:,} bytes"),
        ),
        file=file,
    )


def latent_bytes(model: Autoencoder, dtype: str) -> int:
    """Return the size of one image's latent, as `encode_files` stores it with a dtype."""
    codes = codes_of(model) if dtype == "auto" else None
    return math.prod(model.latent_shape) * _BYTES[dtype] if codes is None else codes.bytes
