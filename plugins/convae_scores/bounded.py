"""The error of a reconstruction that stays within the range of normal images."""

from collections.abc import Iterable

from torch import Tensor

from convae_scores.axes import fit_axes
from convae_scores.fitted import FittedScore, latents, normal_latents
from convae_scores.maps import mean_of_highest
from convae_scores.reconstruction import squared_errors
from convae_zoo import Autoencoder


class BoundedScore(FittedScore):
    """Squared error of the reconstruction from a latent that is bounded to the normal range.

    An autoencoder reconstructs much that it was not trained on. Along each principal axis of the
    normal images' latents, a latent is moved to within `limit` standard deviations of their mean;
    what the decoder makes of it is like a normal image.

    Args:
        limit: standard deviations.
        blur: standard deviation of the Gaussian that blurs the difference before it is squared, in
            pixels; 0 for none.
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

    TENSORS = ("mean", "whitening", "colouring")

    mean: Tensor
    whitening: Tensor
    colouring: Tensor

    def __init__(
        self, limit: float = 2.0, blur: float = 1.5, smoothing: float = 0.0, top: float = 1.0
    ) -> None:
        super().__init__()
        self.limit = limit
        self.blur = blur
        self.smoothing = smoothing
        self.top = top

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:
        """Fit to the latents of normal images, uint8 N×C×H×W.

        Raises:
            DataError: fewer than two images, latents that do not differ, or too large ones.
        """
        axes = fit_axes(normal_latents(batches, model))
        self.keep(mean=axes.mean, whitening=axes.whitening, colouring=axes.colouring)

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:
        """Map uint8 images N×C×H×W to scores N and maps N×H×W."""
        whitened = (latents(images, model) - self.mean) @ self.whitening
        bounded = whitened.clamp(-self.limit, self.limit) @ self.colouring + self.mean
        made = model.decode(bounded.to(model.dtype).view(-1, *model.latent_shape))
        maps = squared_errors(made, images, model, blur=self.blur, smoothing=self.smoothing)
        return mean_of_highest(maps, self.top), maps
