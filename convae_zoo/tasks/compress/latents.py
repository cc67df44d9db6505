"""The latents file: a safetensors file that is written and read in pieces.

It contains ``names`` (UTF-8 bytes of a JSON list, one unique name per latent) and one of

- ``latents``: N×D or N×C×H×W, float32 or float16;
- ``codes``: N×bytes, the codes of each latent, packed by `pack` in `codes.py`.

Its metadata is one JSON document: the model, the sha256 of its weights, the count and shape of
codes, and a sha256 of everything else in the file. Version 1, without sha256 and codes, is still
read.
"""

import functools
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import DataError, reason

FORMAT_VERSION = 2
_KEY = "convae_zoo_latents"
_KINDS = {"latents": ("F32", "F16"), "codes": ("U8",)}
_DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.uint8: "U8"}
_BYTES = {"F32": 4, "F16": 2, "U8": 1}
_ALIGNMENT = 8
_CHUNK = 1024
_LONGEST_NAME = 25_000  # bytes of JSON: a path of 4,096 bytes, each as \udc80

Document = dict[str, Any]


@attrs.frozen(eq=False)
class LatentsFile:
    """A latents file, completely checked.

    Attributes:
        path: the file.
        document: its metadata.
        kind: ``latents`` or ``codes``.
        shape: of that tensor; N first.
        names: the images' names, N.
        sha256: of its content.
    """

    path: Path
    document: Document
    kind: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    sha256: str

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield the latents, float32, or the packed codes, uint8, in batches."""
        with _open(self.path) as file:
            yield from _slices(file.get_slice(self.kind), size)


def open_latents(path: Path) -> LatentsFile:
    """Open a latents file and check all of it, without loading it into memory.

    Raises:
        DataError: it is not a latents file, is damaged, or is of a newer format.
    """
    with _open(path) as file:
        document = _document(file, path)
        try:
            kind, dtype, shape = _layout(file)
            names = _names(file, shape[0])
            recorded = document.pop("sha256", None)
            sha256 = _digest(document, dtype, kind, shape, names, _finite(file, kind))
            _check_digest(recorded, sha256, document["format_version"])
        except (SafetensorError, ValueError, TypeError, RecursionError) as error:
            raise DataError(
                f"{path} is damaged: {reason(error)}; encode the images again"
            ) from error
    return LatentsFile(path, document, kind, shape, tuple(names), sha256)


def count_latents(path: Path) -> int:
    """Return the number of latents that a file declares, unchecked.

    Raises:
        DataError: it is not a latents file.
    """
    with _open(path) as file:
        try:
            return int(_layout(file)[2][0])
        except (SafetensorError, ValueError) as error:
            raise DataError(
                f"{path} is damaged: {reason(error)}; encode the images again"
            ) from error


def write_part(
    path: Path, kind: str, content: Tensor, names: Sequence[str], document: Mapping[str, Any]
) -> None:
    """Write a latents file whose content fits in memory.

    Args:
        path: the file.
        kind: ``latents`` or ``codes``.
        content: float32 or float16 latents, or packed codes, uint8; N first.
        names: N unique names.
        document: JSON values.

    Raises:
        FileError: it cannot be written.
    """
    dtype, data = _DTYPES[content.dtype], content.contiguous().numpy().data
    full = {"format_version": FORMAT_VERSION, **document}
    sha256 = _digest(full, dtype, kind, content.shape, names, [data])
    head = _head({**full, "sha256": sha256}, dtype, kind, content.shape, names)
    files.write_bytes(path, head, data)


def join_parts(parts: Sequence[Path], out: Path, document: Mapping[str, Any]) -> None:
    """Join parts into one file, in order, with one part in memory at a time.

    Raises:
        FileError: it cannot be written; an existing file is kept.
        DataError: a part is damaged.
    """
    opened = [open_latents(part) for part in parts]
    names = [name for part in opened for name in part.names]
    kind, shape = opened[0].kind, (len(names), *opened[0].shape[1:])
    with _open(parts[0]) as first:
        dtype = first.get_slice(kind).get_dtype()
    full = {"format_version": FORMAT_VERSION, **document}
    contents = functools.partial(_contents, parts, kind)
    sha256 = _digest(full, dtype, kind, shape, names, contents())
    with files.atomic_path(out) as temporary, temporary.open("xb") as file:
        file.write(_head({**full, "sha256": sha256}, dtype, kind, shape, names))
        for content in contents():
            file.write(content)


def _contents(parts: Iterable[Path], kind: str) -> Iterator[memoryview]:
    for part in parts:
        with _open(part) as opened:
            yield opened.get_tensor(kind).numpy().data


def _head(
    document: Document, dtype: str, kind: str, shape: Sequence[int], names: Sequence[str]
) -> bytes:
    """Create what precedes the latents: the safetensors header and the names."""
    text = _names_text(names)
    size = math.prod(shape) * _BYTES[dtype]
    header = {
        "__metadata__": {_KEY: json.dumps(document)},
        "names": {"dtype": "U8", "shape": [len(text)], "data_offsets": [0, len(text)]},
        kind: {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [len(text), len(text) + size],
        },
    }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % _ALIGNMENT)
    return len(head).to_bytes(8, "little") + head + text


def _names_text(names: Sequence[str]) -> bytes:
    text = json.dumps(list(names)).encode()
    return text + b" " * (-len(text) % _ALIGNMENT)  # aligns the next tensor


def _digest(
    document: Document,
    dtype: str,
    kind: str,
    shape: Sequence[int],
    names: Sequence[str],
    contents: Iterable[memoryview],
) -> str:
    """Sha256 of a file's content: its document, and the layout and bytes of its tensors."""
    described = {"document": document, "tensor": [kind, dtype, list(shape)], "names": list(names)}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def _check_digest(recorded: object, sha256: str, version: int) -> None:
    if version == 1:  # without a sha256
        return
    if not isinstance(recorded, str):
        raise TypeError("it has no sha256")
    if recorded != sha256:
        raise ValueError("its content does not have the sha256 that it records")


