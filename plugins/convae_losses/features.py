"""Networks trained on ImageNet: reading their weights, and preparing their input."""

import pickle
import re
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import AlexNet_Weights, VGG16_Weights

from convae_losses.pair import pair
from convae_zoo.errors import ContractError, WeightsError

_WEIGHTS = {"vgg": VGG16_Weights.IMAGENET1K_V1, "alex": AlexNet_Weights.IMAGENET1K_V1}
_TITLES = {"vgg": "VGG-16", "alex": "AlexNet"}
_PREFIX = "features."
_RGB = 3


def read_features(network: str, path: str | None, *, loss: str) -> dict[str, Tensor]:
    """Read a network's weights from a file or from torchvision's cache, without downloading.

    Args:
        network: ``vgg`` or ``alex``.
        path: a .safetensors file with torchvision's names; None for torchvision's cache.
        loss: the loss that needs them, for errors.

    Raises:
        WeightsError: they are missing or cannot be read.
    """
    title = _title(network, loss)
    source = Path(path) if path is not None else cached(network)
    if not source.is_file():
        name = cached(network)
        raise WeightsError(
            f"{title} are not there: {source} is no file; give a .safetensors file as the loss's "
            f"field weights, or put torchvision's {name.name} into {name.parent}"
        )
    try:
        return load_file(source) if path is not None else _from_cache(network)
    except (OSError, EOFError, RuntimeError, SafetensorError, pickle.PickleError, BadZipFile) as e:
        reason = " ".join(str(e).split())
        raise WeightsError(f"{title} cannot be read from {source}: {reason:.200}") from e


def load_features(module: nn.Module, stored: dict[str, Tensor], network: str, *, loss: str) -> None:
    """Load what `read_features` gave into a network's convolutions, and freeze them.

    Args:
        module: its parameters are named as in torchvision's ``features``, after a ``sliceN.``.
        stored: the weights.
        network: ``vgg`` or ``alex``.
        loss: the loss that needs them, for errors.

    Raises:
        WeightsError: they are those of another network.
    """
    try:
        chosen = {
            name: stored[_PREFIX + re.sub(r"^slice\d+\.", "", name)].float()
            for name in module.state_dict()
        }
        module.load_state_dict(chosen, assign=True)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{_title(network, loss)} are those of another network: {reason:.200}"
        ) from error
    module.requires_grad_(requires_grad=False).eval()


def _title(network: str, loss: str) -> str:
    return f"the weights of {_TITLES[network]} for loss {loss!r}"


def cached(network: str) -> Path:
    """Return where torchvision keeps a network's weights after a download."""
    name = Path(urlsplit(_WEIGHTS[network].url).path).name
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def _from_cache(network: str) -> dict[str, Tensor]:
    """Let torchvision read the file in its cache: tensors only, no code."""
    state: dict[str, Tensor] = _WEIGHTS[network].get_state_dict(
        progress=False, map_location="cpu", weights_only=True
    )
    return state


def rgb_pair(
    reconstruction: Tensor,
    target: Tensor,
    value_range: tuple[float, float],
    *,
    smallest: int,
    loss: str,
) -> tuple[Tensor, Tensor]:
    """Map two batches N×C×H×W, C of 1 or 3, to N×3×H×W with black 0 and white 1, unclipped.

    Raises:
        ContractError: other channels, or a side shorter than `smallest`.
    """
    x, y = pair(reconstruction, target)
    channels, *sides = x.shape[1:]
    if channels not in {1, _RGB} or min(sides) < smallest:
        raise ContractError(
            f"loss {loss!r} looks at images of 1 or 3 channels and at least "
            f"{smallest}×{smallest} pixels, got {channels}×{sides[0]}×{sides[1]}"
        )
    low, high = value_range
    x, y = ((v.expand(-1, _RGB, -1, -1) - low) / (high - low) for v in (x, y))
    return x, y
