"""The weights file: tensors and one JSON document in a safetensors file, under one digest.

The safetensors metadata has two keys: ``format`` (``pt``) and ``convae_zoo``, the document as JSON
text. The document's ``sha256`` is over the rest of the document and every tensor's name, dtype,
shape and bytes, so that whatever is altered in the file is noticed. Equal input gives equal bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor

from convae_zoo.errors import WeightsError

FORMAT_VERSION = 1
_KEY = "convae_zoo"
_PICKLES = (b"PK\x03\x04", b"\x80")
_LENGTH = 8
"""A safetensors file starts with the length of its header, eight bytes, little-endian."""

Document = dict[str, Any]


def pack(document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[bytes, memoryview]:
    """Make a file's bytes, in two parts: the header, and the tensors.

    Args:
        document: what JSON can hold; `format_version` and `sha256` are added.
        tensors: contiguous, on the CPU, none sharing memory with another.

    Raises:
        WeightsError: the document holds what JSON cannot.
    """
    try:
        # Once through JSON, so that the digest is over what a reader will get.
        full: Document = json.loads(_canonical({**document, "format_version": FORMAT_VERSION}))
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"the metadata must be finite numbers, texts, lists and mappings: {error}"
        ) from error
    full.pop("sha256", None)  # of a document that was read from another file
    full["sha256"] = _digest(full, tensors)
    packed = safetensors.save(dict(tensors), {"format": "pt", _KEY: _canonical(full)})
    end = _LENGTH + int.from_bytes(packed[:_LENGTH], "little")
    header = json.loads(packed[_LENGTH:end])
    # safetensors writes the metadata's keys in an order that differs from run to run.
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    return len(text).to_bytes(_LENGTH, "little") + text, memoryview(packed)[end:]


def unpack(data: bytes, where: str) -> tuple[Document, dict[str, Tensor]]:
    """Read a file's bytes and check them whole; nothing in them is ever executed.

    Args:
        data: the bytes.
        where: the file's name for errors.

    Raises:
        WeightsError: the bytes are no safetensors file, or not one of this format, or altered.
    """
    if not data:
        raise WeightsError(f"{where} is empty; it must be a safetensors file")
    try:
        tensors = safetensors.load(data)
    except Exception as error:
        raise WeightsError(f"{where} {_what_else(data, error)}") from error
    document = _document(data, where)
    recorded = document.pop("sha256")
    try:
        intact = recorded == _digest(document, tensors)
    except ValueError:  # a number that is not finite
        intact = False
    if not intact:
        raise WeightsError(
            f"{where} was altered after it was written: its content does not have the sha256 that "
            "it records; get it again"
        )
    return {**document, "sha256": recorded}, tensors


def _what_else(data: bytes, error: Exception) -> str:
    if data.startswith(_PICKLES):
        return (
            "is a pickle (.pt), not a safetensors file, and is never loaded; save the model with "
            "convae_zoo.save_model"
        )
    return f"is not a safetensors file, or is cut short or damaged ({error}); get it again"


def _document(data: bytes, where: str) -> Document:
    """Read the document; safetensors has checked that the header is well formed."""
    header = json.loads(data[_LENGTH : _LENGTH + int.from_bytes(data[:_LENGTH], "little")])
    text = (header.get("__metadata__") or {}).get(_KEY)
    if text is None:
        raise WeightsError(
            f"{where} has no {_KEY!r} metadata, so its model is not known; expected a file written "
            "by convae_zoo.save_model"
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where}: its {_KEY!r} metadata is not JSON: {error}") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise WeightsError(f"{where}: its {_KEY!r} metadata lacks a format_version")
    if version > FORMAT_VERSION:
        raise WeightsError(
            f"{where} was written by a newer convae_zoo (format {version}, this one reads up to "
            f"{FORMAT_VERSION}); upgrade: pip install -U convae-zoo"
        )
    if not isinstance(document.get("sha256"), str):
        raise WeightsError(f"{where}: its {_KEY!r} metadata lacks the sha256 of the content")
    checked: Document = document
    return checked


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(document: Document, tensors: Mapping[str, Tensor]) -> str:
    names = sorted(tensors)
    contents = [[name, str(tensors[name].dtype), list(tensors[name].shape)] for name in names]
    digest = hashlib.sha256(_canonical({"document": document, "tensors": contents}).encode())
    for name in names:
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
