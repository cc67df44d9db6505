"""Structural similarity as a loss."""

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from convae_losses.pair import pair
from convae_zoo.errors import ContractError

WINDOW, SIGMA = 11, 1.5


class SSIMLoss(nn.Module):
    """1 - SSIM, the mean over images, channels and pixels; 0 at equality, at most 2.

    The value range is mapped to [0, 1] first, where SSIM is defined. The window is a Gaussian, by
    default of 11×11 pixels with a standard deviation of 1.5, and the images are mirrored at their
    edges; K1 is 0.01, K2 0.03. Values outside the range are not clipped, to keep their gradients.
    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity",
    2004.

    Args:
        value_range: the (low, high) of the model's pixel values.
        window: side of the window in pixels, odd, from 3 to 41; the standard deviation is in
            proportion, so that the Gaussian is cut off at the same height.
    """

    def __init__(
        self, value_range: tuple[float, float] = (-1.0, 1.0), window: int = WINDOW
    ) -> None:
        super().__init__()
        self.value_range = value_range
        self.window = window

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar.

        Raises:
            ContractError: images smaller than the window.
        """
        if min(reconstruction.shape[-2:]) < self.window:
            height, width = reconstruction.shape[-2:]
            raise ContractError(
                f"loss 'ssim' looks through a window of {self.window}×{self.window} pixels, but "
                f"the images have {height}×{width}; use a smaller window or larger images"
            )
        low, high = self.value_range
        x, y = ((v - low) / (high - low) for v in pair(reconstruction, target))
        # Variances are small differences of large numbers: bfloat16 would lose them.
        with torch.autocast(x.device.type, enabled=False):
            # torchmetrics derives the side of the window from the standard deviation.
            similarity = structural_similarity_index_measure(
                x, y, sigma=SIGMA * self.window / WINDOW, data_range=1.0
            )
        if not isinstance(similarity, Tensor):
            raise TypeError("torchmetrics gave more than the similarity")
        return 1 - similarity

    def extra_repr(self) -> str:
        """Show the range and the window."""
        return f"value_range={self.value_range}, window={self.window}"
