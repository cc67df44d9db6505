"""Grids of images: reconstructions under their originals, several models' side by side."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate, pad

from convae_zoo.errors import UsageError
from convae_zoo.visuals.figure import DPI, FAINT, INK, PAPER, Drawing, finished
from convae_zoo.visuals.text import FONT, LARGE, SMALL, drawable, fit, shorten

Row = tuple[str, Tensor]
"""A label, of one line or several, and its images, uint8 N×C×H×W."""

_LINE = 16  # pixels from one line of text to the next
_CELL = 120  # small images are enlarged to about this side
_MAX_CELL = 320  # larger ones are shrunk to this side
_GAP = 6  # pixels between two images
_COLUMNS, _WIDTH = 10, 2200  # at most so many images, and pixels, side by side
_TITLE_WIDTH = 600  # pixels that a title may always take
_MAX_HEIGHT = 60_000  # Agg draws less than 2**16 pixels
_NEEDED = "pictures are drawn from uint8 images N×C×H×W with 1 or 3 channels"
_TEXT: dict[str, Any] = {"fontfamily": FONT, "parse_math": False}


def save_grid(
    path: str | Path | None,
    originals: Tensor,
    reconstructions: Tensor,
    *,
    inputs: Tensor | None = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Drawing:
    """Draw originals above their reconstructions, each with its PSNR.

    Args:
        path: where to write, ending in ``.png``; a missing folder is created. None for nowhere.
        originals: uint8, N×C×H×W, C of 1 or 3.
        reconstructions: the same.
        inputs: the same; drawn in between if the model saw other images than the originals.
        names: one per image, above it; shortened if too long.
        title: above all.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UsageError: images that cannot be drawn, or too many for one picture.
        FileError: the file cannot be written.
    """
    from convae_zoo.evaluation.metrics import psnr  # slow to import

    _check(originals, reconstructions)
    decibels = psnr(_unit(reconstructions), _unit(originals)).tolist()
    notes = [f"{value:.1f} dB" for value in decibels]
    rows = [("original", originals), ("reconstruction\nand its PSNR", reconstructions)]
    if inputs is not None:
        _check(originals, inputs)
        rows.insert(1, ("input", inputs))
    return _draw(path, rows, names=names, title=title, notes=notes)


def save_comparison(
    path: str | Path | None,
    originals: Tensor,
    rows: Sequence[Row],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Drawing:
    """Draw originals and, below them, one row of reconstructions per model.

    Each row's label gets its MSE in [0, 1], PSNR, SSIM and sharpness, averaged over the images
    drawn; see `convae_zoo.evaluation.Metrics`.

    Args:
        path: where to write, ending in ``.png``; a missing folder is created. None for nowhere.
        originals: uint8, N×C×H×W, C of 1 or 3.
        rows: the label and images of each model.
        names: one per image, above it; shortened if too long.
        title: above all.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UsageError: images that cannot be drawn, or too many for one picture.
        FileError: the file cannot be written.
    """
    legend = (
        "original\nfigures: means of the images\nshown, MSE in [0, 1], sharpness\nof the original 1"
    )
    labelled = [(legend, originals)]
    for label, images in rows:
        labelled.append(("\n".join((label, *_figures(originals, images))), images))
    return _draw(path, labelled, names=names, title=title)


def save_rows(
    path: str | Path | None,
    rows: Sequence[Row],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Drawing:
    """Draw rows of images one below the other, without figures.

    Args:
        path: where to write, ending in ``.png``; a missing folder is created. None for nowhere.
        rows: each row's label and images, all of one shape.
        names: one per column, above it; shortened if too long.
        title: above all.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UsageError: images that cannot be drawn, or too many for one picture.
        FileError: the file cannot be written.
    """
    _check(*(images for _, images in rows))
    return _draw(path, rows, names=names, title=title)


def save_images(path: str | Path | None, images: Tensor, *, title: str = "") -> Drawing:
    """Draw images alone, row by row.

    Args:
        path: where to write, ending in ``.png``; a missing folder is created. None for nowhere.
        images: uint8, N×C×H×W, C of 1 or 3.
        title: above all.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UsageError: images that cannot be drawn, or too many for one picture.
        FileError: the file cannot be written.
    """
    _check(images)
    return _draw(path, [("", images)], names=None, title=title)


def _figures(originals: Tensor, images: Tensor) -> list[str]:
    """Say in two lines how close images are to their originals."""
    from convae_zoo.evaluation.metrics import measure  # slow to import

    _check(originals, images)
    found = measure([(_unit(originals), _unit(images))], (0.0, 1.0))
    optional = [
        f"{name} {value:.{digits}f}"
        for name, value, digits in (("SSIM", found.ssim, 3), ("sharpness", found.sharpness, 2))
        if value is not None
    ]
    lines = f"MSE {found.mse:.5f}, PSNR {found.psnr:.1f} dB", ", ".join(optional)
    return [line for line in lines if line]


def _unit(images: Tensor) -> Tensor:
    return images.cpu().float() / 255


def _check(first: Tensor, *others: Tensor) -> None:
    for images in (first, *others):
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in {1, 3}:  # noqa: PLR2004 - N×C×H×W
            raise UsageError(f"{_NEEDED}, got {images.dtype} of shape {tuple(images.shape)}")
        if images.shape != first.shape:
            raise UsageError(
                f"originals of shape {tuple(first.shape)} and reconstructions of shape "
                f"{tuple(images.shape)} cannot be compared; give both the same shape"
            )
    if len(first) == 0:
        raise UsageError(f"{_NEEDED}, got none")


def _draw(
    path: str | Path | None,
    rows: Sequence[Row],
    *,
    names: Sequence[str] | None,
    title: str,
    notes: Sequence[str] = (),
) -> Drawing:
    """Draw rows of images in bands of as many columns as fit; notes are below the last row.

    Each band is one grid of pixels in axes of exactly its size, with all text outside of it.
    """
    labels = [[drawable(line) for line in label.split("\n")] for label, _ in rows]
    cells = [_cells(images, _LINE * max(map(len, labels))) for _, images in rows]
    count, _, height, width = cells[0].shape
    heads = [fit(drawable(name), width - _GAP) for name in names or [""] * count]
    if len(heads) != count:
        raise UsageError(f"{count} images have {len(heads)} names; give one per image")
    columns = max(1, min(count, _COLUMNS, _WIDTH // (width + _GAP)))
    sheet_width, sheet_height = columns * (width + _GAP), len(rows) * (height + _GAP)
    lines = 1 + bool(notes) + max(len(name.split("\n")) if name else 0 for name in heads)
    band = sheet_height + _LINE * lines
    total = band * math.ceil(count / columns)
    if total > _MAX_HEIGHT:
        raise UsageError(f"{count} images are too many for one picture; give fewer")

    figure = Drawing(figsize=(sheet_width / DPI, total / DPI), dpi=DPI, facecolor=PAPER)
    for start in range(0, count, columns):
        chosen = slice(start, start + columns)
        images = [row[chosen] for row in cells]
        bottom = total - start // columns * band - sheet_height
        axes = _sheet(figure, images, bottom / total)
        middles = [(i + 0.5) * (width + _GAP) for i in range(len(images[0]))]
        axes.set_xticks(middles, heads[chosen], **_TEXT, fontsize=SMALL, color=INK)
        for x, note in zip(middles, notes[chosen], strict=bool(notes)):
            axes.text(
                x, sheet_height, note, **_TEXT, fontsize=SMALL, color=FAINT, ha="center", va="top"
            )
        for row, (first, *more) in enumerate(labels):
            # Two texts of as many lines each, for two colours.
            y = (row + 0.5) * (height + _GAP)
            for text, colour in ((first + "\n" * len(more), INK), ("\n".join(("", *more)), FAINT)):
                axes.text(-14, y, text, **_TEXT, color=colour, ha="right", va="center")
        if start == 0:
            short = shorten(drawable(title), max(sheet_width, _TITLE_WIDTH), LARGE)
            axes.set_title(
                short, **_TEXT, fontsize=LARGE, color=INK, weight="bold", loc="left", pad=12
            )
    figure.tight = True
    return finished(figure, path)


def _sheet(figure: Figure, rows: Sequence[Tensor], bottom: float) -> Any:
    """Draw images in a grid, pixel by pixel, in axes of the grid's size with units of pixels."""
    # torchvision's make_grid does this as well, after more than a second of importing.
    cells = pad(torch.stack(list(rows)), (_GAP // 2,) * 4, value=255)
    pixels = cells.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1).numpy()
    height, width = pixels.shape[:2]
    size = width / (figure.get_figwidth() * DPI), height / (figure.get_figheight() * DPI)
    axes: Any = figure.add_axes((0, bottom, *size))
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
    axes.set_frame_on(False)
    axes.set_yticks([])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    return axes


def _cells(images: Tensor, min_height: int) -> Tensor:
    """Bring images to the size they are drawn at, uint8 N×3×H×W; short ones get a white edge."""
    images = images.cpu()
    side = max(images.shape[-2:])
    if side > _MAX_CELL:
        size = [max(1, round(s * _MAX_CELL / side)) for s in images.shape[-2:]]
        scaled = interpolate(images.float(), size, mode="bilinear", antialias=True)
        images = scaled.round().clamp(0, 255).to(torch.uint8)
    factor = max(1, round(_CELL / side))
    cells = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3).expand(-1, 3, -1, -1)
    missing = max(0, min_height - cells.shape[2])
    return pad(cells, (0, 0, missing // 2, missing - missing // 2), value=255)
