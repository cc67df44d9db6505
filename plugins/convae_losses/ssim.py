"""Structural similarity as a loss."""

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from convae_losses.pair import pair
from convae_zoo.errors import ContractError

WINDOW = 11


class SSIMLoss(nn.Module):
    """1 - SSIM, the mean over images, channels and pixels; 0 at equality, at most 2.

    The value range is mapped to [0, 1] first, where SSIM is defined. The window is a Gaussian of
    11×11 pixels, standard deviation 1.5, with the images mirrored at their edges; K1 is 0.01, K2
    0.03. Values outside the range are not clipped, so that their gradients live. Source: Wang et
    al., "Image quality assessment: from error visibility to structural similarity", 2004.

    Args:
        value_range: the (low, high) of the model's pixel values.
    """

    def __init__(self, value_range: tuple[float, float] = (-1.0, 1.0)) -> None:
        super().__init__()
        self.value_range = value_range

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar.

        Raises:
            ContractError: images smaller than the window.
        """
        if min(reconstruction.shape[-2:]) < WINDOW:
            height, width = reconstruction.shape[-2:]
            raise ContractError(
                f"loss 'ssim' looks through a window of {WINDOW}×{WINDOW} pixels, but the images "
                f"have {height}×{width}; use larger images or another loss"
            )
        low, high = self.value_range
        x, y = ((v - low) / (high - low) for v in pair(reconstruction, target))
        # Variances are small differences of large numbers: bfloat16 would lose them.
        with torch.autocast(x.device.type, enabled=False):
            similarity = structural_similarity_index_measure(x, y, data_range=1.0)
        if not isinstance(similarity, Tensor):
            raise TypeError("torchmetrics gave more than the similarity")
        return 1 - similarity

    def extra_repr(self) -> str:
        """Show the range."""
        return f"value_range={self.value_range}"
