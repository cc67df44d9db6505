"""convae_zoo: a zoo of convolutional autoencoders that anyone can extend by installing a package.

Importing this, and listing what there is, imports no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convae_zoo.autoencoder import Autoencoder
    from convae_zoo.build import compose, create_model
    from convae_zoo.data import load_dataset
    from convae_zoo.errors import ZooError
    from convae_zoo.evaluation import evaluate
    from convae_zoo.hookspecs import hookimpl
    from convae_zoo.losses import create_loss
    from convae_zoo.registry import (
        list_datasets,
        list_decoders,
        list_encoders,
        list_losses,
        list_models,
        model_info,
    )
    from convae_zoo.training import TrainResult, train
    from convae_zoo.weights import load_model, save_model

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "TrainResult",
    "ZooError",
    "compose",
    "create_loss",
    "create_model",
    "evaluate",
    "hookimpl",
    "list_datasets",
    "list_decoders",
    "list_encoders",
    "list_losses",
    "list_models",
    "load_dataset",
    "load_model",
    "model_info",
    "save_model",
    "train",
]

_WHERE = {  # imported when first asked for: torch, and pluggy, cost more than the rest
    "Autoencoder": "autoencoder",
    "TrainResult": "training",
    "ZooError": "errors",
    "compose": "build",
    "create_loss": "losses",
    "create_model": "build",
    "evaluate": "evaluation",
    "hookimpl": "hookspecs",
    "list_datasets": "registry",
    "list_decoders": "registry",
    "list_encoders": "registry",
    "list_losses": "registry",
    "list_models": "registry",
    "load_dataset": "data",
    "load_model": "weights",
    "model_info": "registry",
    "save_model": "weights",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
