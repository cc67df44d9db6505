"""How near a picture is to its original: PSNR and SSIM."""

import math
from pathlib import Path

import attrs
import torch
from torch import Tensor

from convae_zoo.data.image_file import MAX_PIXELS
from convae_zoo.data.whole import whole_picture
from convae_zoo.errors import DataError
from convae_zoo.evaluation.metrics import PSNR_LIMIT, ssim
from convae_zoo.registry.specs import shape_text

_STRIP_PIXELS = 2**20


@attrs.frozen
class Quality:
    """How near a picture is to its original.

    Attributes:
        psnr: peak signal-to-noise ratio in dB.
        ssim: structural similarity, averaged over strips of a million pixels; None for pictures
            with a side of less than three pixels.
    """

    psnr: float
    ssim: float | None

    def __str__(self) -> str:
        similarity = "" if self.ssim is None else f", SSIM {self.ssim:.4f}"
        return f"{self.psnr:.2f} dB{similarity}"


def read_values(path: str | Path, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read a picture's colours, C×H×W in units of 255.

    Raises:
        DataError: it cannot be read.
    """
    return whole_picture(path, max_pixels=max_pixels).values


def quality(values: Tensor, original: Tensor) -> Quality:
    """Compare a picture with its original, in memory of a strip of it.

    Args:
        values: C×H×W in units of 255.
        original: the same; one of them may be grey.

    Raises:
        DataError: they differ in size.
    """
    if values.shape[1:] != original.shape[1:]:
        raise DataError(
            f"the picture has {shape_text(tuple(values.shape[1:]))} pixels and the clean one "
            f"{shape_text(tuple(original.shape[1:]))}"
        )
    height, width = values.shape[1:]
    channels = max(len(values), len(original))
    strips = max(1, round(height * width / _STRIP_PIXELS))
    error, similarities = 0.0, []
    pairs = (v.expand(channels, -1, -1).tensor_split(strips, 1) for v in (values, original))
    for ours, theirs in zip(*pairs, strict=True):
        x, y = (strip[None].float() / 255 for strip in (ours, theirs))
        error += float((x - y).square().sum(dtype=torch.float64))
        similarities.append(ssim(x, y))
    mse = error / (channels * height * width)
    known = [float(s) for s in similarities if s is not None]
    return Quality(
        psnr=min(PSNR_LIMIT, -10 * math.log10(mse)) if mse else PSNR_LIMIT,
        ssim=sum(known) / len(known) if known else None,
    )
