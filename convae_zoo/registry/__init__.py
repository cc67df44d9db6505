"""What there is: names to specs, from the plugins that are installed. Imports no torch."""

from convae_zoo.registry import fields
from convae_zoo.registry.registry import (
    Registry,
    find_model,
    get_registry,
    list_datasets,
    list_decoders,
    list_encoders,
    list_losses,
    list_models,
    model_info,
    override,
)

__all__ = [
    "Registry",
    "fields",
    "find_model",
    "get_registry",
    "list_datasets",
    "list_decoders",
    "list_encoders",
    "list_losses",
    "list_models",
    "model_info",
    "override",
]
