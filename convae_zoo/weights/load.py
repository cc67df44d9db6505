"""Trained models found by name or path, and checked on loading."""

import hashlib
import mmap
import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import torch

from convae_zoo.errors import UsageError, WeightsError, ZooError, reason
from convae_zoo.files import is_path
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.plan import Plan, plan_compose
from convae_zoo.registry import get_registry
from convae_zoo.registry.specs import DEFAULT_FILENAME, ModelSpec
from convae_zoo.weights import file_format
from convae_zoo.weights.load_state import build_with_state
from convae_zoo.weights.names import find_file, registered


def load_model(
    name_or_path: str | Path, *, device: str | torch.device = "cpu", download: bool = False
) -> Autoencoder:
    """Load a trained model in eval mode; nothing in the file is ever executed.

    Args:
        name_or_path: a registered name with its tag, as in ``convae-200.photos``; or a file that
            `save_model` wrote; or a run folder, which means its ``model.safetensors``. What
            contains a separator, ends with ``.safetensors`` or exists on disk is a path.
        device: device of the weights.
        download: download weights that no package ships, if they are not cached yet; otherwise
            the error says how.

    Raises:
        UnknownNameError: no model or tag has that name.
        UsageError: a name without a tag, or a missing device.
        WeightsError: the file is missing, damaged, altered, of a newer format, of an architecture
            other than what is installed, or holds NaN or infinity; or it cannot be fetched.
    """
    data, source = _read(name_or_path, download=download)
    document, tensors = file_format.unpack(data, source)
    if "kind" in document:  # of a file that is more than a model
        raise WeightsError(
            f"{source} is a {document['kind']}, not a model; load it with AnomalyDetector.load"
        )
    plan = plan_of(document, source)
    model = build_with_state(plan, tensors, source, hint=version_hint(document))
    model.corruption = str(document.get("corruption", ""))
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:  # torch raises either
        reason = str(error).partition("\n")[0]
        raise UsageError(f"device {str(device)!r} cannot be used: {reason}") from error


def read_metadata(name_or_path: str | Path) -> dict[str, Any]:
    """Read what a weights file says about itself; the file is checked whole, no model is built.

    Returns:
        A dict with the keys ``format_version``, ``model``, ``distributions``, ``versions``,
        ``recipe``, ``dataset``, ``metrics``, ``license``, ``extra``, ``dtype`` and ``sha256``; and
        ``corruption`` if the model was trained with one.

    Raises:
        ZooError: as `load_model` does.
    """
    data, source = _read(name_or_path, download=False)
    return file_format.unpack(data, source)[0]


def _read(name_or_path: object, *, download: bool) -> tuple[memoryview, str]:
    """Map the file of a name or path; return it with the file's name for errors."""
    if not isinstance(name_or_path, str | Path) or "\0" in str(name_or_path):
        raise UsageError(
            f"expected the name of trained weights, or the path of a file, got {name_or_path!r:.80}"
        )
    if is_path(name_or_path):
        path = Path(name_or_path)
        if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it never raises
            if not os.path.lexists(path / DEFAULT_FILENAME):
                raise WeightsError(
                    f"folder {path} has no {DEFAULT_FILENAME}; expected a run folder whose "
                    "training has finished an epoch, or a .safetensors file"
                )
            path /= DEFAULT_FILENAME
        return map_file(path, str(path)), str(path)
    name, source = str(name_or_path), f"the weights of {name_or_path}"
    weights = registered(name)
    data = map_file(find_file(name, download=download), source)
    if hashlib.sha256(data).hexdigest() != weights.sha256:
        raise WeightsError(
            f"{source} do not have the sha256 that is registered for them; reinstall the package "
            "that ships them"
        )
    return data, source


def map_file(path: Path | Traversable, source: str) -> memoryview:
    """Map a file into memory, so that its bytes are read as they are used.

    The mapping is private and writable, as torch wants it; the file never changes.

    Raises:
        WeightsError: it is missing or cannot be read.
    """
    try:
        if not path.is_file():
            raise WeightsError(f"{source}: there is no such file")
        if not isinstance(path, Path):  # in a package that is a zip archive
            return memoryview(path.read_bytes())
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")  # which cannot be mapped
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except OSError as error:
        raise WeightsError(f"{source} cannot be read: {error.strerror or error}") from error


def stored_model(document: Mapping[str, Any], source: str) -> ModelSpec:
    """Return the model that a file's metadata describes, whether its parts are installed or not.

    Raises:
        WeightsError: they do not describe a model.
    """
    try:
        model = document["model"]
        str(model["name"])
        _made_by(document)
        return ModelSpec(
            name="stored",
            encoder=str(model["encoder"]["name"]),
            decoder=str(model["decoder"]["name"]),
            encoder_config=dict(model["encoder"]["config"]),
            decoder_config=dict(model["decoder"]["config"]),
            value_range=tuple(model["value_range"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeightsError(
            f"{source}: its metadata does not describe a model ({reason(error)}); "
            "expected what convae_zoo.save_model writes"
        ) from error


def plan_of(document: Mapping[str, Any], source: str) -> Plan:
    """Plan the model that a file's metadata describes from what is installed.

    Raises:
        WeightsError: a part is not installed, or does not have the config.
    """
    spec, made_by = stored_model(document, source), _made_by(document)
    name = document["model"]["name"]
    for kind, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        if part not in get_registry().entries[kind]:
            distribution, version = made_by[kind]
            raise WeightsError(
                f"{source} needs {kind} {part!r} of {distribution} {version}, which is not "
                f"installed or did not load: pip install {distribution}"
            )
    try:
        return plan_compose(
            spec.encoder,
            spec.decoder,
            spec.encoder_config,
            spec.decoder_config,
            value_range=spec.value_range,
            name=None if name is None else str(name),
        )
    except ZooError as error:
        raise WeightsError(
            f"{source}: its config does not fit what is installed{_versions(made_by)}: {error}"
        ) from error


def version_hint(document: Mapping[str, Any]) -> str:
    """Say which distributions have another version than when a file was written; else empty."""
    return _versions(_made_by(document))


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
