"""Pictures: grids of originals and reconstructions, comparisons of models, loss curves.

They are drawn with matplotlib's object API (no global state), labelled so that no caption is
needed, and written whole or not at all; equal input gives equal bytes. Images are drawn pixel by
pixel: small ones enlarged by a whole factor, large ones at their own size up to 320 pixels.
"""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from convae_zoo import files
from convae_zoo.errors import FileError, UsageError

Row = tuple[str, Tensor]
"""A label and its images, uint8 N×C×H×W."""

_DPI = 100
_FONT = "DejaVu Sans"  # ships with matplotlib
_SMALL, _NORMAL, _LARGE = 9.0, 10.0, 13.0
_INK, _FAINT, _PAPER = "#222222", "#6b6b6b", "white"
_LINE = 16  # pixels from one line of text to the next

_CELL = 120  # small images are enlarged to about this side
_LARGEST = 320  # larger ones are shrunk to this side
_COLUMNS = 10
_WIDTH = 2200  # pixels that the images of one band may take
_GAP, _BAND_GAP, _MARGIN = 6, 22, 16
_HIGHEST = 60_000  # Agg draws less than 2**16 pixels

_POINTS = 2000  # more steps than this are drawn as a band from least to greatest
_LOG_FROM = 5.0  # the losses' spread from which a logarithmic axis shows more
_TICKS_ON_TWO_DECADES = 2

Pixels = NDArray[np.uint8]


def check_picture_path(path: str | Path) -> None:
    """Refuse a path that a picture cannot be written to, before any work is done.

    Raises:
        UsageError: its name does not end in ``.png``, or it is a folder.
    """
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; give the picture a file name such as grid.png")
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"pictures are PNG files; {str(path)!r} must end in .png")


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
    _draw(path, rows, names=names, title=title, notes=notes)


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
    _draw(path, labelled, names=names, title=title)


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
    _draw(path, [("", images)], names=None, title=title)


