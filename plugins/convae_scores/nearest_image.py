"""Difference from the nearest normal images."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from convae_scores.fitted import FittedScore
from convae_scores.maps import smooth
from convae_zoo import Autoencoder
from convae_zoo.errors import DataError


class NearestImageScore(FittedScore):
    """Distance of an image to the nearest normal images, all of them blurred.

    It needs no model. Black is 0 and white is 1; the distance is a root mean square over pixels.
    The map is the mean squared difference from the nearest images.

    Args:
        neighbours: how many nearest images; all of them if there are fewer.
        blur: standard deviation of the Gaussian that blurs images, in pixels; 0 for none.
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        bank: how many normal images are kept, evenly spaced.
    """

    TENSORS = ("images",)  # bytes; blurred, they take four times as much

    images: Tensor
    normal: Tensor

    def __init__(
        self, neighbours: int = 3, blur: float = 1.5, smoothing: float = 0.0, bank: int = 6000
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.blur = blur
        self.smoothing = smoothing
        self.bank = bank
        self.register_buffer("normal", torch.empty(0), persistent=False)

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:  # noqa: ARG002 - a score's signature
        """Keep normal images, uint8 N×C×H×W.

        Raises:
            DataError: there are no images.
        """
        given = list(batches)
        if not sum(map(len, given)):
            raise DataError("nearest-image is fitted to at least 1 image, got 0")
        images = torch.cat(given)
        if len(images) > self.bank:
            images = images[torch.linspace(0, len(images) - 1, self.bank).long()]
        self.keep(images=images)
        self.normal = self._blurred(self.images)

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - the same
        """Map uint8 images N×C×H×W to scores N and maps N×H×W."""
        x = self._blurred(images)
        flat, known = x.flatten(1), self.normal.flatten(1)
        squares = flat.square().sum(1, keepdim=True) + known.square().sum(1) - 2 * flat @ known.T
        count = min(self.neighbours, len(known))
        nearest = squares.topk(count, dim=1, largest=False).indices
        differences = (x[:, None] - self.normal[nearest]).square()
        scores = differences.flatten(2).mean(dim=2).sqrt().mean(dim=1)
        return scores, smooth(differences.mean(dim=1).mean(dim=1, keepdim=True), self.smoothing)[
            :, 0
        ]

    def _load_from_state_dict(self, *given: Any, **options: Any) -> None:
        super()._load_from_state_dict(*given, **options)
        if len(self.images):
            self.normal = self._blurred(self.images)

    def _blurred(self, images: Tensor) -> Tensor:
        return smooth(images.float() / 255, self.blur)
