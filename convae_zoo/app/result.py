"""What the tabs of the app return, and how they read a picture."""

from collections.abc import Callable
from pathlib import Path

import attrs
from PIL import Image

from convae_zoo.data.whole import Array, WholePicture, whole_picture
from convae_zoo.tasks.pictures.quality import Quality, quality

MAX_PIXELS = 2**24
"""The default maximum of pixels of a picture: 4096×4096, minutes of a CPU's work."""

Figures = tuple[tuple[str, str], ...]
"""Labels, each with its value as text."""

Progress = Callable[[int, int], object]
"""Called with the tiles done and their total."""


@attrs.frozen(eq=False)
class Result:
    """What a tab shows.

    Attributes:
        before: the picture that the model is given.
        after: what becomes of it.
        figures: below the pictures.
        file: to download; None without.
    """

    before: Image.Image
    after: Image.Image
    figures: Figures
    file: Path | None = None


def read_picture(path: Path, max_pixels: int) -> WholePicture:
    """Read a picture at its own size and depth.

    Raises:
        DataError: it is no picture, or has more pixels.
    """
    return whole_picture(path, max_pixels=max_pixels)


def image_of(picture: WholePicture) -> Image.Image:
    """Return a picture that was read as an image, turned upright."""
    return Image.fromarray(picture.restored(picture.values))


def quality_of(array: Array, original: WholePicture) -> Quality:
    """Compare what the zoo made of a picture with the picture."""
    return quality(whole_picture(Image.fromarray(array)).values, original.values)


def quality_figures(found: Quality) -> Figures:
    """Return PSNR and SSIM as figures."""
    similarity = () if found.ssim is None else (("SSIM", f"{found.ssim:.4f}"),)
    return (("PSNR", f"{found.psnr:.2f} dB"), *similarity)
