"""The squared error of the reconstruction."""

from torch import Tensor, nn

from convae_scores.maps import mean_of_highest, smooth
from convae_zoo import Autoencoder


class ReconstructionScore(nn.Module):
    """Squared error of the reconstruction, per pixel and averaged; black is 0, white is 1.

    Args:
        blur: standard deviation of the Gaussian that blurs the difference before it is squared, in
            pixels; 0 for none. Fine detail, which no bottleneck reproduces, then counts less.
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

    def __init__(self, blur: float = 0.0, smoothing: float = 0.0, top: float = 1.0) -> None:
        super().__init__()
        self.blur = blur
        self.smoothing = smoothing
        self.top = top

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:
        """Map uint8 images N×C×H×W to scores N and maps N×H×W."""
        made = model(model.to_float(images))
        maps = squared_errors(made, images, model, blur=self.blur, smoothing=self.smoothing)
        return mean_of_highest(maps, self.top), maps


def squared_errors(
    made: Tensor, images: Tensor, model: Autoencoder, *, blur: float, smoothing: float
) -> Tensor:
    """Compare reconstructions with uint8 images: float32 N×H×W, black is 0, white is 1.

    Args:
        made: N×C×H×W in the model's value range.
        images: uint8 N×C×H×W.
        model: the model.
        blur: of the difference, in pixels.
        smoothing: of the squares, in pixels.
    """
    low, high = model.value_range
    differences = (made - model.to_float(images)).float() / (high - low)
    squares = smooth(differences, blur).square().mean(dim=1, keepdim=True)
    return smooth(squares, smoothing)[:, 0]
