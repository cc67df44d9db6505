"""A cache of tensors that take seconds to compute, in a file that is checked when it is read."""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import FileError

MOST_BYTES = 128 * 2**20
"""Larger tensors are computed each time."""

_DIGEST = hashlib.sha256().digest_size

Tensors = dict[str, Tensor]


def cached(name: str, key: str, compute: Callable[[], Tensors]) -> Tensors:
    """Return tensors from the cache, or compute and store them.

    A file that is damaged, cut short or of another key is replaced. Where the cache cannot be
    written, nothing is stored.

    Args:
        name: of the file, in the folder ``datasets`` of the cache.
        key: stands for all that the tensors depend on.
        compute: computes them.
    """
    path = files.cache_folder() / "datasets" / name
    found = _read(path, key)
    if found is None:
        found = compute()
        if sum(tensor.nbytes for tensor in found.values()) <= MOST_BYTES:
            _write(path, key, found)
    return found


def _read(path: Path, key: str) -> Tensors | None:
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    content = stored[_DIGEST:]
    return load(content) if stored[:_DIGEST] == _digest(key, content) else None


def _write(path: Path, key: str, tensors: Tensors) -> None:
    content = save(tensors)
    with contextlib.suppress(OSError, FileError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, _digest(key, content), content)


def _digest(key: str, content: bytes) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return digest.digest()
