"""Checkpoints: all that the next step depends on, in safetensors and JSON.

A checkpoint is one file ``checkpoints/step-00000123.safetensors``. It has the tensors of the state;
its metadata has the rest of the state as JSON, and a digest over both.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from convae_zoo import files
from convae_zoo.errors import TrainingError, reason

FORMAT_VERSION = 1
KEPT = 2
"""How many checkpoints are kept: the newest, and the one before it in case that is damaged."""

_KEY = "convae_zoo_checkpoint"
_NAME = re.compile(r"step-\d{8,}\.safetensors")
_COMPILED = "_orig_mod."
_DAMAGE = (
    OSError,
    SafetensorError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)
"""What reading a damaged file raises."""


@attrs.frozen
class Checkpoints:
    """The checkpoints of a run, in a folder."""

    folder: Path

    def write(self, steps: int, state: dict[str, Any]) -> None:
        """Write the state after so many steps, and remove checkpoints that are too old.

        Args:
            steps: optimiser steps since the beginning.
            state: nested dicts and lists of tensors, numbers, strings and None.

        Raises:
            FileError: it cannot be written; the earlier checkpoints stay.
        """
        tensors: dict[str, Tensor] = {}
        outline = json.dumps(_flatten(state, "", tensors))
        document = {
            "format_version": FORMAT_VERSION,
            "state": outline,
            "sha256": _digest(outline, tensors),
        }
        self.folder.mkdir(exist_ok=True)
        content = save(tensors, {_KEY: json.dumps(document)})
        files.write_bytes(self.folder / f"step-{steps:08}.safetensors", content)
        self.remove(keep=KEPT)

    def read_latest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Read the newest state that is intact.

        Returns:
            The state, or None if there is none; and a line for each newer file that is damaged.

        Raises:
            TrainingError: the newest was written by a newer convae_zoo.
        """
        damaged: list[str] = []
        for path in self._newest_first():
            try:
                return _read(path), damaged
            except _DAMAGE as error:
                damaged.append(
                    f"checkpoint {path} is damaged ({reason(error)}); the one before it is used"
                )
        return None, damaged

    def remove(self, *, keep: int = 0) -> None:
        """Remove all checkpoints except the newest."""
        for path in self._newest_first()[keep:]:
            path.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        found = self.folder.glob("step-*.safetensors")
        return sorted((p for p in found if _NAME.fullmatch(p.name)), reverse=True)


def weights_state(model: nn.Module) -> dict[str, Any]:
    """Return a model's state dict by the names that it has without ``torch.compile``."""
    return {name.replace(_COMPILED, ""): value for name, value in model.state_dict().items()}


def load_weights_state(model: nn.Module, state: dict[str, Any]) -> None:
    """Load a state dict into a model, whether or not either was compiled.

    Raises:
        RuntimeError: it is that of another model.
    """
    plain = {name.replace(_COMPILED, ""): value for name, value in state.items()}
    names = {name.replace(_COMPILED, ""): name for name in model.state_dict()}
    model.load_state_dict({names.get(name, name): value for name, value in plain.items()})


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of PyTorch's random generators: the CPU's and the device's."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Restore what `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _read(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        document = json.loads((file.metadata() or {})[_KEY])
        if document["format_version"] > FORMAT_VERSION:
            raise TrainingError(f"{path} was written by a newer convae_zoo; upgrade to resume it")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    if _digest(document["state"], tensors) != document["sha256"]:
        raise ValueError("its content was altered")
    state: dict[str, Any] = _unflatten(json.loads(document["state"]), tensors)
    return state


def _digest(outline: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(outline.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _flatten(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Move the tensors into `tensors`, each under its path, and return the rest for JSON."""
    match value:
        case Tensor():
            # A copy each: safetensors refuses tensors that share memory.
            tensors[path] = value.detach().to("cpu", copy=True).contiguous()
            return {"tensor": path}
        case dict():
            return {"dict": [[k, _flatten(v, f"{path}/{k}", tensors)] for k, v in value.items()]}
        case list() | tuple():
            return {"list": [_flatten(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]}
    return {"value": value}


def _unflatten(outline: Any, tensors: dict[str, Tensor]) -> Any:
    ((kind, content),) = outline.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "dict":
            return {key: _unflatten(inner, tensors) for key, inner in content}
        case "list":
            return [_unflatten(inner, tensors) for inner in content]
    return content
