"""What a loss returns, and what it does to its input, checked at every call."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from convae_zoo.errors import ZooError


def check_calls(loss: nn.Module, error: Callable[[str], ZooError]) -> list[RemovableHandle]:
    """Check each call of a loss from now on.

    A call must return a real scalar tensor on the reconstruction's device, through which gradients
    reach the reconstruction, and leave both its inputs as they are.

    Args:
        loss: maps (reconstruction, target) to a scalar.
        error: makes the exception of a sentence that says what is wrong.

    Returns:
        The handles that end the checks.
    """
    before: list[tuple[int, ...]] = []

    def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        before[:] = [_versions(inputs)]

    def check(_: nn.Module, inputs: tuple[Any, ...], value: object) -> None:
        problem = _problem(inputs[0], value)
        if not problem and before and before[0] != _versions(inputs):
            problem = "a loss must not change its input in place"
        if problem:
            raise error(problem)

    return [loss.register_forward_pre_hook(note), loss.register_forward_hook(check)]


def _problem(reconstruction: Tensor, value: object) -> str:
    """Say what is wrong with the value of a loss; empty where nothing is."""
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
    """Return the counters that PyTorch raises when a tensor is changed in place."""
    if torch.compiler.is_compiling():
        return ()
    return tuple(t._version for t in tensors if isinstance(t, Tensor) and not t.is_inference())  # noqa: SLF001 - PyTorch documents no other name
