"""What all pictures share: colours, the style of axes, the check of the path, writing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from convae_zoo import files
from convae_zoo.errors import FileError, UsageError

DPI = 100
INK, FAINT, PAPER = "#222222", "#6b6b6b", "white"
COLOURS = ("#08519c", "#d94801", "#238b45", "#6a51a3", "#a50f15", "#016c59", "#7a0177", "#636363")
_MARGIN = 16  # pixels


class Drawing(Figure):
    """A figure that a notebook shows without pyplot, and `write_figure` writes."""

    tight = False
    """Whether its picture is fitted to what is drawn, labels outside the figure included."""

    def _repr_png_(self) -> bytes:
        return _png(self)


def check_picture_path(path: str | Path) -> None:
    """Refuse a path that a picture cannot be written to, before any work is done.

    Raises:
        UsageError: its name does not end in ``.png``, or it is a folder.
    """
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; give the picture a file name such as grid.png")
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"pictures are PNG files; {str(path)!r} must end in .png")


def style(axes: Any) -> None:
    """Give the axes of a plot a light grid and no frame."""
    axes.grid(visible=True, which="major", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def write_figure(path: str | Path, figure: Drawing) -> None:
    """Write a figure as a PNG file, whole or not at all; a missing folder is created.

    Raises:
        UsageError: the path does not end in ``.png``, or is a folder.
        FileError: the file cannot be written.
    """
    check_picture_path(path)
    data = _png(figure)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    files.write_bytes(path, data)


def finished(figure: Drawing, path: str | Path | None) -> Drawing:
    """Write a figure if there is a path, and return it."""
    if path is not None:
        write_figure(path, figure)
    return figure


def _png(figure: Drawing) -> bytes:
    """Draw a figure at `DPI`; a tight one is moved by whole pixels, so that images stay sharp."""
    buffer, box = io.BytesIO(), None
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    if figure.tight:
        drawn = figure.get_tightbbox(canvas.get_renderer()).padded(_MARGIN / DPI).extents * DPI
        box = Bbox.from_extents(*(np.round(drawn) / DPI))
    canvas.print_figure(buffer, dpi=DPI, bbox_inches=box, metadata={"Software": None})
    return buffer.getvalue()
