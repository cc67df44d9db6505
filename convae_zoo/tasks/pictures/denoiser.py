"""A model applied to noisy pictures, whose noise is made white where it is without colour."""

import functools
import math
import warnings

import torch
from torch import Generator, Tensor

from convae_zoo.data.corrupt import Corruption, keyed_generator
from convae_zoo.errors import UnknownNameError, ZooWarning
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.pictures.noise import estimate_sigma, is_noise_without_colour
from convae_zoo.tasks.pictures.picture_model import PictureModel, Progress

_COLOUR = 3


class Denoiser(PictureModel):
    """A model that removes the noise of pictures of any size.

    A colour model that was trained on white noise takes noise that is the same in all channels for
    a part of the picture. Grey pictures have such noise, and JPEG files that store colour at half
    the resolution nearly. They get noise of their own in the colours first, so that all channels
    have white noise, of √3 times the sigma; their mean stays as it was.

    Args:
        model: as `PictureModel` takes it.
        precision: as `PictureModel` takes it.
    """

    def __init__(self, model: Autoencoder, precision: str = "auto") -> None:
        super().__init__(model, precision)
        self._has_warned = False
        self._knows_white_noise = _states_sigma(model.corruption)

    def needs_sigma(self, values: Tensor) -> bool:
        """Whether the noise's standard deviation is needed for a picture C×H×W."""
        return self.model.plan.takes_sigma or self._must_whiten(values)

    def __call__(
        self,
        values: Tensor,
        sigma: float | None = None,
        progress: Progress = lambda _done, _total: None,
    ) -> Tensor:
        """Remove the noise of a picture.

        Args:
            values: C×H×W with C of 1 or 3, in units of 255: uint8 or float32.
            sigma: standard deviation of the noise in units of 255; estimated if it is needed and
                not given.
            progress: see `Progress`.

        Returns:
            Float32 C×H×W in units of 255, not clipped, on the CPU.
        """
        if not self.needs_sigma(values):
            if sigma is not None and not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"model {self.model.name!r} takes no sigma; the one that was given is not used",
                    ZooWarning,
                    stacklevel=2,
                )
            return self._applied(values, None, progress)
        known = estimate_sigma(values) if sigma is None else sigma
        if not self._must_whiten(values):
            return self._applied(values, known, progress)
        white = functools.partial(whitened, sigma=known, generator=keyed_generator("colours"))
        made = self._applied(
            values.expand(_COLOUR, -1, -1), math.sqrt(_COLOUR) * known, progress, white
        )
        if all(torch.equal(values[0], other) for other in values[1:]):  # grey, in any form
            return made.mean(0, keepdim=True).expand(len(values), -1, -1)
        return made

    def _must_whiten(self, values: Tensor) -> bool:
        is_of_white_noise = self._knows_white_noise and self.model.image_shape[0] == _COLOUR
        return is_of_white_noise and is_noise_without_colour(values)


def _states_sigma(corruption: str) -> bool:
    """Whether a corruption is white noise of known sigma; not if its plugin is not installed."""
    try:
        return bool(corruption) and Corruption(corruption).states_sigma
    except UnknownNameError:
        return False


def whitened(images: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Make noise that is the same in all channels white; the mean of the channels stays.

    Args:
        images: N×3×H×W.
        sigma: standard deviation of the noise in the units of the images. That of the result is √3
            times as large in each channel.
        generator: of the noise that is added, on the CPU.

    Returns:
        Float32 of the same shape.
    """
    noise = torch.randn(images.shape, generator=generator, dtype=torch.float32)
    noise *= math.sqrt(_COLOUR) * sigma
    noise -= noise.mean(1, keepdim=True)
    return noise.to(images.device).add_(images)
