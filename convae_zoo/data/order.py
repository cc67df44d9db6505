"""The order of the images in an epoch."""

import torch
from torch import Tensor


def epoch_order(count: int, *, epoch: int, seed: int, shuffle: bool) -> Tensor:
    """Return the indices of one epoch, int64: the data's own order, or a permutation.

    The permutation depends on the seed and the epoch alone, so a run can start at any epoch.
    """
    if not shuffle:
        return torch.arange(count)
    return torch.randperm(count, generator=epoch_generator(epoch, seed))


def epoch_generator(epoch: int, seed: int, *, use: int = 0) -> torch.Generator:
    """Return the random generator of an epoch, a different one for each use."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch + use * 2**32) % 2**63)
