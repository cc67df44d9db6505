"""Reconstruction of images in batches, without changing the model's mode."""

import torch
from torch import Tensor

from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.modes import BATCH_SIZE, evaluating


def reconstruct_batches(
    model: Autoencoder, images: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Reconstruct uint8 images N×C×H×W of the model's shape; uint8 of the same shape on the CPU.

    The model runs in eval mode; its own mode is restored.
    """
    with evaluating(model):
        run = Inference(model, repeatable=True)
        batches = [
            model.postprocess(run(model.to_float(part))) for part in torch.split(images, batch_size)
        ]
    return torch.cat([batch.cpu() for batch in batches]).clone()
