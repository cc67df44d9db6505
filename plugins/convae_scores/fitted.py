"""What scores of latents share: their fitted tensors, and the latents of normal images."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from convae_zoo import Autoencoder
from convae_zoo.errors import DataError


class FittedScore(nn.Module):
    """A score whose fit is a few buffers, of any shape once they are fitted or loaded.

    Attributes:
        TENSORS: the buffers' names.
    """

    TENSORS: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__()
        for name in self.TENSORS:
            self.register_buffer(name, torch.empty(0))

    def keep(self, **tensors: Tensor) -> None:
        """Set the fitted buffers: contiguous, and float32 unless they are bytes."""
        for name in self.TENSORS:
            value = tensors[name]
            value = value if value.dtype == torch.uint8 else value.float()
            setattr(self, name, value.contiguous())

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *more: Any, **options: Any
    ) -> None:
        for name in self.TENSORS:
            stored = state_dict.get(prefix + name)
            if stored is not None:
                setattr(self, name, torch.empty_like(stored, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *more, **options)


def latents(images: Tensor, model: Autoencoder) -> Tensor:
    """Return the latents of uint8 images N×C×H×W, float32 N×D."""
    return model.encode(model.to_float(images)).flatten(1).float()


def normal_latents(batches: Iterable[Tensor], model: Autoencoder, minimum: int = 2) -> Tensor:
    """Return the latents of all normal images, float32 N×D.

    Raises:
        DataError: there are fewer than `minimum`, or a latent is not finite.
    """
    found = [latents(images, model) for images in batches]
    count = sum(map(len, found))
    if count < minimum:
        raise DataError(f"a score of latents is fitted to at least {minimum} images, got {count}")
    together = torch.cat(found)
    if not together.isfinite().all():
        raise DataError("the model's latents of normal images hold NaN or infinity; train it again")
    return together
