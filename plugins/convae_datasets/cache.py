"""A cache of tensors that take seconds to compute, in a file that is checked when it is read."""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from convae_zoo import files
from convae_zoo.data import fingerprint
from convae_zoo.errors import FileError

MOST_BYTES = 128 * 2**20
"""Larger tensors are computed each time."""

_DIGEST = "sha256"
"""Of the key and the tensors, in the file's metadata."""

Tensors = dict[str, Tensor]


def cached(name: str, key: str, compute: Callable[[], Tensors]) -> Tensors:
    """Return tensors from the cache, or compute and store them.

    A file that is damaged, cut short or of another key is replaced. Where the cache cannot be
    written, nothing is stored.

    Args:
        name: of the file, without its suffix, in the folder ``datasets`` of the cache.
        key: stands for all that the tensors depend on.
        compute: computes them.
    """
    path = files.cache_folder() / "datasets" / f"{name}.safetensors"
    found = _read(path, key)
    if found is None:
        found = compute()
        if sum(tensor.nbytes for tensor in found.values()) <= MOST_BYTES:
            _write(path, key, found)
    return found


def _read(path: Path, key: str) -> Tensors | None:
    """Map a file's tensors into memory; None if it is missing, damaged or of another key."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            recorded = (file.metadata() or {}).get(_DIGEST)
    except (OSError, SafetensorError):
        return None
    return tensors if recorded == _digest(key, tensors) else None


def _write(path: Path, key: str, tensors: Tensors) -> None:
    content = save(tensors, {_DIGEST: _digest(key, tensors)})
    with contextlib.suppress(OSError, FileError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, content)


def _digest(key: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(key.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {fingerprint(tensor)}".encode())
    return digest.hexdigest()
