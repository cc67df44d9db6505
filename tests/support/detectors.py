"""Arguments of a detector that is fitted in no time, and smooth images for it."""

import torch
from torch.nn import functional

FAST = {
    "model": "convae-200",
    "score": "reconstruction",
    "alarm_rate": 0.1,
    "overrides": {"width": 2, "latent_dim": 4},
    "changes": {"epochs": 1},
    "device": "cpu",
}


def smooth(count, *, size=8, channels=1, seed=0):
    """Make smooth images, uint8 N×C×size×size."""
    draw = torch.Generator().manual_seed(seed)
    coarse = 128 + 40 * torch.randn(count, 1, 3, 3, generator=draw)
    fine = functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)
    return fine.clamp(0, 255).byte().expand(-1, channels, -1, -1).contiguous()
