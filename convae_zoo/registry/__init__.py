"""The installed entries: specs by name, registered by the plugins. Imports no torch.

Besides the names below there is a ``list_*`` function for each kind, such as `list_models`.
"""

from typing import TYPE_CHECKING

from convae_zoo.registry import fields
from convae_zoo.registry.listing import find_model, list_function, list_models, model_info
from convae_zoo.registry.registry import Registry, get_registry, override

__all__ = [
    "Registry",
    "fields",
    "find_model",
    "get_registry",
    "list_models",
    "model_info",
    "override",
]

if not TYPE_CHECKING:  # else a type checker would accept any name

    def __getattr__(name):  # noqa: ANN001, ANN202 - not type-checked
        function = list_function(name)
        if function is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return function
