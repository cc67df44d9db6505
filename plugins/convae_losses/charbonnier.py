"""The Charbonnier loss: an absolute error that is smooth at zero."""

from torch import Tensor, nn

from convae_losses.pair import pair


class CharbonnierLoss(nn.Module):
    """Mean of sqrt(d² + ε²) - ε over images, channels and pixels, d = reconstruction - target.

    The usual form less its constant, so that it is 0 at equality. Source: Charbonnier et al.,
    "Two deterministic half-quadratic regularization algorithms for computed imaging", 1994.

    Args:
        epsilon: ε, in units of pixel values: well below it the loss is d²/2ε, well above |d|.
    """

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar."""
        x, y = pair(reconstruction, target)
        square = (x - y).square()
        # The same number without the cancellation of two nearly equal ones.
        return (square / ((square + self.epsilon**2).sqrt() + self.epsilon)).mean()

    def extra_repr(self) -> str:
        """Show ε."""
        return f"epsilon={self.epsilon}"
