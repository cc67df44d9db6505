"""The sum of an error of the reconstruction and a distance from normal images."""

from collections.abc import Iterable

import torch
from torch import Tensor

from convae_scores.bounded import BoundedScore
from convae_scores.density import DensityScore
from convae_scores.fitted import FittedScore
from convae_scores.mahalanobis import MahalanobisScore
from convae_scores.nearest_image import NearestImageScore
from convae_scores.neighbours import NeighboursScore
from convae_scores.reconstruction import ReconstructionScore
from convae_zoo import Autoencoder
from convae_zoo.errors import DataError

HELD_OUT = 5
"""One image in so many is held out."""

FEWEST = 10


class CombinedScore(FittedScore):
    """Sum of an error and a distance, each standardised on normal images.

    One normal image in five is held out from the fit of both; on these the mean and the standard
    deviation of both are taken. The maps are divided by their mean over these and added.

    Args:
        error: ``bounded`` or ``reconstruction``.
        distance: ``nearest-image``, ``mahalanobis``, ``neighbours`` or ``density``.
        neighbours: of ``nearest-image`` and ``neighbours``.
        blur: of the error and of ``nearest-image``, in pixels.
        smoothing: of the map, in pixels.
        top: the fraction of a map's pixels, the highest ones, whose mean is the error.
    """

    TENSORS = ("means", "deviations", "levels")

    means: Tensor
    deviations: Tensor
    levels: Tensor

    def __init__(
        self,
        error: str = "bounded",
        distance: str = "nearest-image",
        neighbours: int = 3,
        blur: float = 1.5,
        smoothing: float = 0.0,
        top: float = 1.0,
    ) -> None:
        super().__init__()
        self.error: BoundedScore | ReconstructionScore
        if error == "bounded":
            self.error = BoundedScore(blur=blur, smoothing=smoothing, top=top)
        else:
            self.error = ReconstructionScore(blur=blur, smoothing=smoothing, top=top)
        self.distance: NearestImageScore | NeighboursScore | DensityScore | MahalanobisScore
        if distance == "nearest-image":
            self.distance = NearestImageScore(neighbours, blur, smoothing)
        elif distance == "neighbours":
            self.distance = NeighboursScore(neighbours)
        elif distance == "density":
            self.distance = DensityScore()
        else:
            self.distance = MahalanobisScore()

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
        fitted = [part for part, _ in parts if len(part)]
        if isinstance(self.error, BoundedScore):
            self.error.fit(fitted, model)
        self.distance.fit(fitted, model)
        found = [self._measured(held, model) for _, held in parts if len(held)]
        scores = torch.cat([scores for scores, _ in found]).double()
        maps = [torch.stack([m.mean((1, 2)) for m in maps], dim=1) for _, maps in found]
        levels = torch.cat(maps).double().mean(dim=0)
        means, deviations = scores.mean(dim=0), scores.std(dim=0)
        if not ((deviations > 0).all() and (levels > 0).all()):
            raise DataError("normal images all have the same score: the model has collapsed")
        self.keep(means=means, deviations=deviations, levels=levels)

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:
        """Map uint8 images N×C×H×W to scores N and maps N×H×W."""
        scores, maps = self._measured(images, model)
        total = sum((m / level for m, level in zip(maps, self.levels, strict=True)), maps[0] * 0)
        return ((scores - self.means) / self.deviations).sum(dim=1), total

    def _measured(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, list[Tensor]]:
        """Return the two scores, N×2, and the maps that there are."""
        error, error_map = self.error(images, model)
        distance, distance_map = self.distance(images, model)
        maps = [error_map] if distance_map is None else [error_map, distance_map]
        return torch.stack((error, distance), dim=1), maps


def _parts(batches: Iterable[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
    """Split each batch into the images to fit to and the held-out ones."""
    start = 0
    for images in batches:
        numbers = torch.arange(start, start + len(images), device=images.device)
        held = numbers % HELD_OUT == HELD_OUT - 1
        start += len(images)
        yield images[~held], images[held]
