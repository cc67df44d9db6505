"""The latents file: one safetensors file that is written and read a piece at a time.

It holds two tensors: ``latents`` (N×D or N×C×H×W) and ``names`` (UTF-8 bytes of a JSON list, one
name a latent). Its metadata holds, as JSON, the model and the sha256 of its weights.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import DataError

FORMAT_VERSION = 1
_KEY = "convae_zoo_latents"
_DTYPES = {torch.float32: ("F32", 4), torch.float16: ("F16", 2)}


def write_part(
    path: Path, latents: Tensor, names: Sequence[str], document: Mapping[str, Any]
) -> None:
    """Write latents that fit in memory.

    Raises:
        FileError: it cannot be written.
    """
    text = torch.frombuffer(bytearray(json.dumps(list(names)).encode()), dtype=torch.uint8)
    metadata = {_KEY: json.dumps({"format_version": FORMAT_VERSION, **document})}
    files.write_bytes(path, save({"latents": latents.contiguous(), "names": text}, metadata))


def join_parts(parts: Sequence[Path], out: Path, document: Mapping[str, Any]) -> int:
    """Write one file of many parts' latents, in their order; return how many latents it has.

    No more than one part is in memory at a time.

    Raises:
        FileError: it cannot be written; what was there stays.
        DataError: a part is damaged.
    """
    names = [name for part in parts for name in read_names(part)]
    text = json.dumps(names).encode()
    text += b" " * (-len(text) % 8)  # the tensor behind it starts where its numbers may
    with _open(parts[0]) as first:
        piece = first.get_slice("latents")
        shape = [len(names), *piece.get_shape()[1:]]
        kind, size = next(v for v in _DTYPES.values() if v[0] == piece.get_dtype())
    count = size
    for length in shape:
        count *= length
    header: dict[str, Any] = {
        "__metadata__": {_KEY: json.dumps({"format_version": FORMAT_VERSION, **document})},
        "names": {"dtype": "U8", "shape": [len(text)], "data_offsets": [0, len(text)]},
        "latents": {
            "dtype": kind,
            "shape": shape,
            "data_offsets": [len(text), len(text) + count],
        },
    }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with files.atomic_path(out) as temporary, temporary.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head + text)
        for part in parts:
            with _open(part) as opened:
                file.write(opened.get_tensor("latents").numpy().data)
    return len(names)


def read_document(path: Path) -> dict[str, Any]:
    """Read what a latents file says of its model.

    Raises:
        DataError: it is no latents file, or damaged, or of a newer format.
    """
    with _open(path) as file:
        try:
            document: dict[str, Any] = json.loads((file.metadata() or {})[_KEY])
            version = int(document["format_version"])
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(
                f"{path} is no latents file; expected what 'convae-zoo encode' writes"
            ) from error
    if version > FORMAT_VERSION:
        raise DataError(f"{path} was written by a newer convae_zoo; upgrade to read it")
    return document


def read_names(path: Path) -> list[str]:
    """Read the images' names, one a latent.

    Raises:
        DataError: the file is damaged.
    """
    with _open(path) as file:
        try:
            names = json.loads(bytes(file.get_tensor("names").numpy()))
        except (SafetensorError, ValueError) as error:
            raise DataError(f"{path} is damaged: its names cannot be read") from error
    return [str(name) for name in names]


def read_latents(path: Path, batch_size: int) -> Iterator[Tensor]:
    """Give the latents, float32, a batch at a time.

    Raises:
        DataError: the file is damaged.
    """
    with _open(path) as file:
        try:
            piece = file.get_slice("latents")
            for start in range(0, piece.get_shape()[0], batch_size):
                yield piece[start : start + batch_size].float()
        except SafetensorError as error:
            raise DataError(f"{path} is damaged: it has no latents") from error


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise DataError(f"no latents file at {path}") from None
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} is no latents file, or damaged: {error}") from error
