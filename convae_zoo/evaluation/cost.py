"""What a model costs: its parameters, the floating-point operations of a pass, its time."""

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
    """Count the numbers in a module's parameters, frozen ones too."""
    return sum(p.numel() for p in model.parameters())


def count_flops(model: nn.Module, x: Tensor) -> int:
    """Count the floating-point operations of one forward pass, a multiply-add as two."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return int(counter.get_total_flops())


def image_flops(model: Autoencoder) -> int:
    """Count the operations of one image's way through an autoencoder."""
    with evaluating(model):  # as it is used
        return count_flops(model, torch.zeros(1, *model.image_shape, device=model.device))


def training_flops(model: Autoencoder) -> int:
    """Count the operations of one image's way through an autoencoder and of its gradients.

    The model's gradients are cleared; a loss and an optimiser come to little beside these.
    """
    x = torch.zeros(1, *model.image_shape, device=model.device)
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    model.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def measure_speed(model: Autoencoder, device: str = "auto") -> dict[str, Any]:
    """Measure how many images a second go there and back on this machine, in float32.

    Returns:
        ``images_per_second``, ``batch_size`` and ``device``.

    Raises:
        UsageError: the device is not there.
    """
    where, batches = choose_device(device), 0
    x = torch.zeros(BATCH_SIZE, *model.image_shape, device=where)
    with evaluating(model, where):
        for _ in range(_WARM_UP):
            model(x)
        _wait(where)
        start = time.perf_counter()
        while (seconds := time.perf_counter() - start) < _SECONDS:
            model(x)
            _wait(where)
            batches += 1
    return {
        "images_per_second": batches * BATCH_SIZE / seconds,
        "batch_size": BATCH_SIZE,
        "device": describe_device(where),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
