"""Tables of numbers as images: one row of features per image."""

import math
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convae_zoo.errors import InputError
from convae_zoo.registry.specs import shape_text

_MAX_8_BIT = 255


@attrs.frozen
class Table:
    """How the rows of a table are images.

    Attributes:
        image_shape: (C, H, W).
        low: the value that becomes black.
        high: the value that becomes white.
    """

    image_shape: tuple[int, int, int]
    low: float
    high: float

    @classmethod
    def of(cls, rows: NDArray[Any], image_shape: object) -> "Table":
        """Learn the minimum and maximum of a table; bytes keep their range of 0 to 255.

        Args:
            rows: N×D, finite.
            image_shape: (C, H, W); one of them may be -1, for what D leaves.

        Raises:
            InputError: there is no `image_shape`, or D is not the number of its values.
        """
        shape = _resolved(image_shape, rows.shape[1])
        if rows.dtype == np.uint8:
            return cls(shape, 0.0, float(_MAX_8_BIT))
        return cls(shape, float(rows.min()), float(rows.max()))

    def to_images(self, rows: NDArray[Any]) -> Tensor:
        """Turn rows N×D into uint8 N×C×H×W; values beyond `low` and `high` are clipped."""
        wide = rows.astype(np.float64)
        span = self.high / 2 - self.low / 2  # of finite values, finite
        unit = (wide / 2 - self.low / 2) / span if span > 0 else np.zeros_like(wide)
        scaled = np.clip(unit, 0, 1) * _MAX_8_BIT
        return torch.from_numpy(scaled.round().astype(np.uint8)).reshape(-1, *self.image_shape)

    def to_rows(self, images: Tensor) -> NDArray[np.float32]:
        """Turn float images in [0, 1], N×C×H×W, into rows of the table's values, float32 N×D."""
        unit = images.flatten(1).double().numpy()
        rows: NDArray[np.float32] = (self.low + unit * (self.high - self.low)).astype(np.float32)
        return rows


def _resolved(image_shape: object, features: int) -> tuple[int, int, int]:
    if image_shape is None:
        raise InputError(
            f"X is 2-D with {features} features and image_shape is not set; pass "
            f"image_shape=(C, H, W), such as (1, 8, 8) for 64 features"
        )
    try:
        channels, height, width = (int(size) for size in image_shape)  # type: ignore[attr-defined]  # checked here
    except (TypeError, ValueError):
        raise InputError(f"image_shape must be (C, H, W), got {image_shape!r:.60}") from None
    shape = [channels, height, width]
    rest = math.prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and rest > 0 and features % rest == 0:
        shape[shape.index(-1)] = features // rest
    if min(shape) < 1:
        raise InputError(
            f"image_shape must be three sizes of at least 1, one of which may be -1, got "
            f"{image_shape!r:.60} for {features} features"
        )
    if math.prod(shape) != features:
        raise InputError(
            f"X has {features} features, but image_shape {shape_text(tuple(shape))} has "
            f"{math.prod(shape)} values"
        )
    return shape[0], shape[1], shape[2]
