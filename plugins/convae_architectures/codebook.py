"""A codebook: vectors that are moving averages of the features assigned to them."""

import torch
from torch import Tensor, distributed, nn

_DEAD = 0.1
"""A code is replaced once its count is below this fraction of what one assignment adds."""


class Codebook(nn.Module):
    """Finds the nearest code of vectors M×D, and moves the codes towards those vectors.

    The codes are buffers, not parameters: each is the moving average of the vectors assigned to it
    (https://arxiv.org/abs/1711.00937, appendix A). A code that is hardly used is replaced by a
    random vector of the batch, so the first training batch initialises all of them.

    Distributed processes sum their counts; replaced codes are rank 0's, whose buffers
    DistributedDataParallel broadcasts.

    Initial codes: drawn from the standard normal.

    Args:
        codes: K.
        dim: D.
        decay: of the moving averages.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, dim: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("vectors", torch.randn(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dim))

    def nearest(self, x: Tensor) -> Tensor:
        """Return for vectors M×D the indices of their nearest codes, int64 M."""
        # |x|² is the same for every code. In float32, since bf16 would confuse codes.
        with torch.autocast(self.vectors.device.type, enabled=False):
            x = x.float()
            return torch.addmm(self.vectors.square().sum(1), x, self.vectors.T, alpha=-2).argmin(1)

    def look_up(self, indices: Tensor) -> Tensor:
        """Return the codes of indices of any shape, float32 …×D."""
        return nn.functional.embedding(indices, self.vectors)

    @torch.no_grad()
    def follow(self, x: Tensor, indices: Tensor) -> None:
        """Move the codes towards the vectors M×D assigned to them."""
        x = x.float()
        ones = torch.ones_like(indices, dtype=torch.float32)
        counts = torch.zeros_like(self.counts).index_add_(0, indices, ones)
        sums = torch.zeros_like(self.sums).index_add_(0, indices, x)
        if distributed.is_initialized():
            distributed.all_reduce(counts)
            distributed.all_reduce(sums)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        dead = self.counts < _DEAD * (1 - self.decay)
        drawn = x[torch.randint(len(x), (len(self.vectors),), device=x.device)]
        # A replaced code counts as assigned once.
        self.counts.copy_(torch.where(dead, 1 - self.decay, self.counts))
        self.sums.copy_(torch.where(dead[:, None], (1 - self.decay) * drawn, self.sums))
        self.vectors.copy_(self.sums / self.counts[:, None])
