"""Modes of modules and of PyTorch, set for a while and then restored."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from convae_zoo.models.autoencoder import Autoencoder

BATCH_SIZE = 256


@contextmanager
def eval_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode for a while.

    Each submodule gets its own mode back, so that one that was frozen stays frozen.
    """
    modes = {each: each.training for module in modules for each in module.modules()}
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for each, training in modes.items():
            each.training = training


@contextmanager
def evaluating(model: Autoencoder, device: torch.device | None = None) -> Iterator[None]:
    """Put a model into evaluation mode, on a device, without gradients; then restore it."""
    home = model.device
    try:
        model.to(device or home)
        with eval_mode(model), torch.inference_mode():
            yield
    finally:
        model.to(home)


@contextmanager
def default_modes() -> Iterator[None]:
    """Give PyTorch its own defaults for a while: float32, the CPU, and gradients.

    A caller may have set another default dtype or device, or call within ``torch.no_grad`` or
    ``torch.inference_mode``.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        if device.type != "cpu":  # only then: it slows every call down
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
