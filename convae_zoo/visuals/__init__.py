"""Pictures: grids of originals and reconstructions, comparisons, loss curves, histograms.

They are drawn with matplotlib's object API (no global state), labelled so that no caption is
needed, and written whole or not at all; equal input gives equal bytes. Images are drawn pixel by
pixel: small ones enlarged by a whole factor, large ones at their own size up to 320 pixels.
"""

from convae_zoo.visuals.curves import save_curves
from convae_zoo.visuals.figure import Drawing, check_picture_path, write_figure
from convae_zoo.visuals.grids import Row, save_comparison, save_grid, save_images, save_rows
from convae_zoo.visuals.histogram import save_histogram
from convae_zoo.visuals.text import drawable, shorten

__all__ = [
    "Drawing",
    "Row",
    "check_picture_path",
    "drawable",
    "save_comparison",
    "save_curves",
    "save_grid",
    "save_histogram",
    "save_images",
    "save_rows",
    "shorten",
    "write_figure",
]
