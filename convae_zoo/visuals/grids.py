"""Grids of images: reconstructions under their originals, several models' beside each other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convae_zoo.errors import UsageError
from convae_zoo.visuals.bands import Row, draw


def save_grid(
    path: str | Path,
    originals: Tensor,
    reconstructions: Tensor,
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> None:
    """Draw originals above their reconstructions, each with its PSNR.

    Args:
        path: where to write, ending in ``.png``; its folder is made where it is missing.
        originals: uint8, N×C×H×W, C of 1 or 3.
        reconstructions: the same.
        names: what stands above each image; shortened where it is too long.
        title: what stands above all.

    Raises:
        UsageError: images that cannot be drawn, or too many for one picture.
        FileError: the file cannot be written.
    """
    notes = [f"{psnr:.1f} dB" for psnr in _psnr(originals, reconstructions)]
    rows = [("original", originals), ("reconstruction\nand its PSNR", reconstructions)]
    draw(path, rows, names=names, title=title, notes=notes)


def save_comparison(
    path: str | Path,
    originals: Tensor,
    rows: Sequence[Row],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> None:
    """Draw originals and, beneath, a row for each model's reconstructions of them.

    To a row's label are added its MSE in [0, 1], PSNR, SSIM and sharpness, means over the images
    drawn, as `convae_zoo.evaluation.Metrics` says.

    Args:
        path: where to write, ending in ``.png``; its folder is made where it is missing.
        originals: uint8, N×C×H×W, C of 1 or 3.
        rows: a label, of one line or several, and images of the same shape each.
        names: what stands above each image; shortened where it is too long.
        title: what stands above all.

    Raises:
        UsageError: images that cannot be drawn, or too many for one picture.
        FileError: the file cannot be written.
    """
    told = (
        "original\nfigures: means of the images\nshown, MSE in [0, 1], sharpness\nof the original 1"
    )
    labelled = [(told, originals)]
    for label, images in rows:
        labelled.append(("\n".join((label, *_figures(originals, images))), images))
    draw(path, labelled, names=names, title=title)


def save_images(path: str | Path, images: Tensor, *, title: str = "") -> None:
    """Draw images alone, row by row.

    Args:
        path: where to write, ending in ``.png``; its folder is made where it is missing.
        images: uint8, N×C×H×W, C of 1 or 3.
        title: what stands above all.

    Raises:
        UsageError: images that cannot be drawn, or too many for one picture.
        FileError: the file cannot be written.
    """
    _check(images)
    draw(path, [("", images)], names=None, title=title)


def _figures(originals: Tensor, images: Tensor) -> list[str]:
    """Say in two lines how near images are to their originals."""
    from convae_zoo.evaluation.metrics import measure  # curves and grids do without torchmetrics

    _check_pair(originals, images)
    units = (originals.cpu().float() / 255, images.cpu().float() / 255)
    found = measure([units], (0.0, 1.0))
    lines = [
        [f"MSE {found.mse:.5f}", f"PSNR {found.psnr:.1f} dB"],
        ["" if found.ssim is None else f"SSIM {found.ssim:.3f}"],
    ]
    if found.sharpness is not None:
        lines[1].append(f"sharpness {found.sharpness:.2f}")
    return [text for line in lines if (text := ", ".join(filter(None, line)))]


def _psnr(originals: Tensor, images: Tensor) -> list[float]:
    errors = np.maximum(_squared_errors(originals, images), 1e-10)  # 100 dB: equal
    return [float(value) for value in -10 * np.log10(errors)]


def _squared_errors(originals: Tensor, images: Tensor) -> NDArray[np.float64]:
    """Mean squared error of each image, black at 0 and white at 1."""
    _check_pair(originals, images)
    difference = (originals.cpu().double() - images.cpu().double()) / 255
    errors: NDArray[np.float64] = difference.square().mean((1, 2, 3)).numpy()
    return errors


def _check_pair(originals: Tensor, images: Tensor) -> None:
    _check(originals)
    _check(images)
    if images.shape != originals.shape:
        raise UsageError(
            f"originals of shape {tuple(originals.shape)} and reconstructions of shape "
            f"{tuple(images.shape)} cannot be compared; give both the same shape"
        )


def _check(images: Tensor) -> None:
    if (
        images.dtype != torch.uint8
        or images.ndim != 4  # noqa: PLR2004 - N×C×H×W
        or images.shape[1] not in {1, 3}
        or len(images) == 0
    ):
        raise UsageError(
            "pictures are drawn of uint8 images N×C×H×W with 1 or 3 channels, got "
            f"{images.dtype} of shape {tuple(images.shape)}"
        )
