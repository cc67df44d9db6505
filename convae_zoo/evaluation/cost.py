"""The cost of a model: its parameters, the operations of a forward pass, its throughput."""

import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.device import choose_device, describe_device
from convae_zoo.runtime.modes import BATCH_SIZE, evaluating

_SECONDS = 1.0
_WARM_UP = 2


def count_parameters(model: nn.Module) -> int:
    """Count a module's parameters, frozen ones included."""
    return sum(p.numel() for p in model.parameters())


def count_flops(model: nn.Module, x: Tensor) -> int:
    """Count the floating-point operations of a forward pass, a multiply-add as two."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return int(counter.get_total_flops())


def image_flops(model: Autoencoder) -> int:
    """Count the floating-point operations of encoding and decoding one image."""
    with evaluating(model):  # the mode in which the model is used
        return count_flops(model, torch.zeros(1, *model.image_shape, device=model.device))


def training_flops(model: Autoencoder) -> int:
    """Count the floating-point operations of a forward and backward pass of one image.

    The model's gradients are cleared. The operations of a loss and an optimiser are negligible and
    not counted.
    """
    x = torch.zeros(1, *model.image_shape, device=model.device)
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    model.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def measure_speed(model: Autoencoder, device: str = "auto") -> dict[str, Any]:
    """Measure the throughput of encoding and decoding on this machine, in float32.

    Returns:
        ``images_per_second``, ``batch_size`` and ``device``.

    Raises:
        UsageError: the device is not available.
    """
    chosen, batches = choose_device(device), 0
    x = torch.zeros(BATCH_SIZE, *model.image_shape, device=chosen)
    with evaluating(model, chosen):
        for _ in range(_WARM_UP):
            model(x)
        _synchronize(chosen)
        start = time.perf_counter()
        while (seconds := time.perf_counter() - start) < _SECONDS:
            model(x)
            _synchronize(chosen)
            batches += 1
    return {
        "images_per_second": batches * BATCH_SIZE / seconds,
        "batch_size": BATCH_SIZE,
        "device": describe_device(chosen),
    }


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
