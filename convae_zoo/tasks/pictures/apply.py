"""A model applied to pictures of any size, tile by tile."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convae_zoo.data import pixels
from convae_zoo.data.tiles import map_tiles
from convae_zoo.data.whole import Array, WholePicture, whole_picture
from convae_zoo.errors import ConfigError, UsageError, ZooWarning
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.device import choose_device
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.modes import check_model
from convae_zoo.tasks.pictures.noise import estimate_sigma
from convae_zoo.weights.load import load_model

TILE = 640
"""The longest side of a tile, in pixels, for models that accept images of any size."""

BATCH_PIXELS = 2**18
"""Pixels of a batch of tiles; a tile may have more."""

MAX_SIGMA = 255.0

Progress = Callable[[int, int], object]
"""Called with the tiles done and their total."""


class PictureModel:
    """A model that takes pictures of any size.

    Args:
        model: an autoencoder; it is copied.
        precision: as `Inference` takes it.
    """

    def __init__(self, model: Autoencoder, precision: str = "auto") -> None:
        self.model = model
        self._run = Inference(model, precision)
        channels, *self._size = model.image_shape
        if channels not in {1, 3}:
            raise UsageError(
                f"model {model.name!r} takes images of {channels} channels; pictures have 1 or 3"
            )
        self._channels = channels

    def __call__(
        self,
        values: Tensor,
        sigma: float | None = None,
        progress: Progress = lambda _done, _total: None,
    ) -> Tensor:
        """Reconstruct a picture, not clipped.

        A colour model sees a grey picture as three equal channels; a grey model sees each channel
        of a colour picture on its own.

        Args:
            values: C×H×W with C of 1 or 3, in units of 255: uint8 or float32.
            sigma: standard deviation of the noise in units of 255, for models that take it.
            progress: see `Progress`.

        Returns:
            Float32 C×H×W in units of 255, on the CPU.
        """
        channels, height, width = values.shape
        images = values[:, None] if self._channels == 1 else values.expand(3, -1, -1)[None]
        tile, overlap = self._tiling(height, width)
        low, high = self.model.value_range

        def run(tiles: Tensor) -> Tensor:
            x = pixels.to_float(tiles.to(self.model.device), (low, high))
            known = None
            if sigma is not None and self.model.plan.takes_sigma:
                known = torch.full((len(x),), sigma / 255, device=x.device)
            made: Tensor = self._run(x, known)
            return (made - low) * (255 / (high - low))

        made = map_tiles(
            images,
            run,
            tile,
            overlap=overlap,
            batch_size=max(1, BATCH_PIXELS // (tile[0] * tile[1])),
            progress=progress,
        )
        if self._channels == 1:
            return made[:, 0]
        return made[0] if channels == self._channels else made[0].mean(0, keepdim=True)

    def _tiling(self, height: int, width: int) -> tuple[tuple[int, int], int]:
        """Return the size of a tile and the overlap of two."""
        multiple = self.model.plan.size_multiple
        if multiple is None:
            rows, columns = self._size
            return (rows, columns), min(rows, columns) // 2
        most = max(TILE // multiple, 1) * multiple
        rows, columns = (min(-(-side // multiple) * multiple, most) for side in (height, width))
        return (rows, columns), min(self.model.plan.context, min(rows, columns) // 2)


def open_model(model: Autoencoder | str | Path, device: str) -> Autoencoder:
    """Return a model that is given, or load it by name or path.

    Raises:
        ZooError: as `load_model` does, or it is no model.
    """
    if isinstance(model, str | Path):
        return load_model(model, device=choose_device(device))
    check_model(model)
    return getattr(model, "_orig_mod", model)  # what torch.compile wraps


def reconstruct(
    model: Autoencoder | str | Path,
    pictures: Any,
    *,
    device: str = "auto",
    progress: Progress = lambda _done, _total: None,
) -> list[Array]:
    """Reconstruct whole pictures of any size, in overlapping tiles.

    Args:
        model: an autoencoder; or the name of trained weights, a file or a run folder.
        pictures: one picture or a list of them: paths, PIL images, or arrays H×W or H×W×C, uint8,
            or float with black at 0 and white at 1.
        device: for a model that is loaded: ``auto``, ``cpu`` or ``cuda``.
        progress: called with the tiles of a picture done and their total.

    Returns:
        Arrays of the pictures' sizes and channels, H×W×C: uint8, uint16 for 16-bit grey files, and
        float32, not clipped, for float arrays. Transparency is kept.

    Raises:
        ZooError: as `load_model` does, or a picture cannot be read; it is named.
    """
    run = PictureModel(open_model(model, device))
    return [_applied(run, whole_picture(p), None, progress) for p in _listed(pictures)]


def denoise(
    model: Autoencoder | str | Path,
    pictures: Any,
    sigma: float | None = None,
    *,
    device: str = "auto",
    progress: Progress = lambda _done, _total: None,
) -> list[Array]:
    """Remove the noise of whole pictures of any size.

    Args:
        model: as `reconstruct` takes it; it should have been trained with a corruption, or a
            warning says so.
        pictures: as `reconstruct` takes them; the noise of float arrays may leave [0, 1].
        sigma: standard deviation of the noise in units of 255, for models that take it; estimated
            for each picture if it is not given.
        device: as `reconstruct` takes it.
        progress: as `reconstruct` takes it.

    Returns:
        As `reconstruct` returns them.

    Raises:
        ConfigError: sigma is below 0 or above 255.
        ZooError: as `reconstruct` does.
    """
    check_sigma(sigma)
    run = PictureModel(open_model(model, device))
    check_denoiser(run.model, sigma)
    arrays = []
    for given in _listed(pictures):
        picture = whole_picture(given)
        known = sigma_for(run.model, picture.values, sigma)
        arrays.append(_applied(run, picture, known, progress))
    return arrays


def check_sigma(sigma: float | None) -> None:
    """Refuse a standard deviation that is not a number from 0 to 255.

    Raises:
        ConfigError: it is not.
    """
    is_number = isinstance(sigma, int | float) and not isinstance(sigma, bool)
    if sigma is not None and not (is_number and 0 <= sigma <= MAX_SIGMA):
        raise ConfigError(
            f"sigma must be a number from 0 to 255, in units of 255; got {sigma!r:.80}"
        )


def check_denoiser(model: Autoencoder, sigma: float | None) -> None:
    """Warn of a model that was not trained to denoise, or of a sigma that is not used."""
    if not model.corruption:
        warnings.warn(
            f"model {model.name!r} was not trained to remove noise; train one with a corruption, "
            "as in train(corruption='gaussian(sigma=25)')",
            ZooWarning,
            stacklevel=3,
        )
    elif sigma is not None and not model.plan.takes_sigma:
        warnings.warn(
            f"model {model.name!r} takes no sigma; the one that was given is not used",
            ZooWarning,
            stacklevel=3,
        )


def sigma_for(model: Autoencoder, values: Tensor, sigma: float | None) -> float | None:
    """Return the sigma that a model is given: the user's, or an estimate; None if it takes none."""
    if not model.plan.takes_sigma:
        return None
    return estimate_sigma(values) if sigma is None else sigma


def _applied(
    run: PictureModel, picture: WholePicture, sigma: float | None, progress: Progress
) -> Array:
    return picture.restored(run(picture.values, sigma, progress))


def _listed(pictures: Any) -> Sequence[Any]:
    several = isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes)
    return pictures if several else [pictures]
