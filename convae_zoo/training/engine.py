"""The optimiser step: device, precision, memory layout, optimiser.

On a CPU the precision ``fp32``, where it is asked for, is a plain loop's arithmetic, bit for bit:
PyTorch's own layers, layout and optimiser. Other rounding would not harm the result, but training
amplifies it: after 100 steps at a learning rate of 1e-3 two plain loops on one and on two threads
differ by 3% in their losses. ``auto`` is the fastest arithmetic that trains as well.

Tried on two threads of an AVX512-BF16 CPU and not adopted: `torch.compile` (a step is 5% faster
after more than a minute of compiling) and smaller batches whose activations fit the cache (slower).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convae_zoo.data import pixels
from convae_zoo.data.corrupt import Corrupted
from convae_zoo.errors import UsageError
from convae_zoo.layers import ChainedSequences
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.losses import call_loss
from convae_zoo.models.modes import eval_mode
from convae_zoo.registry.factories import plugin_error
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.bf16_weights import Bf16Weights
from convae_zoo.runtime.cuda_graph import GraphedStep
from convae_zoo.runtime.distributed import World
from convae_zoo.runtime.memory import fastest_layout, keep_freed_memory
from convae_zoo.runtime.precision import choose_precision
from convae_zoo.training.optimizers import create_optimizer
from convae_zoo.training.trainable_losses import TrainableLosses


class _Objective(nn.Module):
    """The value to minimise, as one module: the loss of a batch plus the parts' own terms."""

    def __init__(self, model: Autoencoder, loss: nn.Module) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(
        self, x: Tensor, target: Tensor, sigma: Tensor | None, *, bf16: bool
    ) -> tuple[Tensor, Tensor]:
        """Map images in the model's value range to the loss of their reconstruction.

        Args:
            x: what is reconstructed.
            target: what the reconstruction is compared with.
            sigma: standard deviation of the noise in `x`, as `Autoencoder.forward` takes it.
            bf16: whether to compute in bfloat16.

        Returns:
            The loss, a float32 scalar; and the detached reconstruction, float32.
        """
        with torch.autocast(target.device.type, dtype=torch.bfloat16, enabled=bf16):
            reconstruction, terms = self.model.forward_with_terms(x, sigma)
        reconstruction = reconstruction.float()
        if torch.is_grad_enabled() and not reconstruction.requires_grad:
            raise plugin_error(
                self.model.plan.decoder, "its output is detached: no gradient reaches its weights"
            )
        total: Tensor = call_loss(self.loss, reconstruction, target)
        for term in terms.values():
            total = total + term
        return total, reconstruction.detach()


