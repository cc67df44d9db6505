"""The difference of two images' gradients: edges that are blurred or displaced."""

from torch import Tensor, nn

from convae_losses.pair import pair
from convae_zoo.errors import ContractError

SMALLEST = 2


class GradientDifferenceLoss(nn.Module):
    """Mean of |∂y r - ∂y t| plus mean of |∂x r - ∂x t| over images, channels and pixels.

    ∂y and ∂x are the differences of vertical and horizontal neighbours; r is the reconstruction, t
    the target. In units of pixel values; 0 at equality, and also where the two
    differ by a constant in each channel: use it in a sum, as in ``"mse + gradient-difference"``.

    After Mathieu et al., "Deep multi-scale video prediction beyond mean square error", 2016, who
    compare |∂r| with |∂t|, which cannot tell an edge from dark to light from the opposite edge.
    """

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar.

        Raises:
            ContractError: images with a side of less than two pixels.
        """
        x, y = pair(reconstruction, target)
        if min(x.shape[-2:]) < SMALLEST:
            raise ContractError(
                "loss 'gradient-difference' takes differences of neighbouring pixels, but the "
                f"images have {x.shape[-2]}×{x.shape[-1]}; use another loss"
            )
        difference = x - y
        return difference.diff(dim=-2).abs().mean() + difference.diff(dim=-1).abs().mean()
