"""How close two results must be, and why they may differ."""

import math

from torch import Tensor

SAME = 1e-4
"""float32 sums in another order: batch size, memory layout, compiler, exporter."""

BF16 = 0.05
"""Eight bits of mantissa through a whole network."""


def difference(result: Tensor, expected: Tensor) -> float:
    """Return the norm of the difference divided by that of the expected result.

    A result near zero is measured against 1e-3 per element, so a dead output passes.
    """
    result, expected = result.double(), expected.double()
    floor = 1e-3 * math.sqrt(expected.numel())
    return float((result - expected).norm() / max(float(expected.norm()), floor))
