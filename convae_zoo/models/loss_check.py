"""Checks of a loss at every call: its return value, and that its inputs are not modified."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from convae_zoo.errors import ZooError


def check_calls(loss: nn.Module, error: Callable[[str], ZooError]) -> list[RemovableHandle]:
    """Check each call of a loss from now on.

    A call must return a real scalar tensor on the reconstruction's device that is differentiable
    with respect to the reconstruction, and must not modify its inputs.

    Args:
        loss: maps (reconstruction, target) to a scalar.
        error: creates the exception from a description of the problem.

    Returns:
        The handles that remove the checks.
    """
    before: list[tuple[int, ...]] = []

    def record(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        before[:] = [_versions(inputs)]

    def check(_: nn.Module, inputs: tuple[Any, ...], value: object) -> None:
        problem = _problem(inputs[0], value)
        if not problem and before and before[0] != _versions(inputs):
            problem = "a loss must not modify its input in place"
        if problem:
            raise error(problem)

    return [loss.register_forward_pre_hook(record), loss.register_forward_hook(check)]


def _problem(reconstruction: Tensor, value: object) -> str:
    """Describe what is wrong with a loss's value; empty if it is valid."""
    if not isinstance(value, Tensor) or value.shape != ():
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.40}"
        return f"a loss must return a scalar tensor, such as the mean, got {got}"
    if not value.is_floating_point():
        return f"a loss must return a real number, got {value.dtype}".replace("torch.", "")
    if value.device != reconstruction.device:
        return f"a loss must stay on its input's device {reconstruction.device}, got {value.device}"
    if torch.is_grad_enabled() and reconstruction.requires_grad and not value.requires_grad:
        return "a loss must not detach its value: no gradient reaches the reconstruction"
    return ""


def _versions(tensors: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the counters that PyTorch increments when a tensor is modified in place."""
    if torch.compiler.is_compiling():
        return ()
    return tuple(t._version for t in tensors if isinstance(t, Tensor) and not t.is_inference())  # noqa: SLF001 - PyTorch documents no other name
