"""Put the fast layers into a model in place."""

from torch import nn

from convae_zoo.layers.conv_transpose import ConvTranspose2d


def use_fast_layers(model: nn.Module) -> None:
    """Replace each ``nn.ConvTranspose2d`` of a model by the faster one, in place.

    Parameters, names, hooks and the state dict are unchanged. A subclass is left alone: it may
    compute something else.
    """
    for module in model.modules():
        if type(module) is nn.ConvTranspose2d:
            module.__class__ = ConvTranspose2d
