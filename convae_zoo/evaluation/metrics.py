"""Metrics of reconstructions, averaged over images: MSE, PSNR, SSIM and sharpness."""

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

from convae_zoo.errors import DataError

PSNR_LIMIT = 100.0
"""The PSNR in dB of an exact reconstruction; higher values are clipped to it."""

_WINDOW = 11
_SIGMA = 1.5
_SMALLEST = 3


@attrs.frozen(kw_only=True)
class Metrics:
    """Quality of reconstructions, as means over images.

    Attributes:
        mse: mean squared error of unclipped values, with black at 0 and white at 1.
        mse_in_range: the same in the model's value range; equals an MSE validation loss.
        psnr: peak signal-to-noise ratio in dB of values clipped to [0, 1], at most `PSNR_LIMIT`.
        ssim: structural similarity of values clipped to [0, 1]; None for images with a side of
            less than three pixels.
        sharpness: the mean edge strength of values clipped to [0, 1], divided by the originals':
            below 1 reconstructions are blurred, above 1 they have edges or noise that the originals
            lack. None if the originals have no edges.
    """

    mse: float
    mse_in_range: float
    psnr: float
    ssim: float | None
    sharpness: float | None = None


def measure(pairs: Iterable[tuple[Tensor, Tensor]], value_range: tuple[float, float]) -> Metrics:
    """Average the metrics over the images of batches of any size.

    Args:
        pairs: batches of originals and reconstructions, floats N×C×H×W, black 0 and white 1.
        value_range: the model's, for `Metrics.mse_in_range`.

    Raises:
        DataError: there are no images, or a reconstruction has non-finite values.
    """
    count, total = 0, torch.zeros(5, dtype=torch.float64)
    has_ssim = False
    for originals, reconstructions in pairs:
        if not reconstructions.isfinite().all():
            raise DataError(
                "the reconstructions have values that are not finite: the weights are damaged, or "
                "come from a run whose loss diverged"
            )
        clipped = reconstructions.clamp(0, 1)
        similarity = ssim(clipped, originals)
        has_ssim = similarity is not None
        per_image = (
            (reconstructions - originals).square().mean((1, 2, 3)),
            psnr(clipped, originals),
            torch.zeros(len(originals)) if similarity is None else similarity,
            edge_strength(clipped),
            edge_strength(originals),
        )
        total += torch.stack([values.double().sum().cpu() for values in per_image])
        count += len(originals)
    if count == 0:
        raise DataError("there are no images to measure")
    low, high = value_range
    mse, mean_psnr, mean_ssim, edges, original_edges = (total / count).tolist()
    return Metrics(
        mse=mse,
        mse_in_range=mse * (high - low) ** 2,
        psnr=mean_psnr,
        ssim=mean_ssim if has_ssim else None,
        sharpness=edges / original_edges if original_edges else None,
    )


def psnr(reconstructions: Tensor, originals: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, N, in dB, at most `PSNR_LIMIT`.

    Args:
        reconstructions: floats N×C×H×W in [0, 1].
        originals: the same.
    """
    # torchmetrics has it as well, after two seconds of importing.
    errors = (reconstructions - originals).square().mean(dim=(1, 2, 3))
    return (-10 * errors.log10()).clamp(max=PSNR_LIMIT)


def ssim(reconstructions: Tensor, originals: Tensor) -> Tensor | None:
    """Structural similarity of each image, N; None if a side is shorter than three pixels.

    The window is the usual Gaussian of 11 pixels with sigma 1.5, over the whole image with
    reflected borders. If a side is shorter than the window, the window is the largest odd size that
    fits, with sigma in proportion.

    Args:
        reconstructions: floats N×C×H×W in [0, 1].
        originals: the same.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004.
    """
    side = min(originals.shape[-2:])
    if side < _SMALLEST:
        return None
    # Imports torchvision.
    from torchmetrics.functional.image import structural_similarity_index_measure

    window = min(_WINDOW, side - 1 + side % 2)
    values = structural_similarity_index_measure(
        reconstructions,
        originals,
        sigma=_SIGMA * window / _WINDOW,
        kernel_size=window,
        reduction="none",
        data_range=1.0,
    )
    # For a single image torchmetrics drops the batch axis.
    return values.reshape(-1) if isinstance(values, Tensor) else values[0].reshape(-1)


def edge_strength(images: Tensor) -> Tensor:
    """Mean gradient magnitude of each image, N; 0 if a side has a single pixel.

    The gradient of a pixel is its difference to the pixel below and to the pixel on the right, in
    each channel; the last row and column are left out.

    Args:
        images: floats N×C×H×W.
    """
    if min(images.shape[-2:]) < 2:  # noqa: PLR2004 - a difference needs two
        return images.new_zeros(len(images))
    down, across = images.diff(dim=-2)[..., :-1], images.diff(dim=-1)[..., :-1, :]
    return torch.hypot(down, across).mean((1, 2, 3))
