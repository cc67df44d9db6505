"""Binary cross-entropy of pixel values, with gradients outside the value range too."""

import math

import torch
from torch import Tensor, nn

from convae_losses.pair import pair


class BCELoss(nn.Module):
    """Mean of -t·L(p) - (1 - t)·L(1 - p) over images, channels and pixels.

    p and t are the reconstruction and the target with the value range mapped to [0, 1]; t is then
    clipped to [ε, 1 - ε]. L is the logarithm, continued below ε by its tangent::

        L(p) = log(p)                  p >= ε
        L(p) = log(ε) + (p - ε) / ε    p < ε

    The loss is finite and convex for any p, and its only minimum is at p = t, so its gradient leads
    the output of a decoder without a sigmoid back into [0, 1]. Within
    [ε, 1 - ε] it is the plain binary cross-entropy. At equality it is the entropy of the target,
    which is not 0; it is not symmetric.

    Args:
        value_range: the (low, high) of the model's pixel values.
        epsilon: ε; the targets of black and white are ε and 1 - ε.
    """

    def __init__(
        self, value_range: tuple[float, float] = (-1.0, 1.0), epsilon: float = 1e-3
    ) -> None:
        super().__init__()
        self.value_range = value_range
        self.epsilon = epsilon

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar."""
        low, high = self.value_range
        p, t = ((v - low) / (high - low) for v in pair(reconstruction, target))
        t = t.clamp(self.epsilon, 1 - self.epsilon)
        return -(t * self._log(p) + (1 - t) * self._log(1 - p)).mean()

    def _log(self, p: Tensor) -> Tensor:
        tangent = math.log(self.epsilon) + (p - self.epsilon) / self.epsilon
        return torch.where(p < self.epsilon, tangent, p.clamp(min=self.epsilon).log())

    def extra_repr(self) -> str:
        """Show the range and ε."""
        return f"value_range={self.value_range}, epsilon={self.epsilon}"
