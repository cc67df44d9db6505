"""Trained models written as safetensors files, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from convae_zoo.errors import UsageError, WeightsError
from convae_zoo.files import write_bytes
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry.distributions import zoo_version
from convae_zoo.registry.kinds import kind_of
from convae_zoo.registry.specs import Provenance, Recipe
from convae_zoo.weights import file_format
from convae_zoo.weights.load_state import is_finite

_UNREGISTERED = Provenance("?", "an unknown distribution", "?")

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def save_model(
    model: nn.Module,
    path: str | Path,
    *,
    dtype: str = "fp32",
    recipe: Recipe | None = None,
    dataset: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    license: str | None = None,  # noqa: A002 - the usual word
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as a safetensors file, whole or not at all; equal input gives equal bytes.

    Args:
        model: an `Autoencoder`, compiled or not, on any device.
        path: the file; an existing one is replaced.
        dtype: how floating-point weights are stored: ``fp32`` (float64 stays float64), ``fp16`` or
            ``bf16``. They are loaded in the dtype that the model's parts build, float32. Integers
            are stored unchanged.
        recipe: how the model was trained.
        dataset: the data it was trained on: name, fingerprint and so on, as JSON values.
        metrics: what was measured, as JSON values.
        license: of the weights.
        extra: more to store with them, as JSON values.

    Raises:
        UsageError: the model is no `Autoencoder`, or the dtype is unknown.
        WeightsError: NaN or infinity in the weights, or a value that `dtype` cannot hold.
        FileError: the file cannot be written.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if not isinstance(model, Autoencoder):
        raise UsageError(
            "save_model takes an Autoencoder, as create_model returns it, got "
            f"{type(model).__name__}"
        )
    if dtype not in DTYPES:
        raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    document = {
        **describe_model(model),
        "recipe": None if recipe is None else attrs.asdict(recipe),
        "dataset": dataset,
        "metrics": metrics,
        "license": license,
        "extra": extra,
        "dtype": dtype,
    }
    if model.corruption:
        document["corruption"] = model.corruption
    write_bytes(path, *file_format.pack(document, stored_tensors(model.state_dict(), dtype)))


def describe_model(model: Autoencoder) -> dict[str, Any]:
    """Return what a model is built from and with, as JSON values; `plan_of` reads it."""
    plan = model.plan
    return {
        "model": plan.describe(),
        "distributions": [
            {"part": kind_of(spec), **attrs.asdict(spec.provenance or _UNREGISTERED)}
            for spec in (plan.encoder, plan.decoder)
        ],
        "versions": {"convae_zoo": zoo_version(), "torch": torch.__version__},
    }


def stored_tensors(state: Mapping[str, object], dtype: str = "fp32") -> dict[str, Tensor]:
    """Copy a state dict as it is stored; the copies share no memory.

    Raises:
        WeightsError: NaN or infinity, a value that `dtype` cannot hold, or no dense tensor.
    """
    return {name: _stored(name, value, dtype) for name, value in state.items()}


def _stored(name: str, value: object, dtype: str) -> Tensor:
    """Copy one entry of a state dict as it is stored; a copy shares no memory with another."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
        raise WeightsError(f"{name!r} of the state dict must be a dense tensor, got {value!r:.80}")
    plain = value.detach()
    if not plain.is_floating_point() or (dtype == "fp32" and plain.dtype == torch.float64):
        wanted = plain.dtype
    else:
        wanted = DTYPES[dtype]
    copy = plain.to("cpu", wanted, copy=True).contiguous()
    if not is_finite(copy):
        if is_finite(plain):
            raise WeightsError(
                f"tensor {name!r} holds values beyond what {dtype} can; store it as "
                f"{'bf16 or ' if dtype == 'fp16' else ''}fp32"
            )
        raise WeightsError(f"tensor {name!r} holds NaN or infinity; such a model is not saved")
    return copy