def save_curves(
    path: str | Path,
    train_losses: Sequence[float],
    val_losses: Sequence[float],
    *,
    title: str = "",
    steps_per_epoch: int | None = None,
) -> None:
    """Draw the training loss of each step, its running mean, and the validation loss of each epoch.

    Args:
        path: where to write, ending in ``.png``; its folder is made where it is missing.
        train_losses: one an optimiser step.
        val_losses: one an epoch; may be empty.
        title: what stands above all.
        steps_per_epoch: optimiser steps an epoch; by default as the two lengths say.

    Raises:
        UsageError: there is no loss to draw.
        FileError: the file cannot be written.
    """
    train, val = (np.asarray(v, dtype=np.float64) for v in (train_losses, val_losses))
    if not np.isfinite(train).any():
        raise UsageError("there are no training losses to draw")
    steps = steps_per_epoch or (len(train) // len(val) if len(val) else 0)
    per_epoch = max(steps, 1)
    at = np.arange(1, len(train) + 1) / per_epoch
    window = 2 * max(len(train) // 100, min(len(train) // 20, 4)) + 1
    smooth = _running_mean(train, window)

    figure = Figure(figsize=(8, 4.8), dpi=_DPI, facecolor=_PAPER, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor(_PAPER)
    if len(train) > _POINTS:
        middle, low, high = _envelope(at, train)
        axes.fill_between(
            middle, low, high, color="#9ecae1", alpha=0.6, lw=0, label="training, each step"
        )
    else:
        dot = "o" if len(train) == 1 else ""
        axes.plot(at, train, color="#9ecae1", lw=0.8, marker=dot, label="training, each step")
    if window > 1:
        mean = f"training, mean of {window:,} steps"
        axes.plot(at, smooth, color="#08519c", lw=1.6, label=mean)
    if len(val):
        epochs = np.arange(1, len(val) + 1)
        axes.plot(
            epochs, val, color="#d94801", lw=1.6, marker="o", ms=5, label="validation, each epoch"
        )
    _scale(axes, np.concatenate([smooth, val, np.nanquantile(train, [0.005, 0.995])]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(0, max(at[-1], len(val)) * 1.02)
    axes.set_xlabel(f"epoch (of {steps:,} optimiser steps)" if steps else "optimiser step")
    axes.set_ylabel("loss")
    axes.set_title(printable(title), fontsize=12, color=_INK, parse_math=False)
    axes.grid(visible=True, which="major", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    write_figure(path, figure)


def _scale(axes: Any, losses: NDArray[np.float64]) -> None:
    """Show all of the smoothed losses; on a logarithmic axis where they spread far."""
    shown = losses[np.isfinite(losses)]
    least, greatest = shown.min(), shown.max()
    if least > 0 and greatest / least >= _LOG_FROM:
        axes.set_yscale("log")
        few = math.log10(greatest / least) < _TICKS_ON_TWO_DECADES
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        if few:
            plain = ScalarFormatter()
            plain.set_scientific(b=False)
            axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(least / 1.1, greatest * 1.2)
    else:
        room = 0.08 * (greatest - least) or 0.1 * abs(greatest) or 1.0
        axes.set_ylim(least - room, greatest + 2 * room)


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Average each value with its neighbours, `window` in all, or as many as there are."""
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    at = np.arange(len(values))
    first, end = np.maximum(at - window // 2, 0), np.minimum(at + window // 2 + 1, len(values))
    mean: NDArray[np.float64] = (sums[end] - sums[first]) / np.maximum(
        counts[end] - counts[first], 1
    )
    return mean


def _envelope(
    at: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Cut a long line into bins: their middle, least and greatest value."""
    edges = np.linspace(0, len(values), _POINTS // 2, endpoint=False).astype(int)
    sizes = np.diff([*edges, len(values)])
    return (
        np.add.reduceat(at, edges) / sizes,
        np.minimum.reduceat(values, edges),
        np.maximum.reduceat(values, edges),
    )


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


def _squared_errors(originals: Tensor, images: Tensor) -> NDArray[np.float64]:
    """Mean squared error of each image, black at 0 and white at 1."""
    _check_pair(originals, images)
    difference = (originals.cpu().double() - images.cpu().double()) / 255
    errors: NDArray[np.float64] = difference.square().mean((1, 2, 3)).numpy()
    return errors


def _psnr(originals: Tensor, images: Tensor) -> list[float]:
    errors = np.maximum(_squared_errors(originals, images), 1e-10)  # 100 dB: equal
    return [float(value) for value in -10 * np.log10(errors)]


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

    def text(self, x: float, y: float, text: str, size: float = _NORMAL, **style: Any) -> None:
        self.figure.text(
            x / (self.figure.get_figwidth() * _DPI),
            1 - y / self.height,
            text,
            fontsize=size,
            fontfamily=_FONT,
            parse_math=False,
            **{"color": _INK, "va": "top", **style},
        )


def _draw(
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
    heads = [_fit(printable(name), cell_width - _GAP) for name in names or [""] * count]
    if len(heads) != count:
        raise UsageError(f"{count} images have {len(heads)} names; give one an image")
    head = _LINE * max(name.count("\n") + 1 if name else 0 for name in heads)
    foot = _LINE + 4 if notes else 0

    left = _MARGIN + max(round(_width(line)) for label in labels for line in label) + 14
    heights = [max(cell_height, _LINE * len(label)) for label in labels]
    top = _MARGIN + (_LINE + 18 if title else 0)
    band = head + 4 + sum(heights) + _GAP * len(rows) + foot + _BAND_GAP
    height = top + bands * band - _BAND_GAP + _MARGIN
    if height > _HIGHEST:
        raise UsageError(f"{count} images are too many for one picture; give fewer")
    width = left + columns * pitch - _GAP + _MARGIN
    title = shorten(printable(title), max(width, 640) - 2 * _MARGIN, _LARGE)
    width = max(width, math.ceil(_width(title, _LARGE)) + 2 * _MARGIN)

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_PAPER)
    pen = _Pen(figure, height)
    pen.text(_MARGIN, _MARGIN, title, _LARGE, fontweight="bold")
    for start in range(0, count, columns):
        chosen = range(start, min(start + columns, count))
        y = top + start // columns * band
        for column, index in enumerate(chosen):
            middle = left + column * pitch + cell_width / 2
            pen.text(middle, y + head, heads[index], _SMALL, ha="center", va="bottom")
        y += head + 4
        for label, cells, row_height in zip(labels, pictures, heights, strict=True):
            for line, words in enumerate(label):
                centre = y + cell_height / 2 + _LINE * (line - (len(label) - 1) / 2)
                colour = _INK if line == 0 else _FAINT
                pen.text(left - 14, centre, words, ha="right", va="center_baseline", color=colour)
            for column, index in enumerate(chosen):
                pen.image(left + column * pitch, y, cells[index])
            y += row_height + _GAP
        for column, index in enumerate(chosen if notes else ()):
            middle = left + column * pitch + cell_width / 2
            pen.text(middle, y, notes[index], _SMALL, ha="center", color=_FAINT)
    write_figure(path, figure)


def printable(text: str) -> str:
    """Put text on one line, with a box for what the font does not have."""
    known = _font(_NORMAL).get_charmap()
    return "".join(c if ord(c) in known else "\u25a1" for c in " ".join(text.split()))


def _font(size: float) -> Any:
    """Give the font of a size; the large one is bold, for titles."""
    weight = "bold" if size == _LARGE else "normal"
    font = get_font(findfont(FontProperties(family=_FONT, weight=weight)))
    font.set_size(size, _DPI)
    return font


def _width(text: str, size: float = _NORMAL) -> float:
    """Width of a line of text in pixels."""
    font = _font(size)
    font.set_text(text, 0.0)
    return float(font.get_width_height()[0]) / 64


def shorten(text: str, width: float, size: float = _NORMAL) -> str:
    """Leave out the middle of a text that is wider than so many pixels."""
    if _width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2].rstrip()}…{text[-(kept // 2) :].lstrip()}"
        if _width(short, size) <= width:
            return short
    return "…"


def _fit(name: str, width: float) -> str:
    """Set a name in one line or two, no wider than so many pixels."""
    if _width(name, _SMALL) <= width:
        return name
    breaks = [i + 1 for i, c in enumerate(name[:-1]) if c in " -_/,"]
    for cut in sorted(breaks, key=lambda i: abs(i - len(name) / 2)):
        lines = name[:cut].strip(), name[cut:].strip()
        if all(_width(line, _SMALL) <= width for line in lines):
            return "\n".join(lines)
    return shorten(name, width, _SMALL)


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as a PNG file, whole or not at all; its folder is made where it is missing.

    Raises:
        UsageError: the path does not end in ``.png``, or is a folder.
        FileError: the file cannot be written.
    """
    check_picture_path(path)
    buffer = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    canvas.print_png(buffer, metadata={"Software": None})
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    files.write_bytes(path, buffer.getvalue())
