"""Structural similarity at several scales as a loss."""

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from convae_losses.pair import pair
from convae_losses.ssim import WINDOW
from convae_zoo.errors import ContractError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The paper's weights of the scales, from the finest."""


class MSSSIMLoss(nn.Module):
    """1 - MS-SSIM, the mean over images; 0 at equality, less than 1 everywhere.

    The MS-SSIM of an image is the product over the scales j of ((1 + s_j) / 2)^β_j. s_j is the mean
    over channels and pixels of the contrast-structure term of SSIM, at the coarsest scale of SSIM
    itself; each scale has half the pixels a side of the one before. The paper's s_j^β_j has no
    value where s_j is negative, as it is of images that have little in common; the form taken here
    (torchmetrics' ``normalize="simple"``) has a gradient there too.

    The window is a Gaussian of 11×11 pixels, standard deviation 1.5; K1 is 0.01, K2 0.03; the value
    range is mapped to [0, 1] first. There are as many scales as `scales` says: 2 for images of
    32×32 pixels, 5 from 176×176. With fewer than five, β_j are the first of the paper's five,
    divided by their sum.

    Source: Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality
    assessment", 2003.

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
        height, width = reconstruction.shape[-2:]
        if min(height, width) < WINDOW:
            raise ContractError(
                f"loss 'ms-ssim' looks through a window of {WINDOW}×{WINDOW} pixels, but the "
                f"images have {height}×{width}; use larger images or another loss"
            )
        low, high = self.value_range
        x, y = ((v - low) / (high - low) for v in pair(reconstruction, target))
        # Variances are small differences of large numbers: bfloat16 would lose them.
        with torch.autocast(x.device.type, enabled=False):
            similarity = multiscale_structural_similarity_index_measure(
                x, y, data_range=1.0, betas=betas(min(height, width)), normalize="simple"
            )
        return 1 - similarity

    def extra_repr(self) -> str:
        """Show the range."""
        return f"value_range={self.value_range}"


def scales(side: int) -> int:
    """Return the number of scales for images whose shorter side is `side`.

    The most, up to five, for which ``side // (scales - 1)² >= 11``, as torchmetrics asks for, and
    the coarsest image has six pixels a side, so that its edges can be mirrored: 1 from a side of
    11, 2 from 12, 3 from 44, 4 from 99, 5 from 176.
    """
    fitting = [
        count
        for count in range(1, len(WEIGHTS) + 1)
        if side // max(1, count - 1) ** 2 >= WINDOW and side // 2 ** (count - 1) > WINDOW // 2
    ]
    return max(fitting)


def betas(side: int) -> tuple[float, ...]:
    """Return the weights of the scales for images whose shorter side is `side`; their sum is 1."""
    chosen = WEIGHTS[: scales(side)]
    return tuple(weight / sum(chosen) for weight in chosen)
