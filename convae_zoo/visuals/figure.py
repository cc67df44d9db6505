"""A picture's look, its path and its file."""

import io
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from convae_zoo import files
from convae_zoo.errors import FileError, UsageError

DPI = 100
INK, FAINT, PAPER = "#222222", "#6b6b6b", "white"


def check_picture_path(path: str | Path) -> None:
    """Refuse a path that a picture cannot be written to, before any work is done.

    Raises:
        UsageError: its name does not end in ``.png``, or it is a folder.
    """
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; give the picture a file name such as grid.png")
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"pictures are PNG files; {str(path)!r} must end in .png")


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
