"""Random crops of clean pictures, with noise of random strength."""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Array: TypeAlias = "np.ndarray[Any, Any]"

RENDERINGS = 0.15
"""How often a pixel of a rendering is drawn, against one of a photograph."""

FLAT, FLAT_KEPT = 4, 0.4
"""Of crops with a standard deviation below 4 of 255, this share is kept."""

SIGMA = 55
"""The strongest noise, of 255."""


class Crops:
    """Draws batches of random crops: clean ones, N×3×S×S in [-1, 1], and the noise's sigma.

    Crops are flipped and turned. Some have their channels permuted, their saturation, their gamma
    or their brightness changed: more colours than a hundred photographs have.

    Args:
        folder: what `benchmarks.denoising.photographs` made.
        size: S.
        seed: of everything drawn.
    """

    def __init__(self, folder: Path, size: int, seed: int) -> None:
        files = sorted((folder / "train").rglob("*.png"))
        self.pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
        weights = [
            picture.shape[0] * picture.shape[1] * (RENDERINGS if "renderings" in file.parts else 1)
            for file, picture in zip(files, self.pictures, strict=True)
        ]
        self.cumulative = np.cumsum(weights) / sum(weights)
        self.size = size
        self.random = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw clean crops, noisy ones, and each crop's sigma of 255."""
        crops = torch.from_numpy(np.stack([self._crop() for _ in range(count)]))
        clean = 2 * self._recoloured(crops.permute(0, 3, 1, 2).float() / 255) - 1
        sigma = SIGMA * self._uniform(count)
        noise = torch.randn(clean.shape, generator=self.generator)
        return clean, clean + noise * (sigma * 2 / 255), sigma.flatten()

    def _crop(self) -> Array:
        while True:
            picture = self.pictures[int(np.searchsorted(self.cumulative, self.random.random()))]
            top, left = (self.random.integers(n - self.size + 1) for n in picture.shape[:2])
            crop = picture[top : top + self.size, left : left + self.size]
            if crop[::4, ::4].std() > FLAT or self.random.random() < FLAT_KEPT:
                break
        crop = np.rot90(crop, self.random.integers(4))
        crop = crop[::-1] if self.random.random() < 1 / 2 else crop
        permuted = self.random.random() < 1 / 4
        return np.ascontiguousarray(crop[..., self.random.permutation(3)] if permuted else crop)

    def _recoloured(self, x: Tensor) -> Tensor:
        """Change the saturation, the gamma and the brightness of some images in [0, 1]."""
        grey = x.mean(1, keepdim=True)
        x = (grey + (x - grey) * self._some(len(x), 0.4, 0, 2.5)).clamp(1e-6, 1)
        return (x ** self._some(len(x), 0.3, 0.5, 1.5) * self._some(len(x), 0.25, 0.5, 1.1)).clamp(
            0, 1
        )

    def _some(self, count: int, share: float, low: float, high: float) -> Tensor:
        """Draw factors, N×1×1×1: for a share of the images from low to high, 1 for the others."""
        drawn = low + (high - low) * self._uniform(count)
        return torch.where(self._uniform(count) < share, drawn, torch.ones(()))

    def _uniform(self, count: int) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=self.generator)
