"""Small trained models, the files that hold them, and how a refusal is checked."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

import convae_zoo as zoo
from convae_zoo.errors import WeightsError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.weights import file_format as storage

SMALL = {"width": 2, "latent_dim": 3, "image_size": 8}


def small(**overrides: Any) -> Autoencoder:
    torch.manual_seed(0)
    return zoo.create_model("convae-200", **{**SMALL, **overrides})


def images(count: int = 4, size: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def told(call: Callable[[], object], *parts: str, kind: type[Exception] = WeightsError) -> None:
    """Check that a call is refused in one line that has these parts."""
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@functools.cache
def file_bytes() -> bytes:
    document, tensors = parts(small())
    return b"".join(storage.pack(document, tensors))


def parts(model: Autoencoder) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Make the document and the tensors that a file of the model has."""
    part = {"plugin": "reference", "distribution": "convae-zoo", "version": "0.1.0"}
    document = {
        "model": {
            "name": model.plan.name,
            "encoder": {"name": "convae", "config": attrs.asdict(model.plan.encoder_config)},
            "decoder": {"name": "convae", "config": attrs.asdict(model.plan.decoder_config)},
            "value_range": [-1.0, 1.0],
        },
        "distributions": [{"part": "encoder", **part}, {"part": "decoder", **part}],
    }
    return document, {name: value.clone() for name, value in model.state_dict().items()}


def put_bytes(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    return path
