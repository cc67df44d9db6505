"""What makes an optimiser step: device, precision, memory layout, optimiser."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convae_zoo.autoencoder import Autoencoder
from convae_zoo.data import pixels
from convae_zoo.specs import Recipe
from convae_zoo.training.distributed import World

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class _Objective(nn.Module):
    """What is minimised, as one module: the loss of a batch and the parts' own terms."""

    def __init__(self, model: Autoencoder, loss: nn.Module) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, target: Tensor, *, bf16: bool) -> Tensor:
        """Return the loss of images in the model's value range, a float32 scalar."""
        with torch.autocast(target.device.type, dtype=torch.bfloat16, enabled=bf16):
            reconstruction, terms = self.model.forward_with_terms(target)
        total: Tensor = self.loss(reconstruction.float(), target)
        for term in terms.values():
            total = total + term
        return total


class Engine:
    """Takes uint8 batches, and gives the loss of a step without waiting for it.

    Args:
        model: trained in place, on its device.
        loss: maps (reconstruction, target) to a scalar.
        recipe: learning rate, optimiser and precision.
        world: the processes that train together.
    """

    def __init__(
        self, model: Autoencoder, loss: nn.Module, recipe: Recipe, world: World | None = None
    ) -> None:
        self.model = model
        self.loss = loss.to(model.device)
        self.world = world or World()
        self.device = model.device
        self.precision = "fp32" if recipe.precision == "auto" else recipe.precision
        self.optimizer: torch.optim.Optimizer = _OPTIMIZERS[recipe.optimizer](
            model.parameters(), lr=recipe.learning_rate
        )
        self._objective = self.world.wrap(_Objective(model, self.loss))

    def step(self, images: Tensor, weight: float = 1.0) -> Tensor:
        """Take one optimiser step on uint8 images N×C×H×W.

        Args:
            images: this process's share of the batch.
            weight: the share's part of the batch; 1 where one process trains alone.

        Returns:
            The loss times the weight, a detached scalar: the sum over all processes is the loss
            of the batch.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss: Tensor = weight * self._objective(
            self._to_float(images), bf16=self.precision == "bf16"
        )
        # The processes' gradients are averaged, but the shares' are to be summed.
        (loss * self.world.size).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.optimizer.step()
        return loss.detach()

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """Return all that another step depends on but the model's weights."""
        return {"loss": self.loss.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave."""
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])

    @torch.no_grad()
    def validate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of uint8 images, without the parts' own terms, and the reconstruction."""
        target = self._to_float(images)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
        ):
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
