"""The focal frequency loss: a spectral error weighted towards the worst frequencies."""

import torch
from torch import Tensor, nn

from convae_losses.pair import pair


class FocalFrequencyLoss(nn.Module):
    """Mean of w·|F(r) - F(t)|² over images, channels and frequencies.

    F is the orthonormal discrete Fourier transform of a channel, r the reconstruction, t the
    target. The weight w = (|F(r) - F(t)| / m)^a, with m the greatest |F(r) - F(t)| of that channel
    of that image, is within [0, 1] and counts as a constant: no gradient flows through it. In
    squared units of pixel values; 0 at equality. With a = 0 it is the mean squared error, by
    Parseval's theorem.

    Source: Jiang, Dai, Wu, Loy, "Focal frequency loss for image reconstruction and synthesis",
    ICCV 2021, equations 8 to 10.

    Args:
        alpha: a in the formula; a larger value focuses on the worst frequencies.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar."""
        x, y = pair(reconstruction, target)
        spectrum = torch.fft.fft2(x - y, norm="ortho")
        square = spectrum.real.square() + spectrum.imag.square()
        with torch.no_grad():
            greatest = square.amax((-2, -1), keepdim=True)
            # Equal channels have a maximum of 0; their squares are 0 whatever the divisor.
            share = square / greatest.clamp(min=torch.finfo(square.dtype).tiny)
            weight = share.pow(self.alpha / 2)
        loss: Tensor = (weight * square).mean()
        return loss

    def extra_repr(self) -> str:
        """Show the exponent."""
        return f"alpha={self.alpha}"
