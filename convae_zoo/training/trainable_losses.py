"""Losses with parameters of their own, and the step that trains them.

Such a loss has two methods beside ``forward``; it may also be a term of a weighted sum::

    class Critic(nn.Module):
        def own_loss(self, reconstruction, target): ...  # a scalar that its parameters minimise
        def own_optimizer(self): ...                     # a torch optimiser of its parameters

The model and the loss are trained separately: the model's step does not change the loss's
parameters, and the reconstruction that `own_loss` is given is detached.
"""

from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor, nn, optim

from convae_zoo.errors import TrainingError
from convae_zoo.models.losses import call_loss
from convae_zoo.runtime.distributed import World


@runtime_checkable
class TrainableLoss(Protocol):
    """The methods of a loss with parameters of its own beside ``forward``."""

    def own_loss(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to the scalar to minimise, a mean over images."""

    def own_optimizer(self) -> optim.Optimizer:
        """Create the optimiser of the loss's parameters; called once, on their device."""


class _OwnObjective(nn.Module):
    """The unweighted sum of several losses' own losses, as one module."""

    def __init__(self, losses: list[nn.Module]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        terms = [
            call_loss(m, reconstruction, target, cast("TrainableLoss", m).own_loss)
            for m in self.losses
        ]
        total: Tensor = sum(terms[1:], terms[0])
        return total


class TrainableLosses:
    """All trainable losses in a loss; often there are none.

    Their parameters require gradients within `step` only.

    Args:
        loss: on its device; it may be trainable itself, or contain such losses at any depth.
        world: the processes that train together.
    """

    def __init__(self, loss: nn.Module, world: World) -> None:
        self.world = world
        # What is frozen now never changes: a checkpoint need not contain it.
        self._frozen = {n for n, p in loss.named_parameters() if not p.requires_grad}
        self._loss = loss
        found = [m for m in loss.modules() if isinstance(m, TrainableLoss)]
        self.optimizers = [m.own_optimizer() for m in found]
        self._parameters = [
            p
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for p in group["params"]
        ]
        self._objective: nn.Module | None = None
        if found:
            self._objective = world.wrap(_OwnObjective(cast("list[nn.Module]", found)))
        self._require_gradients(yes=False)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return self._objective is not None

    def step(self, reconstruction: Tensor, target: Tensor, weight: float) -> None:
        """Take a step of each loss's own optimiser.

        Args:
            reconstruction: float32 N×C×H×W, without a gradient.
            target: of the same shape.
            weight: this process's fraction of the batch.
        """
        if self._objective is None:
            return
        self._require_gradients(yes=True)
        try:
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss: Tensor = self._objective(reconstruction, target)
            (loss * (weight * self.world.size)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            for optimizer in self.optimizers:
                optimizer.step()
        finally:
            self._require_gradients(yes=False)

    def state_dict(self) -> dict[str, Any]:
        """Return the loss's trained state and that of its optimisers."""
        return {
            "loss": self._weights(frozen=False),
            "own_optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            TrainingError: the state is that of another loss.
        """
        kept = state.get("own_optimizers", [])
        try:
            self._loss.load_state_dict({**self._weights(frozen=True), **state["loss"]})
            for optimizer, one in zip(self.optimizers, kept, strict=True):
                optimizer.load_state_dict(one)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise TrainingError(
                "the checkpoint is of another loss than the run's (has its plugin changed?): "
                f"{reason:.200}; start again with --overwrite"
            ) from error

    def _weights(self, *, frozen: bool) -> dict[str, Tensor]:
        state = self._loss.state_dict()
        return {name: value for name, value in state.items() if (name in self._frozen) == frozen}

    def _require_gradients(self, *, yes: bool) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(yes)
