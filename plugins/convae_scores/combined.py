"""The sum of a reconstruction score and a latent score."""

from collections.abc import Iterable

import torch
from torch import Tensor

from convae_scores.density import DensityScore
from convae_scores.fitted import FittedScore
from convae_scores.mahalanobis import MahalanobisScore
from convae_scores.neighbours import NeighboursScore
from convae_scores.reconstruction import ReconstructionScore
from convae_zoo import Autoencoder
from convae_zoo.errors import DataError

HELD_OUT = 5
"""One image in so many is held out."""

FEWEST = 10


class CombinedScore(FittedScore):
    """Sum of a reconstruction score and a latent score, each standardised on normal images.

    One normal image in five is held out from the fit of the latent score; on these the mean and
    the standard deviation of both scores are taken. The map is that of the reconstruction score.

    Args:
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
        latent: ``mahalanobis``, ``neighbours`` or ``density``.
        neighbours: nearest latents, if `latent` is ``neighbours``.
        components: Gaussians, if `latent` is ``density``.
    """

    TENSORS = ("means", "deviations")

    means: Tensor
    deviations: Tensor

    def __init__(
        self,
        smoothing: float = 0.0,
        top: float = 1.0,
        latent: str = "mahalanobis",
        neighbours: int = 5,
        components: int = 10,
    ) -> None:
        super().__init__()
        self.reconstruction = ReconstructionScore(smoothing, top)
        self.latent: MahalanobisScore | NeighboursScore | DensityScore
        if latent == "neighbours":
            self.latent = NeighboursScore(neighbours)
        elif latent == "density":
            self.latent = DensityScore(components)
        else:
            self.latent = MahalanobisScore()

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:
        """Fit to normal images, uint8 N×C×H×W.

        Raises:
            DataError: fewer than ten images, or a model that has collapsed.
        """
        images = list(batches)
        count = sum(map(len, images))
        if count < FEWEST:
            raise DataError(f"combined is fitted to at least {FEWEST} images, got {count}")
        parts = list(_parts(images))
        self.latent.fit([fitted for fitted, _ in parts if len(fitted)], model)
        scores = torch.cat([self._scores(held, model)[0] for _, held in parts if len(held)])
        means, deviations = scores.double().mean(dim=0), scores.double().std(dim=0)
        if not (deviations > 0).all():
            raise DataError("normal images all have the same score: the model has collapsed")
        self.keep(means=means, deviations=deviations)

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:
        """Map uint8 images N×C×H×W to scores N and maps N×H×W."""
        scores, maps = self._scores(images, model)
        return ((scores - self.means) / self.deviations).sum(dim=1), maps

    def _scores(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:
        """Return the two scores N×2, and the maps."""
        scores, maps = self.reconstruction(images, model)
        return torch.stack((scores, self.latent(images, model)[0]), dim=1), maps


def _parts(batches: Iterable[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
    """Split each batch into the images to fit to and the held-out ones."""
    start = 0
    for images in batches:
        held = (torch.arange(start, start + len(images)) % HELD_OUT == HELD_OUT - 1).to(
            images.device
        )
        start += len(images)
        yield images[~held], images[held]
