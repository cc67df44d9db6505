"""convae_zoo: a zoo of convolutional autoencoders that anyone can extend by installing a package.

Importing it and listing its entries imports no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convae_zoo.data import ImageSet, load_dataset
    from convae_zoo.errors import ZooError
    from convae_zoo.evaluation import evaluate
    from convae_zoo.models.autoencoder import Autoencoder
    from convae_zoo.models.create import compose, create_decoder, create_encoder, create_model
    from convae_zoo.models.loading import is_loading
    from convae_zoo.models.losses import create_loss
    from convae_zoo.registry import fields, list_models, model_info
    from convae_zoo.registry.hookspecs import Registrar, hookimpl
    from convae_zoo.registry.listing import ListFunction
    from convae_zoo.registry.shipped_weights import shipped_weights
    from convae_zoo.registry.specs import (
        CorruptionSpec,
        DatasetSpec,
        DecoderSpec,
        EncoderSpec,
        LossSpec,
        ModelSpec,
        Recipe,
        ScoreSpec,
        WeightsSpec,
    )
    from convae_zoo.runtime.inference import Inference
    from convae_zoo.tasks.detect import AnomalyDetector
    from convae_zoo.tasks.latents import LatentTransformer
    from convae_zoo.tasks.pictures import denoise, reconstruct
    from convae_zoo.training import TrainResult, train
    from convae_zoo.weights import load_model, save_model

    list_corruptions: ListFunction
    list_datasets: ListFunction
    list_decoders: ListFunction
    list_encoders: ListFunction
    list_losses: ListFunction
    list_scores: ListFunction
    list_weights: ListFunction

__version__ = "0.1.0"

_MODULES = {  # imported on first access: torch and pluggy take most of the import time
    "data": ("ImageSet", "load_dataset"),
    "errors": ("ZooError",),
    "evaluation": ("evaluate",),
    "models.autoencoder": ("Autoencoder",),
    "models.create": ("compose", "create_decoder", "create_encoder", "create_model"),
    "models.loading": ("is_loading",),
    "models.losses": ("create_loss",),
    "registry": (
        "fields",
        "list_corruptions",
        "list_datasets",
        "list_decoders",
        "list_encoders",
        "list_losses",
        "list_models",
        "list_scores",
        "list_weights",
        "model_info",
    ),
    "registry.hookspecs": ("Registrar", "hookimpl"),
    "registry.shipped_weights": ("shipped_weights",),
    "registry.specs": (
        "CorruptionSpec",
        "DatasetSpec",
        "DecoderSpec",
        "EncoderSpec",
        "LossSpec",
        "ModelSpec",
        "Recipe",
        "ScoreSpec",
        "WeightsSpec",
    ),
    "runtime.inference": ("Inference",),
    "tasks.detect": ("AnomalyDetector",),
    "tasks.latents": ("LatentTransformer",),
    "tasks.pictures": ("denoise", "reconstruct"),
    "training": ("TrainResult", "train"),
    "weights": ("load_model", "save_model"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AnomalyDetector",
    "Autoencoder",
    "CorruptionSpec",
    "DatasetSpec",
    "DecoderSpec",
    "EncoderSpec",
    "ImageSet",
    "Inference",
    "LatentTransformer",
    "LossSpec",
    "ModelSpec",
    "Recipe",
    "Registrar",
    "ScoreSpec",
    "TrainResult",
    "WeightsSpec",
    "ZooError",
    "compose",
    "create_decoder",
    "create_encoder",
    "create_loss",
    "create_model",
    "denoise",
    "evaluate",
    "fields",
    "hookimpl",
    "is_loading",
    "list_corruptions",
    "list_datasets",
    "list_decoders",
    "list_encoders",
    "list_losses",
    "list_models",
    "list_scores",
    "list_weights",
    "load_dataset",
    "load_model",
    "model_info",
    "reconstruct",
    "save_model",
    "shipped_weights",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
