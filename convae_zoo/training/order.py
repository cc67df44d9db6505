"""The order in which an epoch goes through the images."""

import torch
from torch import Tensor


def epoch_order(count: int, *, epoch: int, seed: int, shuffle: bool) -> Tensor:
    """Return the indices of one epoch, int64: the data's own order, or one drawn for the epoch.

    The draw depends on the seed and the epoch alone, so that a run can begin at any epoch.
    """
    if not shuffle:
        return torch.arange(count)
    return torch.randperm(count, generator=epoch_generator(epoch, seed))


def epoch_generator(epoch: int, seed: int, *, use: int = 0) -> torch.Generator:
    """Return a random state of this epoch's own, another one for each use."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch + use * 2**32)
