"""Evaluation mode for a while, leaving the model as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from convae_zoo.models.autoencoder import Autoencoder

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
