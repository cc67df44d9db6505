"""Split-conformal thresholds: a false-alarm rate that holds without knowing a distribution.

If the held-out scores and that of a new normal image are exchangeable, the new one exceeds the
ceil((n + 1)(1 - alpha))-th smallest of the n held-out ones with a probability of at most alpha
(Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005).
"""

import math

import numpy as np
from numpy.typing import NDArray

from convae_zoo.errors import InputError

_ROUNDING = 1e-9  # (n + 1) times alpha is a whole number for many pairs, such as 100 × 0.01


def check_rate(alarm_rate: object) -> float:
    """Return an alarm rate.

    Raises:
        InputError: it is not between 0 and 1.
    """
    number = float(alarm_rate) if isinstance(alarm_rate, int | float | np.number) else math.nan
    if not 0 < number < 1:
        raise InputError(f"alarm_rate must be above 0 and below 1, got {alarm_rate!r:.60}")
    return number


def needed(alarm_rate: float) -> int:
    """Return the fewest held-out images for which an alarm rate has a threshold."""
    return math.ceil(1 / alarm_rate - _ROUNDING) - 1


def threshold(scores: NDArray[np.float32], alarm_rate: float) -> float:
    """Return the score that a new normal image exceeds with a probability of at most a rate.

    Args:
        scores: of held-out normal images, N, higher is more anomalous.
        alarm_rate: alpha.

    Raises:
        InputError: the scores are too few for it.
    """
    count = len(scores)
    rank = count + 1 - math.floor((count + 1) * alarm_rate + _ROUNDING)
    if rank > count:
        raise InputError(
            f"alarm_rate={alarm_rate:g} needs {needed(alarm_rate):,} held-out normal images and "
            f"there are {count:,}, {needed(alarm_rate) - count:,} too few; the lowest rate "
            f"possible is {1 / (count + 1):.4g}"
        )
    return float(np.sort(scores)[rank - 1])


def p_values(held_out: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return conformal p-values: how rarely a normal image scores as high, from 1/(n + 1) to 1."""
    at_least = len(held_out) - np.searchsorted(np.sort(held_out), scores, side="left")
    return np.asarray((1 + at_least) / (1 + len(held_out)), dtype=np.float64)
