"""What a model costs: its parameters, and the floating-point operations of a pass."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convae_zoo.autoencoder import Autoencoder
from convae_zoo.evaluation.inference import evaluating


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
    with evaluating(model):
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
