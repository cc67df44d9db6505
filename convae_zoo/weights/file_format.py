"""The weights file: tensors and one JSON document in a safetensors file, under one digest.

The safetensors metadata has two keys: ``format`` (``pt``) and ``convae_zoo``, the document as JSON
text. The document's ``sha256`` is over the rest of the document and every tensor's name, dtype,
shape and bytes, so that any change to the file is noticed. Equal input gives equal bytes.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor

from convae_zoo.errors import WeightsError

FORMAT_VERSION = 1
_KEY = "convae_zoo"
_PICKLES = (b"PK\x03\x04", b"\x80")
_METADATA = "__metadata__"
_LENGTH = 8
"""A safetensors file starts with the length of its header, eight bytes, little-endian."""

MAX_HEADER = 2**24
"""Longest header in bytes; parsing a longer one could fill the memory."""

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
"""The names of dtypes in a header."""

Document = dict[str, Any]


def pack(document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[bytes, memoryview]:
    """Return a file's bytes in two parts: the header and the tensors.

    Args:
        document: what JSON can hold; `format_version` and `sha256` are added.
        tensors: contiguous, on the CPU, none sharing memory with another.

    Raises:
        WeightsError: the document holds what JSON cannot, or is too long.
    """
    try:
        # Once through JSON, so that the digest is over what a reader will get.
        full: Document = json.loads(_canonical({**document, "format_version": FORMAT_VERSION}))
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"the metadata must be finite numbers, texts, lists and mappings: {error}"
        ) from error
    full.pop("sha256", None)  # of a document that was read from another file
    full["sha256"] = digest(full, tensors)
    packed = safetensors.save(dict(tensors), {"format": "pt", _KEY: _canonical(full)})
    end = _LENGTH + int.from_bytes(packed[:_LENGTH], "little")
    header = json.loads(packed[_LENGTH:end])
    # safetensors writes the metadata's keys in an order that differs from run to run.
    header[_METADATA] = dict(sorted(header[_METADATA].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    if len(text) > MAX_HEADER:
        raise WeightsError(f"the metadata takes {len(text):,} bytes of at most {MAX_HEADER:,}")
    return len(text).to_bytes(_LENGTH, "little") + text, memoryview(packed)[end:]


def unpack(data: bytes | memoryview, source: str) -> tuple[Document, dict[str, Tensor]]:
    """Read a file's bytes and check all of them; nothing in them is ever executed.

    The header is judged before anything else is read. The tensors are views of writable `data`,
    such as a mapped file, and copies of read-only bytes.

    Args:
        data: the bytes.
        source: the file's name for errors.

    Raises:
        WeightsError: the bytes are not a safetensors file, or not one of this format, or altered.
    """
    buffer = memoryview(data)
    header, start = _header(buffer, source)
    document = _document(header, source)
    try:
        tensors = _tensors(header, buffer[start:])
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise WeightsError(f"{source} {_what_else(buffer, str(error))}") from error
    recorded = document.pop("sha256")
    try:
        intact = recorded == digest(document, tensors)
    except ValueError:  # a number that is not finite
        intact = False
    if not intact:
        raise WeightsError(
            f"{source} was altered after it was written: its content does not have the sha256 that "
            "it records; get it again"
        )
    return {**document, "sha256": recorded}, tensors


def _header(data: memoryview, source: str) -> tuple[dict[str, Any], int]:
    """Read the header, and where the tensors start."""
    if not data:
        raise WeightsError(f"{source} is empty; it must be a safetensors file")
    length = int.from_bytes(data[:_LENGTH], "little")
    start = _LENGTH + length
    if start > len(data) or length > MAX_HEADER:
        raise WeightsError(f"{source} {_what_else(data, 'its header is too long')}")
    try:
        header = json.loads(str(data[_LENGTH:start], "utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{source} {_what_else(data, f'no header: {error}')}") from error
    if not isinstance(header, dict):
        raise WeightsError(f"{source} {_what_else(data, 'its header is not a mapping')}")
    return header, start


def _tensors(header: Mapping[str, Any], data: memoryview) -> dict[str, Tensor]:
    """Return the tensors, which must fill `data` without gaps; their values are not read."""
    if data.readonly:
        data = memoryview(bytearray(data))  # torch has no read-only tensors
    tensors, end = {}, 0
    entries = ((name, entry) for name, entry in header.items() if name != _METADATA)
    for name, entry in sorted(entries, key=lambda item: item[1]["data_offsets"]):
        (start, stop), shape, dtype = entry["data_offsets"], entry["shape"], _DTYPES[entry["dtype"]]
        count = math.prod(shape)
        if start != end or stop - start != count * dtype.itemsize or stop > len(data):
            raise ValueError(f"tensor {name!r} does not fit its place")
        flat = torch.empty(0, dtype=dtype)
        if count:
            flat = torch.frombuffer(data, dtype=dtype, count=count, offset=start)
        tensors[name] = flat.reshape(shape)
        end = stop
    if end != len(data):
        raise ValueError(f"it has {len(data) - end} bytes too many")
    return tensors


def _what_else(data: memoryview, reason: str) -> str:
    if bytes(data[:_LENGTH]).startswith(_PICKLES):
        return (
            "is a pickle (.pt), not a safetensors file, and is never loaded; save the model with "
            "convae_zoo.save_model"
        )
    return f"is not a safetensors file, or is cut short or damaged ({reason}); get it again"


def _document(header: Mapping[str, Any], source: str) -> Document:
    metadata = header.get(_METADATA)
    text = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if text is None:
        raise WeightsError(
            f"{source} has no {_KEY!r} metadata, so its model is not known; expected a file "
            "written by convae_zoo.save_model"
        )
    try:
        document = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{source}: its {_KEY!r} metadata is not JSON: {error}") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise WeightsError(f"{source}: its {_KEY!r} metadata lacks a format_version")
    if version > FORMAT_VERSION:
        raise WeightsError(
            f"{source} was written by a newer convae_zoo (format {version}, this one reads up to "
            f"{FORMAT_VERSION}); upgrade: pip install -U convae-zoo"
        )
    if not isinstance(document.get("sha256"), str):
        raise WeightsError(f"{source}: its {_KEY!r} metadata lacks the sha256 of the content")
    checked: Document = document
    return checked


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of a document of JSON values and of contiguous tensors on the CPU."""
    names = sorted(tensors)
    contents = [[name, str(tensors[name].dtype), list(tensors[name].shape)] for name in names]
    found = hashlib.sha256(_canonical({"document": document, "tensors": contents}).encode())
    for name in names:
        found.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
