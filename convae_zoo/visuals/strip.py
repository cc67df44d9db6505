"""Whole pictures in a row, each with a line of text below it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import FileError
from convae_zoo.visuals.figure import DPI, INK, PAPER, check_picture_path
from convae_zoo.visuals.text import FONT, NORMAL, drawable, shorten

_WIDEST = 1200  # pixels of each picture in a row
_GAP = 8
_LINE = 24  # pixels below the pictures, for the text


def save_strip(path: str | Path, pictures: Sequence[tuple[str, Tensor]]) -> None:
    """Write pictures of one size in a row as PNG; those of more than 1200 pixels are scaled down.

    Args:
        path: ends in ``.png``; missing folders are created.
        pictures: the text of each, shortened where it is wider than the picture, and its colours,
            C×H×W in units of 255.

    Raises:
        UsageError: the path does not end in ``.png``.
        FileError: it cannot be written.
    """
    check_picture_path(path)
    images = [Image.fromarray(_to_rgb(values)) for _, values in pictures]
    for image in images:
        image.thumbnail((_WIDEST, _WIDEST))
    width, height = images[0].size
    row = Image.new("RGB", (len(images) * (width + _GAP) - _GAP, height + _LINE), PAPER)
    draw = ImageDraw.Draw(row)
    font = ImageFont.truetype(findfont(FontProperties(family=FONT)), round(NORMAL * DPI / 72))
    for place, (image, (text, _)) in enumerate(zip(images, pictures, strict=True)):
        left = place * (width + _GAP)
        row.paste(image, (left, 0))
        draw.text((left, height + _LINE // 2), shorten(drawable(text), width), INK, font, "lm")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot create {Path(path).parent}: {error.strerror}") from error
    with files.atomic_path(Path(path)) as temporary:
        row.save(temporary, "PNG")


def _to_rgb(values: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    colour = values.expand(3, -1, -1).permute(1, 2, 0)
    if colour.is_floating_point():
        colour = colour.round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(colour.numpy())
