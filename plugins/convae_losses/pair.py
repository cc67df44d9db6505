"""The check and the cast that every loss begins with."""

import torch
from torch import Tensor

from convae_zoo.errors import ContractError


def pair(reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check that two batches have the same shape, and return both in float32 or better.

    Sums over pixels in bfloat16 would lose most of their digits.

    Raises:
        ContractError: the shapes differ; broadcasting would hide a mistake.
    """
    if reconstruction.shape != target.shape:
        raise ContractError(
            f"a loss compares batches of one shape, got {tuple(reconstruction.shape)} and "
            f"{tuple(target.shape)}"
        )
    dtype = torch.promote_types(reconstruction.dtype, target.dtype)
    dtype = torch.promote_types(dtype, torch.float32)
    return reconstruction.to(dtype), target.to(dtype)