class Engine:
    """Takes optimiser steps on uint8 batches without waiting for the device.

    Args:
        model: trained in place, on its device.
        loss: maps (reconstruction, target) to a scalar; it may be trainable, as
            `convae_zoo.training.trainable_losses` says.
        recipe: learning rate, optimiser and precision.
        world: the processes that train together.
        precision: what the recipe's ``auto`` was resolved to, where a run is resumed.
    """

    def __init__(
        self,
        model: Autoencoder,
        loss: nn.Module,
        recipe: Recipe,
        world: World | None = None,
        precision: str | None = None,
    ) -> None:
        self.model = model
        self.loss = loss.to(model.device)
        self.world = world or World()
        self.device = model.device
        self.precision = precision or self._choose(recipe.precision)
        is_plain = self.device.type == "cpu" and recipe.precision == "fp32"
        self._layout = torch.contiguous_format if is_plain else fastest_layout(model)
        model.to(memory_format=self._layout)
        self.optimizer = create_optimizer(
            recipe.optimizer,
            model.parameters(),
            recipe.learning_rate,
            self.device,
            fused=not is_plain,
            bf16=self.precision == "bf16" and self.device.type == "cpu",
        )
        self.trainable_losses = TrainableLosses(self.loss, self.world)
        self._objective = self.world.wrap(_Objective(model, self.loss))
        swaps = self.precision == "bf16" and self.world.size == 1
        self._bf16_weights = Bf16Weights(model) if swaps else None
        chains = swaps and self.device.type == "cpu" and self._layout == torch.channels_last
        self._chains = ChainedSequences(model) if chains else None
        if self.device.type == "cpu":
            keep_freed_memory()
        elif self.device.type == "cuda" and self.world.size == 1 and not self.trainable_losses:
            self.step = GraphedStep(self.step, recipe.batch_size, self.device)  # type: ignore[method-assign]  # the same call, captured

    def step(
        self, images: Tensor, weight: float = 1.0, corrupted: Corrupted | None = None
    ) -> Tensor:
        """Take one optimiser step on uint8 images N×C×H×W.

        Args:
            images: this process's shard of the batch, the target.
            weight: the shard's fraction of the batch; 1 where one process trains alone.
            corrupted: the model's input; by default the images themselves.

        Returns:
            The loss times the weight, a detached scalar: the sum over all processes is the loss
            of the batch.
        """
        self.optimizer.zero_grad(set_to_none=True)
        x, target, sigma = self._inputs(images, corrupted)
        with self._swapped_in():
            objective, reconstruction = self._objective(
                x, target, sigma, bf16=self.precision == "bf16"
            )
            loss: Tensor = weight * objective
            # The processes' gradients are averaged, but those of the shards must be summed. A part
            # that is checkpointed computes its forward pass again here, so the swaps stay.
            (loss * self.world.size).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if self._bf16_weights is not None:
            self._bf16_weights.copy_gradients()
        self.optimizer.step()
        self.trainable_losses.step(reconstruction, target, weight)
        return loss.detach()

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the following steps."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on except the model's weights."""
        return {**self.trainable_losses.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            TrainingError: it is the state of another loss.
        """
        self.trainable_losses.load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, kept in self.optimizer.state.items():
            for name, value in kept.items():
                if value.shape == parameter.shape:  # the fused step needs one layout for both
                    kept[name] = torch.empty_like(parameter).copy_(value)

    def release(self) -> None:
        """Give the model PyTorch's own memory layout back."""
        self.model.to(memory_format=torch.contiguous_format)

    def validate(self, images: Tensor, corrupted: Corrupted | None = None) -> tuple[Tensor, Tensor]:
        """Return the loss of uint8 images, without the parts' own terms, and the reconstruction.

        Called within `evaluating`.
        """
        x, target, sigma = self._inputs(images, corrupted)
        is_low = self.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_low):
            reconstruction = self.model(x, sigma)
        reconstruction = reconstruction.float()
        return call_loss(self.loss, reconstruction, target), reconstruction

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put model and loss into evaluation mode for a while, without gradients."""
        # A chain's ReLU turns NaN into 0; the validation loss is to show it.
        state = [*self.model.parameters(), *self.model.buffers()]
        is_finite = bool(torch.stack([each.isfinite().all() for each in state]).all())
        fast = self._swapped_in() if is_finite else contextlib.nullcontext()
        with eval_mode(self.model, self.loss), torch.no_grad(), fast:
            yield

    @contextlib.contextmanager
    def _swapped_in(self) -> Iterator[None]:
        """Let the layers compute by the fast ways of this precision for a while."""
        with contextlib.ExitStack() as stack:
            for swaps in (self._bf16_weights, self._chains):
                if swaps is not None:
                    stack.enter_context(swaps.swapped_in())
            yield

    def _inputs(
        self, images: Tensor, corrupted: Corrupted | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the model's input and the target in its value range, and the noise's sigma."""
        target = self._to_float(images)
        if corrupted is None:
            return target, target, None
        sigma = None if corrupted.sigma is None else corrupted.sigma.to(self.device) / 255
        return self._to_float(corrupted.images), target, sigma

    def _to_float(self, images: Tensor) -> Tensor:
        images = images.to(self.device, non_blocking=True)
        images = images.contiguous(memory_format=self._layout)
        return pixels.to_float(images, self.model.value_range)

    def _choose(self, name: str) -> str:
        """Choose a precision; processes that train together choose the same."""
        chosen = choose_precision(name, self.device)
        votes = self.world.sum(torch.tensor(float(chosen == "bf16"), device=self.device))
        return "bf16" if votes.item() == self.world.size else "fp32"


def check_trainable(model: Autoencoder) -> None:
    """Refuse a model that no optimiser step can train.

    Raises:
        UsageError: its weights are frozen, not float32, on the meta device, or made in inference
            mode.
    """
    parameters = list(model.parameters())
    dtypes = {p.dtype for p in parameters if p.is_floating_point()}
    reason = ""
    if not any(p.requires_grad for p in parameters):
        reason = "has no trainable parameter; call model.requires_grad_() first"
    elif len(dtypes) == 1 and torch.float32 not in dtypes:
        reason = f"has weights of {dtypes.pop()}; training needs float32: call model.float() first"
    elif any(p.is_meta for p in parameters):
        reason = "is on the meta device, where it has no weights; build it on the CPU"
    elif any(p.is_inference() for p in parameters):
        reason = "was built in torch.inference_mode, where nothing is trained; build it outside"
    if reason:
        raise UsageError(f"model {model.name!r} {reason}")
