"""What an entry's config declares and what its factory returns, beyond an ordinary module."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from convae_zoo.registry.specs import Shape

if TYPE_CHECKING:
    from torch import Generator, Tensor


class EncoderConfig(Protocol):
    """What an encoder's config declares besides its fields.

    A field named ``value_range`` is set to the model's range; a decoder's too.
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
    """What a corruption's factory returns: a function, or a module without trained weights."""

    def __call__(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """Return damaged images.

        Every random number comes from `generator`: the same state gives the same result, and each
        image gets random numbers of its own.

        Args:
            images: the clean images, uint8 N×C×H×W of any N, C, H and W; they are not changed.
            generator: on the device of the images.

        Returns:
            The same shape and device: uint8, or float32 in units of 255, where values below 0 and
            above 255 are allowed.
        """


class Score(Protocol):
    """What a score's factory returns: an anomaly score, usually an ``nn.Module`` with buffers.

    Its life: made by the factory; fitted to normal images where its spec says ``needs_fit``; stored
    by `state_dict` and restored by `load_state_dict`; called. `model` is the same autoencoder each
    time, in eval mode; ``model.preprocess(images)`` maps images to the model's value range. No
    gradients are recorded.
    """

    def fit(self, batches: "Iterable[Tensor]", model: Any) -> None:
        """Learn what normal images look like; only called where ``needs_fit``.

        A second call replaces what the first learned.

        Args:
            batches: normal images, uint8 N×C×H×W of the model's shape; may be iterated repeatedly.
            model: the autoencoder.
        """

    def __call__(self, images: "Tensor", model: Any) -> "tuple[Tensor, Tensor | None]":
        """Return the scores, and a map where the score gives one; higher is more anomalous.

        The score of an image does not depend on the other images of the batch.

        Args:
            images: uint8 N×C×H×W of the model's shape.
            model: the autoencoder.

        Returns:
            Scores, finite float32 of shape (N,); and a map of them, finite float32 N×H×W, where
            the spec says ``gives_map``, else None.
        """

    def state_dict(self) -> "Mapping[str, Tensor]":
        """Return everything that `fit` learned, as tensors; empty where there is no fit."""

    def load_state_dict(self, state: "Mapping[str, Tensor]") -> Any:
        """Restore what `fit` learned, whatever the tensors' shapes, into a score not yet fitted."""
