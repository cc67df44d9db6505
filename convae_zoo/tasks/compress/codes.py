"""Discrete latents as codes, packed in as few bits as they need."""

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from convae_zoo.errors import DataError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.contract import call_part, check_output
from convae_zoo.registry.factories import plugin_error

_LARGEST_COUNT = 2**31
_TOLERANCE = 1e-3


@attrs.frozen
class Codes:
    """How the codes of a latent are stored.

    Attributes:
        count: the number of codes; a code is a whole number below it.
        shape: of one latent's codes.
    """

    count: int
    shape: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits of one code."""
        return max(1, (self.count - 1).bit_length())

    @property
    def bytes(self) -> int:
        """Bytes of one latent's codes."""
        return -(-math.prod(self.shape) * self.bits // 8)

    def pack(self, codes: Tensor) -> Tensor:
        """Pack codes N×`shape`, int64, into uint8 N×`bytes`, most significant bits first."""
        numbers = codes.reshape(len(codes), math.prod(self.shape), 1).numpy()
        bits = (numbers >> np.arange(self.bits)[::-1]) & 1
        rows = bits.astype(np.uint8).reshape(len(codes), math.prod(self.shape) * self.bits)
        return torch.from_numpy(np.packbits(rows, axis=1))

    def unpack(self, packed: Tensor) -> Tensor:
        """Unpack N×`bytes` into codes, int64 N×`shape`.

        Raises:
            DataError: a code is not below `count`.
        """
        length = math.prod(self.shape)
        bits = np.unpackbits(packed.numpy(), axis=1, count=length * self.bits)
        places = 1 << np.arange(self.bits, dtype=np.int64)[::-1]
        numbers = bits.reshape(len(packed), length, self.bits) @ places
        if (numbers >= self.count).any():
            raise DataError(f"a code is {numbers.max()}, but codes must be below {self.count}")
        return torch.from_numpy(numbers).reshape(len(packed), *self.shape)

    def describe(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"count": self.count, "shape": list(self.shape)}

    @classmethod
    def described(cls, document: Mapping[str, Any]) -> "Codes":
        """Parse the output of `describe` in a document.

        Raises:
            DataError: the document has no valid one.
        """
        found = document.get("codes")
        if isinstance(found, dict):
            count, shape = found.get("count"), found.get("shape")
            if isinstance(shape, list) and shape and all(map(_is_size, [count, *shape])):
                return cls(int(str(count)), tuple(shape))
        raise DataError("it does not describe its codes")


def codes_of(model: Autoencoder) -> Codes | None:
    """Return the storage of a model's codes; None if its latents are not discrete."""
    encoder: Any = model.encoder
    if not all(hasattr(encoder, name) for name in ("to_codes", "from_codes", "code_count")):
        return None
    with torch.no_grad():
        example = to_codes(model, torch.zeros(1, *model.latent_shape, device=model.device))
    return Codes(int(encoder.code_count), tuple(example.shape[1:]))


def to_codes(model: Autoencoder, latents: Tensor) -> Tensor:
    """Convert latents to codes, int64, on the CPU.

    Raises:
        PluginError: the encoder does not return whole numbers below its `code_count`.
    """
    encoder: Any = model.encoder
    codes = call_part(model.plan.encoder, "its to_codes", encoder.to_codes, latents)
    if (
        not isinstance(codes, Tensor)
        or codes.dtype != torch.int64
        or len(codes) != len(latents)
        or codes.ndim < 2  # noqa: PLR2004 - N×…
        or bool(((codes < 0) | (codes >= encoder.code_count)).any())
    ):
        raise plugin_error(
            model.plan.encoder, "its to_codes must return int64 N×…, from 0 up to its code_count"
        )
    return codes.cpu()


def checked_codes(model: Autoencoder, latents: Tensor) -> Tensor:
    """Convert latents to codes, and check that the conversion is lossless.

    Raises:
        PluginError: it is not.
    """
    codes = to_codes(model, latents)
    restored = from_codes(model, codes)
    scale = float(latents.abs().max())
    if restored.shape != latents.shape or (restored - latents).abs().max() > _TOLERANCE * scale:
        raise plugin_error(
            model.plan.encoder, "its from_codes does not restore the latents given to its to_codes"
        )
    return codes


def from_codes(model: Autoencoder, codes: Tensor) -> Tensor:
    """Convert codes, int64 N×…, to latents on the model's device.

    Raises:
        PluginError: the encoder fails, or returns anything but latents.
    """
    encoder: Any = model.encoder
    spec, codes = model.plan.encoder, codes.to(model.device)
    latents: Tensor = call_part(spec, "its from_codes", encoder.from_codes, codes)
    like = torch.empty(len(codes), device=model.device, dtype=model.dtype)
    check_output(spec, model.latent_shape, latents, like)
    return latents


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST_COUNT
