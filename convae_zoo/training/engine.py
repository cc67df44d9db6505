"""What makes an optimiser step: device, precision, memory layout, optimiser.

On a CPU the precision ``fp32``, where it is asked for, is a plain loop's arithmetic to the bit:
PyTorch's own layers, layout and optimiser. Rounding would do no harm to the result, but a training
amplifies it: after 100 steps at a learning rate of 1e-3 two plain loops on one and on two threads
differ by 3% in their losses. ``auto`` takes the fastest arithmetic that trains as well.

Measured on two threads of an AVX512-BF16 CPU and left out: `torch.compile` (a step 5% faster after
more than a minute of compiling), smaller batches whose activations fit the cache (slower).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convae_zoo.data import pixels
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.distributed import World
from convae_zoo.runtime.memory import fastest_layout, keep_freed_memory
from convae_zoo.runtime.precision import bf16_pays
from convae_zoo.training.cuda_graph import GraphedStep
from convae_zoo.training.half_weights import HalfWeights
from convae_zoo.training.learners import Learners

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class _Objective(nn.Module):
    """What is minimised, as one module: the loss of a batch and the parts' own terms."""

    def __init__(self, model: Autoencoder, loss: nn.Module) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, target: Tensor, *, bf16: bool) -> tuple[Tensor, Tensor]:
        """Map images in the model's value range to their loss and their reconstruction.

        Returns:
            The loss, a float32 scalar; and the reconstruction, float32, without a gradient.
        """
        with torch.autocast(target.device.type, dtype=torch.bfloat16, enabled=bf16):
            reconstruction, terms = self.model.forward_with_terms(target)
        reconstruction = reconstruction.float()
        total: Tensor = self.loss(reconstruction, target)
        for term in terms.values():
            total = total + term
        return total, reconstruction.detach()


class Engine:
    """Takes uint8 batches, and gives the loss of a step without waiting for it.

    Args:
        model: trained in place, on its device.
        loss: maps (reconstruction, target) to a scalar; it may have parameters of its own, as
            `convae_zoo.training.learners` says.
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
        self.precision = self._choose(recipe.precision)
        is_plain = self.device.type == "cpu" and recipe.precision == "fp32"
        self._layout = torch.contiguous_format if is_plain else fastest_layout(model)
        model.to(memory_format=self._layout)
        self.optimizer = _make_optimizer(model, recipe, fused=not is_plain)
        self._learners = Learners(self.loss, self.world)
        self._objective = self.world.wrap(_Objective(model, self.loss))
        lends = self.precision == "bf16" and self.world.size == 1
        self._half = HalfWeights(model) if lends else None
        self._graphed: GraphedStep | None = None
        if self.device.type == "cpu":
            keep_freed_memory()
        elif self.device.type == "cuda" and self.world.size == 1 and not self._learners:
            self._graphed = GraphedStep(self._step, recipe.batch_size)

    def step(self, images: Tensor, weight: float = 1.0) -> Tensor:
        """Take one optimiser step on uint8 images N×C×H×W.

        Args:
            images: this process's share of the batch.
            weight: the share's part of the batch; 1 where one process trains alone.

        Returns:
            The loss times the weight, a detached scalar: the sum over all processes is the loss
            of the batch.
        """
        images = images.to(self.device, non_blocking=True)
        if self._graphed is not None and weight == 1:
            return self._graphed(images)
        return self._step(images, weight)

    def _step(self, images: Tensor, weight: float = 1.0) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        target = self._to_float(images)
        with self._half.lent() if self._half else contextlib.nullcontext():
            objective, reconstruction = self._objective(target, bf16=self.precision == "bf16")
        loss: Tensor = weight * objective
        # The processes' gradients are averaged, but the shares' are to be summed.
        (loss * self.world.size).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if self._half is not None:
            self._half.bring_gradients()
        self.optimizer.step()
        self._learners.step(reconstruction, target, weight)
        return loss.detach()

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """Return all that another step depends on but the model's weights."""
        return {**self._learners.state(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave.

        Raises:
            TrainingError: it is that of another loss.
        """
        self._learners.load_state(state)
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, kept in self.optimizer.state.items():
            for name, value in kept.items():
                if value.shape == parameter.shape:  # the fused step wants one layout for both
                    kept[name] = torch.empty_like(parameter).copy_(value)

    def release(self) -> None:
        """Leave the model in PyTorch's own memory layout."""
        self.model.to(memory_format=torch.contiguous_format)

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
        there = images.to(self.device, non_blocking=True).contiguous(memory_format=self._layout)
        return pixels.to_float(there, self.model.value_range)

    def _choose(self, precision: str) -> str:
        """Choose a precision; processes that train together choose alike."""
        if precision != "auto":
            return precision
        pays = torch.tensor(float(bf16_pays(self.device)), device=self.device)
        return "bf16" if self.world.sum(pays).item() == self.world.size else "fp32"


def _make_optimizer(model: Autoencoder, recipe: Recipe, *, fused: bool) -> torch.optim.Optimizer:
    """Make the recipe's optimiser, maybe as one kernel; on CUDA as one that can be captured."""
    options: dict[str, Any] = {"lr": recipe.learning_rate, "fused": fused}
    if model.device.type == "cuda":
        options["lr"] = torch.tensor(recipe.learning_rate, device=model.device)
        if recipe.optimizer != "sgd":
            options["capturable"] = True
    optimizer: torch.optim.Optimizer = _OPTIMIZERS[recipe.optimizer](model.parameters(), **options)
    return optimizer
