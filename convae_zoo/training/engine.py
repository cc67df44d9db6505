"""What makes an optimiser step: device, precision, memory layout, optimiser."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from convae_zoo.autoencoder import Autoencoder
from convae_zoo.data import pixels
from convae_zoo.specs import Recipe

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class Engine:
    """Takes uint8 batches, and gives the loss of a step without waiting for it.

    Args:
        model: trained in place, on its device.
        loss: maps (reconstruction, target) to a scalar.
        recipe: learning rate, optimiser and precision.
    """

    def __init__(self, model: Autoencoder, loss: nn.Module, recipe: Recipe) -> None:
        self.model = model
        self.loss = loss.to(model.device)
        self.device = model.device
        self.precision = "fp32" if recipe.precision == "auto" else recipe.precision
        self.optimizer: torch.optim.Optimizer = _OPTIMIZERS[recipe.optimizer](
            model.parameters(), lr=recipe.learning_rate
        )

    def step(self, images: Tensor) -> Tensor:
        """Take one optimiser step on uint8 images N×C×H×W; return the loss, a detached scalar."""
        target = self._to_float(images)
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            reconstruction, terms = self.model.forward_with_terms(target)
        loss: Tensor = self.loss(reconstruction.float(), target)
        for term in terms.values():
            loss = loss + term
        loss.backward()  # type: ignore[no-untyped-call] - torch leaves it untyped
        self.optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def validate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of uint8 images, without the parts' own terms, and the reconstruction."""
        target = self._to_float(images)
        with self._autocast():
            reconstruction = self.model(target)
        reconstruction = reconstruction.float()
        return self.loss(reconstruction, target), reconstruction

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put model and loss into eval mode for a while."""
        self.model.eval()
        self.loss.eval()
        try:
            yield
        finally:
            self.model.train()
            self.loss.train()

    def _to_float(self, images: Tensor) -> Tensor:
        return pixels.to_float(images.to(self.device, non_blocking=True), self.model.value_range)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
        )