def _document(file: Any, path: Path) -> Document:
    try:
        document = json.loads((file.metadata() or {})[_KEY])
    except (KeyError, ValueError, TypeError, RecursionError):
        document = None
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(f"{path} is not a latents file; expected a file of 'convae-zoo encode'")
    if version > FORMAT_VERSION:
        raise DataError(f"{path} was written by a newer convae_zoo; upgrade to read it")
    return dict(document or {})


def _layout(file: Any) -> tuple[str, str, tuple[int, ...]]:
    """Return the name, dtype and shape of the tensor with the latents."""
    kinds = sorted(set(file.keys()) - {"names"})
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        raise ValueError(f"it holds the tensors {', '.join(kinds) or 'none'}, not the latents")
    piece = file.get_slice(kinds[0])
    dtype, shape = piece.get_dtype(), tuple(piece.get_shape())
    if dtype not in _KINDS[kinds[0]]:
        raise ValueError(f"its {kinds[0]} are {dtype}")
    if len(shape) < 2 or 0 in shape[1:]:  # noqa: PLR2004 - N×D
        raise ValueError(f"its {kinds[0]} have the shape {shape}")
    return kinds[0], dtype, shape


def _names(file: Any, count: int) -> list[str]:
    piece = file.get_slice("names")
    if piece.get_dtype() != "U8" or len(piece.get_shape()) != 1:
        raise ValueError("its names are not text")
    if piece.get_shape()[0] > _LONGEST_NAME * (count + 1):
        raise ValueError("its names are too long")
    try:
        names = json.loads(bytes(file.get_tensor("names").numpy()))
    except ValueError as error:
        raise ValueError(f"its names are not JSON ({error})") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("its names are not a list of strings")
    if len(names) != count:
        raise ValueError(f"it has {count} latents but {len(names)} names")
    if len(set(names)) != count:
        raise ValueError("several latents have the same name")
    return names


def _finite(file: Any, kind: str) -> Iterator[memoryview]:
    """Yield the latents' bytes in pieces, and check that every value is finite."""
    for batch in _slices(file.get_slice(kind), _CHUNK, as_stored=True):
        if batch.is_floating_point() and not torch.isfinite(batch).all():
            raise ValueError("it holds latents that are NaN or infinite")
        yield batch.contiguous().numpy().data


def _slices(piece: Any, size: int, *, as_stored: bool = False) -> Iterator[Tensor]:
    for start in range(0, piece.get_shape()[0], size):
        batch: Tensor = piece[start : start + size]
        yield batch.float() if batch.is_floating_point() and not as_stored else batch


def _open(path: Path) -> Any:
    if not os.path.isfile(path):  # noqa: PTH113 - Path's own raises where access is denied
        raise DataError(f"no latents file at {path}")
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} is not a latents file, or is damaged: {reason(error)}") from error
