"""Trained models as safetensors files: written whole, found by name or path, checked on loading."""

import hashlib
import importlib.resources
import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from convae_zoo import __version__, storage
from convae_zoo.autoencoder import Autoencoder
from convae_zoo.build import Plan, config_values, kind_of, plan_compose
from convae_zoo.errors import UsageError, WeightsError, ZooError
from convae_zoo.files import write_bytes
from convae_zoo.filling import build_filled, is_finite
from convae_zoo.registry import find_model, get_registry
from convae_zoo.specs import Provenance, Recipe, WeightsSpec

RUN_FILE = "model.safetensors"
"""The trained weights' file in a run folder."""

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
    license: str | None = None,  # noqa: A002 - the word for it everywhere
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as a safetensors file, whole or not at all; equal input gives equal bytes.

    Args:
        model: an `Autoencoder`, compiled or not, on any device.
        path: the file; one that is there is replaced.
        dtype: how floating-point weights are stored: ``fp32`` (double precision stays as it is),
            ``fp16`` or ``bf16``. They are loaded as what the model's parts build, so as float32.
            Whole numbers are stored as they are.
        recipe: how the model was trained.
        dataset: the data it was trained on: its name, its fingerprint and the like.
        metrics: what was measured.
        license: of the weights.
        extra: more to keep with them. All four must be what JSON can hold.

    Raises:
        UsageError: not an autoencoder of the zoo, or an unknown dtype.
        WeightsError: NaN or infinity in the weights, or a value that `dtype` cannot hold.
        FileError: the file cannot be written.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if not isinstance(model, Autoencoder):
        raise UsageError(
            f"save_model takes an Autoencoder as create_model makes it, got {type(model).__name__}"
        )
    if dtype not in DTYPES:
        raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    plan = model.plan
    document = {
        "model": {
            "name": plan.name,
            "encoder": {"name": plan.encoder.name, "config": config_values(plan.encoder_config)},
            "decoder": {"name": plan.decoder.name, "config": config_values(plan.decoder_config)},
            "value_range": plan.value_range,
        },
        "distributions": [
            {"part": kind_of(spec), **attrs.asdict(spec.provenance or _UNREGISTERED)}
            for spec in (plan.encoder, plan.decoder)
        ],
        "versions": {"convae_zoo": __version__, "torch": torch.__version__},
        "recipe": None if recipe is None else attrs.asdict(recipe),
        "dataset": dataset,
        "metrics": metrics,
        "license": license,
        "extra": extra,
        "dtype": dtype,
    }
    tensors = {name: _stored(name, value, dtype) for name, value in model.state_dict().items()}
    write_bytes(path, *storage.pack(document, tensors))


def load_model(
    name_or_path: str | Path, *, device: str | torch.device = "cpu", download: bool = False
) -> Autoencoder:
    """Load a trained model in eval mode; nothing in the file is ever executed.

    Args:
        name_or_path: a registered name with its tag, as in ``convae-200.photos``; or a file that
            `save_model` wrote; or a run folder, which means its ``model.safetensors``. What
            contains a separator, ends with ``.safetensors`` or exists on disk is a path.
        device: where the weights go.
        download: fetch weights that are stored elsewhere, where the cache has them not yet; else
            the error says how to fetch them.

    Raises:
        UnknownNameError: no model or tag has that name.
        UsageError: a name without a tag, or a device that is not there.
        WeightsError: the file is missing, damaged, altered, of a newer format, of an architecture
            other than what is installed, or holds NaN or infinity; or it cannot be fetched.
    """
    data, where = _read(name_or_path, download=download)
    document, tensors = storage.unpack(data, where)
    plan = _plan(document, where)
    model = build_filled(plan, tensors, where, hint=_versions(_made_by(document)))
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:  # torch raises either
        reason = str(error).partition("\n")[0]
        raise UsageError(f"device {str(device)!r} cannot be used: {reason}") from error


def read_metadata(name_or_path: str | Path) -> dict[str, Any]:
    """Read what a weights file says about itself; the file is checked whole, no model is built.

    Returns:
        A dict with the keys ``format_version``, ``model``, ``distributions``, ``versions``,
        ``recipe``, ``dataset``, ``metrics``, ``license``, ``extra``, ``dtype`` and ``sha256``.

    Raises:
        ZooError: as `load_model` does.
    """
    data, where = _read(name_or_path, download=False)
    return storage.unpack(data, where)[0]


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


def find_file(name: str, *, download: bool = False) -> Traversable:
    """Find the file of registered weights: in its package, or verified in the cache.

    Raises:
        ZooError: as `load_model` does, short of reading the file.
    """
    weights = _registered(name)
    if weights.remote:
        from convae_zoo.remote.pull import stored_elsewhere  # needed by few

        return stored_elsewhere(name, weights, download=download)
    return _resource(name, weights)


