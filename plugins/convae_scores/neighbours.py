"""Distance of the latent to the nearest normal ones."""

from collections.abc import Iterable

import torch
from torch import Tensor

from convae_scores.fitted import FittedScore, latents, normal_latents
from convae_zoo import Autoencoder


class NeighboursScore(FittedScore):
    """Mean distance of an image's latent to the nearest latents of normal images.

    Args:
        neighbours: how many nearest latents; all of them if there are fewer.
        bank: how many latents of normal images are kept, evenly spaced.
    """

    TENSORS = ("mean", "normal")

    mean: Tensor
    normal: Tensor

    def __init__(self, neighbours: int = 5, bank: int = 10_000) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.bank = bank

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:
        """Keep the latents of normal images, uint8 N×C×H×W.

        Raises:
            DataError: there are no images, or the model's latents are not finite.
        """
        normal = normal_latents(batches, model, minimum=1)
        mean = normal.double().mean(dim=0).float()
        if len(normal) > self.bank:
            normal = normal[torch.linspace(0, len(normal) - 1, self.bank).long()]
        self.keep(mean=mean, normal=normal - mean)

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, None]:
        """Map uint8 images N×C×H×W to scores N."""
        z = latents(images, model) - self.mean
        # Centred, so the difference of large squares loses little.
        squares = z.square().sum(1, keepdim=True) + self.normal.square().sum(1)
        distances = (squares - 2 * z @ self.normal.T).clamp_min(0).sqrt()
        count = min(self.neighbours, len(self.normal))
        return distances.topk(count, dim=1, largest=False, sorted=False).values.mean(dim=1), None
