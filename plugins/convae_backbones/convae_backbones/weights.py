"""Trained weights of a backbone, from torchvision or a file; downloaded only when asked."""

import contextlib
import hashlib
import pickle
import re
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models

from convae_backbones.backbone import feature_names
from convae_zoo.errors import WeightsError
from convae_zoo.weights import check_online, stalls_bounded

FRESH = "none"
IMAGENET = "imagenet"

_DIGEST = re.compile(r"-([0-9a-f]{8,})\.")


def load_weights(features: nn.Module, name: str, weights: str, *, download: bool) -> None:
    """Load trained weights into a backbone of torchvision.

    Args:
        features: the backbone, as `make_backbone` makes it.
        name: torchvision's name for it.
        weights: ``none``, ``imagenet``, or the path of a .safetensors file with the tensor names
            of torchvision's whole classifier, of which the head may be missing.
        download: download torchvision's weights if torch hub's cache lacks them.

    Raises:
        WeightsError: the weights are missing, cannot be read, are damaged, or are another
            network's.
    """
    if weights == FRESH:
        return
    if weights == IMAGENET:
        tensors, where = _imagenet(name, download=download)
    else:
        tensors, where = _from_file(name, weights), weights
    found = feature_names(tensors)
    wanted = features.state_dict()
    if missing := sorted(wanted.keys() - found.keys()):
        raise WeightsError(f"{where} has no tensor {missing[0]!r}; expected torchvision's {name}")
    if extra := sorted(found.keys() - wanted.keys()):
        raise WeightsError(f"{where} has a tensor {extra[0]!r}; torchvision's {name} has none")
    for key, tensor in found.items():
        if tensor.shape != wanted[key].shape:
            raise WeightsError(
                f"{where}: tensor {key!r} is {tuple(tensor.shape)}; torchvision's {name} has "
                f"{tuple(wanted[key].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{where}: tensor {key!r} holds NaN or infinity")
    features.load_state_dict(found)


def _from_file(name: str, weights: str) -> dict[str, Tensor]:
    if not weights.endswith(".safetensors"):
        raise WeightsError(
            f"weights must be {FRESH!r}, {IMAGENET!r} or the path of a .safetensors file with "
            f"torchvision's {name}, got {weights!r}"
        )
    try:
        return load_file(weights)
    except (OSError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"weights {weights!r} cannot be read: {reason}") from error


def _imagenet(name: str, *, download: bool) -> tuple[dict[str, Tensor], str]:
    """Read torchvision's best weights, with the unpickler that takes tensors alone."""
    entry = models.get_model_weights(name)["DEFAULT"]
    file = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rpartition("/")[2]
    there = file.is_file()
    if there:
        _check_digest(file)
    elif not download:
        raise WeightsError(
            f"torchvision's trained weights of {name} are not in {file}; put them there, or set "
            f"download=true to fetch {entry.url}"
        )
    else:
        check_online(f"fetching {entry.url}", f"put the file into {file.parent}")
    try:
        # torch reports downloads on stdout
        with contextlib.redirect_stdout(sys.stderr), stalls_bounded():
            tensors: dict[str, Tensor] = entry.get_state_dict(
                progress=False, check_hash=True, map_location="cpu", weights_only=True
            )
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        what = f"{file} cannot be read" if there else f"{entry.url} cannot be fetched"
        raise WeightsError(f"{what}: {reason}") from error
    return tensors, str(file)


def _check_digest(file: Path) -> None:
    """Check a cached file against the start of the sha256 that its name holds."""
    named = _DIGEST.search(file.name)
    if named is None:
        return
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror}") from error
    if not digest.startswith(named[1]):
        raise WeightsError(
            f"{file} is damaged: its sha256 starts with {digest[: len(named[1])]}; remove it and "
            "set download=true to download it again"
        )
