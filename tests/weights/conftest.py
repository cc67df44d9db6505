"""Fixtures shared by the tests of stored weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from convae_zoo.weights import file_format as storage
from weight_files import parts, small


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write a well-formed file with a valid digest from any document and tensors."""

    def write(change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]) -> Path:
        document, tensors = parts(small())
        change(document, tensors)
        path = tmp_path / "changed.safetensors"
        path.write_bytes(b"".join(storage.pack(document, tensors)))
        return path

    return write
