"""The order in which an epoch goes through the images."""

import torch
from torch import Tensor


def epoch_order(count: int, *, epoch: int, seed: int, shuffle: bool) -> Tensor:
    """Return the indices of one epoch, int64: the data's own order, or one drawn for the epoch.

    The draw depends on the seed and the epoch alone, so that a run can begin at any epoch.
    """
    if not shuffle:
        return torch.arange(count)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)
