"""Whole pictures reconstructed and denoised in memory."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convae_zoo.data.whole import Array, whole_picture
from convae_zoo.errors import ConfigError, ZooWarning
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.device import choose_device
from convae_zoo.runtime.modes import check_model
from convae_zoo.tasks.pictures.denoiser import Denoiser
from convae_zoo.tasks.pictures.picture_model import PictureModel, Progress
from convae_zoo.weights.load import load_model

MAX_SIGMA = 255.0


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
    return [_applied(run, picture, None, progress) for picture in _listed(pictures)]


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
        sigma: standard deviation of the noise in units of 255, for models that take it and for
            noise without colour, as in grey pictures; by default estimated for each picture.
        device: as `reconstruct` takes it.
        progress: as `reconstruct` takes it.

    Returns:
        As `reconstruct` returns them.

    Raises:
        ConfigError: sigma is below 0 or above 255.
        ZooError: as `reconstruct` does.
    """
    check_sigma(sigma)
    run = Denoiser(open_model(model, device))
    check_denoiser(run.model)
    return [_applied(run, picture, sigma, progress) for picture in _listed(pictures)]


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


def check_denoiser(model: Autoencoder) -> None:
    """Warn of a model that was not trained to denoise."""
    if not model.corruption:
        warnings.warn(
            f"model {model.name!r} was not trained to remove noise; train one with a corruption, "
            "as in train(corruption='gaussian(sigma=25)')",
            ZooWarning,
            stacklevel=3,
        )


def _applied(run: PictureModel, given: Any, sigma: float | None, progress: Progress) -> Array:
    picture = whole_picture(given)
    return picture.restored(run(picture.values, sigma, progress))


def _listed(pictures: Any) -> Sequence[Any]:
    several = isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes)
    return pictures if several else [pictures]
