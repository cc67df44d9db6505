"""Rows of images with labels, in bands one under the other: the drawing that all grids share."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from convae_zoo.errors import UsageError
from convae_zoo.visuals.figure import DPI, FAINT, INK, PAPER, write_figure
from convae_zoo.visuals.text import FONT, LARGE, NORMAL, SMALL, fit, printable, shorten, text_width

Row = tuple[str, Tensor]
"""A label and its images, uint8 N×C×H×W."""

_LINE = 16  # pixels from one line of text to the next
_CELL = 120  # small images are enlarged to about this side
_LARGEST = 320  # larger ones are shrunk to this side
_COLUMNS = 10
_WIDTH = 2200  # pixels that the images of one band may take
_GAP, _BAND_GAP, _MARGIN = 6, 22, 16
_HIGHEST = 60_000  # Agg draws less than 2**16 pixels

Pixels = NDArray[np.uint8]


def draw(
    path: str | Path,
    rows: Sequence[Row],
    *,
    names: Sequence[str] | None,
    title: str,
    notes: Sequence[str] = (),
) -> None:
    """Draw rows of images in bands of so many columns as fit; notes stand under the last row."""
    pictures = [_cells(images) for _, images in rows]
    count, cell_height, cell_width, _ = pictures[0].shape
    pitch = cell_width + _GAP
    columns = max(1, min(count, _COLUMNS, _WIDTH // pitch))
    bands = math.ceil(count / columns)

    labels = [[printable(line) for line in label.split("\n")] for label, _ in rows]
    heads = [fit(printable(name), cell_width - _GAP) for name in names or [""] * count]
    if len(heads) != count:
        raise UsageError(f"{count} images have {len(heads)} names; give one an image")
    head = _LINE * max(name.count("\n") + 1 if name else 0 for name in heads)
    foot = _LINE + 4 if notes else 0

    left = _MARGIN + max(round(text_width(line)) for label in labels for line in label) + 14
    heights = [max(cell_height, _LINE * len(label)) for label in labels]
    top = _MARGIN + (_LINE + 18 if title else 0)
    band = head + 4 + sum(heights) + _GAP * len(rows) + foot + _BAND_GAP
    height = top + bands * band - _BAND_GAP + _MARGIN
    if height > _HIGHEST:
        raise UsageError(f"{count} images are too many for one picture; give fewer")
    width = left + columns * pitch - _GAP + _MARGIN
    title = shorten(printable(title), max(width, 640) - 2 * _MARGIN, LARGE)
    width = max(width, math.ceil(text_width(title, LARGE)) + 2 * _MARGIN)

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
    pen = _Pen(figure, height)
    pen.text(_MARGIN, _MARGIN, title, LARGE, fontweight="bold")
    for start in range(0, count, columns):
        chosen = range(start, min(start + columns, count))
        y = top + start // columns * band
        for column, index in enumerate(chosen):
            middle = left + column * pitch + cell_width / 2
            pen.text(middle, y + head, heads[index], SMALL, ha="center", va="bottom")
        y += head + 4
        for label, cells, row_height in zip(labels, pictures, heights, strict=True):
            for line, words in enumerate(label):
                centre = y + cell_height / 2 + _LINE * (line - (len(label) - 1) / 2)
                colour = INK if line == 0 else FAINT
                pen.text(left - 14, centre, words, ha="right", va="center_baseline", color=colour)
            for column, index in enumerate(chosen):
                pen.image(left + column * pitch, y, cells[index])
            y += row_height + _GAP
        for column, index in enumerate(chosen if notes else ()):
            middle = left + column * pitch + cell_width / 2
            pen.text(middle, y, notes[index], SMALL, ha="center", color=FAINT)
    write_figure(path, figure)


def _cells(images: Tensor) -> Pixels:
    """Bring images to the size they are drawn at: uint8 N×H×W×3."""
    images = images.cpu()
    side = max(images.shape[-2:])
    if side > _LARGEST:
        size = [max(1, round(s * _LARGEST / side)) for s in images.shape[-2:]]
        scaled = functional.interpolate(images.float(), size, mode="bilinear", antialias=True)
        images = scaled.round().clamp(0, 255).to(torch.uint8)
    factor = max(1, round(_CELL / side))
    big = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    cells: Pixels = big.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    return cells


@attrs.frozen
class _Pen:
    """Puts images and text on a figure by pixels, counted from its upper left corner."""

    figure: Figure
    height: int

    def image(self, x: int, y: int, pixels: Pixels) -> None:
        self.figure.figimage(pixels, x, self.height - y - len(pixels), origin="upper")

    def text(self, x: float, y: float, text: str, size: float = NORMAL, **style: Any) -> None:
        self.figure.text(
            x / (self.figure.get_figwidth() * DPI),
            1 - y / self.height,
            text,
            fontsize=size,
            fontfamily=FONT,
            parse_math=False,
            **{"color": INK, "va": "top", **style},
        )
