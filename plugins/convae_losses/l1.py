"""Mean absolute error."""

from torch import Tensor, nn

from convae_losses.pair import pair


class L1Loss(nn.Module):
    """Mean of |reconstruction - target| over images, channels and pixels; 0 at equality."""

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar."""
        x, y = pair(reconstruction, target)
        return (x - y).abs().mean()