def _read(name_or_path: str | Path, *, download: bool) -> tuple[bytes, str]:
    """Read the bytes of a name or path, with the file's name for errors."""
    if _is_path(name_or_path):
        path = Path(name_or_path)
        if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it never raises
            if not os.path.lexists(path / RUN_FILE):
                raise WeightsError(
                    f"folder {path} has no {RUN_FILE}; expected a run folder whose training has "
                    "finished an epoch, or a .safetensors file"
                )
            path /= RUN_FILE
        return _read_file(path, str(path)), str(path)
    name = str(name_or_path)
    weights = _registered(name)
    data = _read_file(find_file(name, download=download), f"the weights of {name}")
    if hashlib.sha256(data).hexdigest() != weights.sha256:
        raise WeightsError(
            f"the weights of {name} do not have the sha256 that is registered for them; reinstall "
            "the package that ships them"
        )
    return data, f"the weights of {name}"


def _is_path(name_or_path: str | Path) -> bool:
    if isinstance(name_or_path, Path):
        return True
    separators = {os.sep, os.altsep or os.sep}
    return (
        any(s in name_or_path for s in separators)
        or name_or_path.endswith(".safetensors")
        or os.path.lexists(name_or_path)
    )


def _read_file(path: Path | Traversable, where: str) -> bytes:
    try:
        if path.is_file():
            return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{where} cannot be read: {error.strerror or error}") from error
    raise WeightsError(f"{where}: there is no such file")


def _registered(name: str) -> WeightsSpec:
    spec, weights = find_model(name)
    trained = [f"{spec.name}.{w.tag}" for w in spec.weights if w.trained]
    if weights is None:
        if trained:
            raise UsageError(
                f"{name!r} is a model without weights; load {' or '.join(map(repr, trained))}, or "
                "make one with fresh weights with create_model"
            )
        raise UsageError(f"model {name!r} has no trained weights; {_how_to_train(name)}")
    if not weights.trained:
        raise WeightsError(f"{name!r} is not trained yet; {_how_to_train(name)}")
    return weights


def _how_to_train(name: str) -> str:
    """Say the command that trains a model, or what a tag declares."""
    out = f"runs/{name}"
    how = f"retrain {name}" if "." in name else f"train {name} --dataset photos"
    return f"train it with 'convae-zoo {how} --out {out}' and load {out!r}"


def _resource(name: str, weights: WeightsSpec) -> Traversable:
    package, _, inside = (weights.file or "").partition(":")
    try:
        return importlib.resources.files(package).joinpath(inside)
    except (ImportError, TypeError, ValueError) as error:
        raise WeightsError(
            f"the weights of {name} should be at {weights.file!r}, which leads nowhere: {error}"
        ) from error


def _plan(document: Mapping[str, Any], where: str) -> Plan:
    """Check what the document says of the model against what is installed."""
    try:
        model = document["model"]
        encoder, decoder = str(model["encoder"]["name"]), str(model["decoder"]["name"])
        encoder_config = dict(model["encoder"]["config"])
        decoder_config = dict(model["decoder"]["config"])
        name = None if model["name"] is None else str(model["name"])
        low, high = (float(v) for v in model["value_range"])
        made_by = _made_by(document)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeightsError(
            f"{where}: its metadata does not describe a model ({type(error).__name__}: {error}); "
            "expected what convae_zoo.save_model writes"
        ) from error
    for kind, part in (("encoder", encoder), ("decoder", decoder)):
        if part not in get_registry().entries[kind]:
            distribution, version = made_by[kind]
            raise WeightsError(
                f"{where} needs {kind} {part!r} of {distribution} {version}, which is not "
                f"installed or did not load: pip install {distribution}"
            )
    try:
        return plan_compose(
            encoder,
            decoder,
            encoder_config,
            decoder_config,
            value_range=(low, high),
            name=name,
        )
    except ZooError as error:
        raise WeightsError(
            f"{where}: its config does not fit what is installed{_versions(made_by)}: {error}"
        ) from error


def _made_by(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the distribution, and its version, that each part was made with."""
    parts = {str(d["part"]): d for d in document["distributions"]}
    return {
        kind: (str(parts[kind]["distribution"]), str(parts[kind]["version"]))
        for kind in ("encoder", "decoder")
    }


def _versions(made_by: Mapping[str, tuple[str, str]]) -> str:
    """Say which distributions have another version than when the file was written."""
    installed = {
        spec.provenance.distribution: spec.provenance.version
        for kind in made_by
        for spec in get_registry().entries[kind].values()
        if spec.provenance is not None
    }
    differ = {
        f"written with {distribution} {version}, installed is {installed[distribution]}"
        for distribution, version in made_by.values()
        if installed.get(distribution, version) != version
    }
    return f" ({'; '.join(sorted(differ))})" if differ else ""
