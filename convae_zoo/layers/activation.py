"""Activations by name."""

from torch import nn

_CLASSES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def make_activation(name: str) -> nn.Module:
    """Make an activation; it has no weights, so one module can serve every layer.

    Args:
        name: one of `convae_zoo.fields.ACTIVATIONS`, as a config's `fields.activation` takes it.
    """
    return _CLASSES[name]()
