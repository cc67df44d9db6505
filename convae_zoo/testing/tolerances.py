"""How near two results must come, and for which reason they may differ at all."""

import math

from torch import Tensor

SAME = 1e-4
"""Another order of float32 sums: batch size, memory layout, compiler, exporter."""

BF16 = 0.05
"""Eight bits of mantissa through a whole network."""


def difference(result: Tensor, expected: Tensor) -> float:
    """Return the norm of the difference over that of what is expected.

    A result near zero is measured against 1e-3 an element, so that a dead output passes.
    """
    result, expected = result.double(), expected.double()
    floor = 1e-3 * math.sqrt(expected.numel())
    return float((result - expected).norm() / max(float(expected.norm()), floor))
