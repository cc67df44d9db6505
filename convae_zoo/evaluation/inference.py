"""Reconstructions a batch at a time, leaving the model as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from convae_zoo.autoencoder import Autoencoder
from convae_zoo.data import pixels

BATCH_SIZE = 256


@contextmanager
def evaluating(model: Autoencoder, device: torch.device | None = None) -> Iterator[None]:
    """Put a model into evaluation mode, on a device, without gradients; then back as it was.

    Each module gets its own mode back, so that one that was frozen stays frozen.
    """
    home = model.device
    modes = {module: module.training for module in model.modules()}
    try:
        model.to(device or home).eval()
        with torch.inference_mode():
            yield
    finally:
        model.to(home)
        for module, training in modes.items():
            module.training = training


def reconstruct(model: Autoencoder, images: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Reconstruct uint8 images N×C×H×W of the model's shape; uint8 of the same shape on the CPU.

    The model is used in evaluation mode and left in the mode that it was in.
    """
    with evaluating(model):
        batches = [
            model.postprocess(model(pixels.to_float(part.to(model.device), model.value_range)))
            for part in torch.split(images, batch_size)
        ]
    return torch.cat([batch.cpu() for batch in batches]).clone()
