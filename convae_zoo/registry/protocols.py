"""Protocols: what an entry's config must declare and what its factory must return."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from convae_zoo.registry.specs import Shape

if TYPE_CHECKING:
    from torch import Generator, Tensor


class EncoderConfig(Protocol):
    """What an encoder's config declares besides its fields.

    A field named ``value_range`` is set to the model's range, in a decoder's config too.

    The config of a part that accepts images of other sizes than `input_shape`, as fully
    convolutional parts do, also declares ``size_multiple``, an int that their height and width must
    be divisible by, and ``context``, how many pixels around a pixel its result depends on.

    An encoder whose config declares ``takes_sigma = True`` is called as ``encoder(x, sigma)``:
    sigma is the standard deviation of each image's noise, float32 N, with black at 0 and white
    at 1; it must have a default, which is used if the noise is not known.
    """

    @property
    def input_shape(self) -> Shape:
        """Shape of one image, (C, H, W)."""

    @property
    def latent_shape(self) -> Shape:
        """Shape of one latent: (D,) or (C, H, W)."""


class DecoderConfig(Protocol):
    """What a decoder's config declares besides its fields."""

    @property
    def latent_shape(self) -> Shape:
        """Shape of one latent: (D,) or (C, H, W)."""

    @property
    def output_shape(self) -> Shape:
        """Shape of one reconstruction, (C, H, W)."""


class Corruption(Protocol):
    """What a corruption's factory returns: a function, or a module without parameters.

    A corruption that adds noise of a known strength may also have a method ``with_sigma``, which is
    called in place of the corruption and returns the corrupted images and the standard deviation of
    each image's noise in units of 255, float32 N. Models that take it are then trained with it.
    """

    def __call__(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """Corrupt images.

        All random numbers come from `generator`: the same state yields the same result. Each image
        is corrupted independently.

        Args:
            images: uint8 N×C×H×W of any N, C, H and W; or, from the corruption before it in a sum,
                float32 in units of 255, where values below 0 and above 255 occur. Not modified.
            generator: on the images' device.

        Returns:
            The corrupted images, on the same device and of the same shape: uint8, or float32 in
            units of 255, where values below 0 and above 255 are allowed.
        """


class Score(Protocol):
    """What a score's factory returns: an anomaly score, usually an ``nn.Module`` with buffers.

    Life cycle: created by the factory; fitted to normal images if its spec has ``needs_fit``;
    stored with `state_dict` and restored with `load_state_dict`; called. `model` is always the same
    autoencoder, in eval mode; ``model.preprocess(images)`` maps images to the model's value range.
    No gradients are recorded.
    """

    def fit(self, batches: "Iterable[Tensor]", model: Any) -> None:
        """Fit to normal images; called only if the spec has ``needs_fit``.

        A second call replaces the first fit.

        Args:
            batches: normal images, uint8 N×C×H×W of the model's shape; may be iterated repeatedly.
            model: the autoencoder.
        """

    def __call__(self, images: "Tensor", model: Any) -> "tuple[Tensor, Tensor | None]":
        """Return the scores, and anomaly maps if the score has them; higher is more anomalous.

        The score of an image does not depend on the other images in the batch.

        Args:
            images: uint8 N×C×H×W of the model's shape.
            model: the autoencoder.

        Returns:
            Scores, finite float32 of shape (N,); and anomaly maps, finite float32 N×H×W, if the
            spec has ``gives_map``, else None.
        """

    def state_dict(self) -> "Mapping[str, Tensor]":
        """Return the fitted state as tensors; empty if there is no fit."""

    def load_state_dict(self, state: "Mapping[str, Tensor]") -> Any:
        """Restore the fitted state, with tensors of any shape, in a score not yet fitted."""
