"""Arguments of a detector that is fitted in no time, and smooth images for it."""

import functools

import torch
from torch.nn import functional

import convae_zoo as zoo

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


@functools.cache
def whole():
    """Fit a detector to whole grey images 8×8; tests must not change it."""
    return zoo.AnomalyDetector(**FAST).fit(smooth(60))


@functools.cache
def tiled():
    """Fit a detector to tiles of 16×16 of colour pictures 40×40; tests must not change it."""
    longer = {"overrides": FAST["overrides"] | {"image_size": 16}, "changes": {"epochs": 8}}
    return zoo.AnomalyDetector(**FAST | longer).fit(smooth(20, size=40, channels=3))
