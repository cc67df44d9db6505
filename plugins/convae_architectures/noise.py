"""Estimate how noisy an image is."""

from torch import Tensor

_QUARTILE = 0.6745
"""The median of |x| of a standard normal x."""


def estimate_sigma(x: Tensor) -> Tensor:
    """Estimate the standard deviation of white noise in each image, N, from images N×C×H×W.

    The median absolute value of the finest diagonal Haar coefficients, divided by 0.6745 (Donoho,
    Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994).
    """
    diagonal = (x[..., ::2, ::2] - x[..., 1::2, ::2] - x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 2
    magnitudes = diagonal.abs().flatten(1).float().sort(1).values  # ONNX has no median
    return magnitudes[:, magnitudes.shape[1] // 2] / _QUARTILE
