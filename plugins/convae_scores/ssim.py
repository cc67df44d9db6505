"""Structural dissimilarity of the reconstruction."""

import torch
from torch import Tensor, nn

from convae_scores.maps import mean_of_highest, smooth
from convae_zoo import Autoencoder

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


class SSIMScore(nn.Module):
    """1 - SSIM of image and reconstruction, per pixel and averaged; 0 at equality, at most 2.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity",
    2004; as an anomaly score: Bergmann et al., https://arxiv.org/abs/1807.02011.

    Args:
        window: side of the Gaussian window in pixels, odd; images that are smaller get a smaller
            one.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

    def __init__(self, window: int = WINDOW, top: float = 1.0) -> None:
        super().__init__()
        self.window = window
        self.top = top

    def forward(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor]:
        """Map uint8 images N×C×H×W to scores N and maps N×H×W."""
        given = model.to_float(images)
        low, high = model.value_range
        # Variances are small differences of large numbers: float32 at least.
        x, y = (((v.float() - low) / (high - low)).clamp(0, 1) for v in (given, model(given)))
        side = min(x.shape[-2:])
        window = min(self.window, side - (side + 1) % 2)
        blurred = smooth(
            torch.cat((x, y, x * x, y * y, x * y)), SIGMA * window / WINDOW, window // 2
        )
        mean_x, mean_y, square_x, square_y, product = blurred.reshape(5, -1, *x.shape[1:])
        variance_x = (square_x - mean_x**2).clamp_min(0)
        variance_y = (square_y - mean_y**2).clamp_min(0)
        covariance = product - mean_x * mean_y
        similarity = ((2 * mean_x * mean_y + C1) * (2 * covariance + C2)) / (
            (mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2)
        )
        maps = 1 - similarity.mean(dim=1)
        return mean_of_highest(maps, self.top), maps
