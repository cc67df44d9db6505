"""The squared error of the reconstruction."""

from torch import Tensor, nn

from convae_scores.maps import mean_of_highest, smooth
from convae_zoo import Autoencoder


class ReconstructionScore(nn.Module):
    """Squared error of the reconstruction, per pixel and averaged; black is 0, white is 1.

    Args:
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

    def __init__(self, smoothing: float = 0.0, top: float = 1.0) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.top = top

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:
        """Map uint8 images N×C×H×W to scores N and maps N×H×W."""
        x = model.to_float(images)
        low, high = model.value_range
        errors = ((model(x) - x).float() / (high - low)).square().mean(dim=1, keepdim=True)
        maps = smooth(errors, self.smoothing)[:, 0]
        return mean_of_highest(maps, self.top), maps
