"""Overlapping tiles: images of any size through a function of images of one size.

Tiles are spread evenly over an image, so that the last one ends at its border. Where tiles overlap,
their results are blended with smooth weights (sin² ramps) that add up to 1 at every pixel: there
are no seams, and a function that returns its input gives the image back. An image smaller than a
tile is continued by reflection.
"""

import itertools
import math
from collections.abc import Callable
from typing import cast

import attrs
import torch
from torch import Tensor

from convae_zoo.errors import UsageError


@attrs.frozen
class Tiles:
    """The tiles along one side of an image.

    Attributes:
        length: of the image's side, in pixels.
        size: of a tile.
        overlap: the fewest pixels that two neighbours share.
    """

    length: int
    size: int
    overlap: int

    def __attrs_post_init__(self) -> None:
        if self.length < 1:
            raise UsageError("an image without pixels has no tiles")
        if not 0 <= self.overlap < self.size:
            raise UsageError(
                f"tiles of {self.size} pixels must overlap by 0 to {self.size - 1} pixels, got "
                f"{self.overlap}"
            )

    @property
    def starts(self) -> list[int]:
        """The index of each tile's first pixel, ascending from 0."""
        room = self.length - self.size
        if room <= 0:
            return [0]
        steps = math.ceil(room / (self.size - self.overlap))
        return [room * i // steps for i in range(steps + 1)]

    def indices(self, start: int) -> Tensor:
        """Return the pixels of a tile, int64; beyond the image's end it is reflected."""
        inside = torch.arange(start, start + self.size, device="cpu")
        if self.length == 1:
            return torch.zeros_like(inside)
        period = 2 * (self.length - 1)
        folded = inside % period
        return torch.minimum(folded, period - folded)

    def weights(self) -> list[Tensor]:
        """Return the weights of each tile's pixels within the image, float32.

        At every pixel of the image the weights of all tiles add up to 1.
        """
        used, starts = min(self.size, self.length), self.starts
        raw = []
        for number, start in enumerate(starts):
            pixels = torch.arange(used, dtype=torch.float64, device="cpu") + 0.5
            ramp = torch.ones_like(pixels)
            if number > 0:
                shared = starts[number - 1] + self.size - start
                ramp *= _rise(pixels / max(shared, 1))
            if number + 1 < len(starts):
                shared = start + self.size - starts[number + 1]
                ramp *= _rise((used - pixels) / max(shared, 1))
            raw.append(ramp)
        total = torch.zeros(self.length, dtype=torch.float64, device="cpu")
        for start, ramp in zip(starts, raw, strict=True):
            total[start : start + used] += ramp
        return [
            (ramp / total[start : start + used]).float()
            for start, ramp in zip(starts, raw, strict=True)
        ]


def _rise(x: Tensor) -> Tensor:
    """Rise from 0 at 0 to 1 at 1, smoothly, and stay there."""
    return (x.clamp(0, 1) * (math.pi / 2)).sin().square()


def map_tiles(
    images: Tensor,
    function: Callable[[Tensor], Tensor],
    tile: tuple[int, int],
    *,
    overlap: int,
    batch_size: int,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> Tensor:
    """Apply a function of images of one size to images of any size, tile by tile.

    Memory beside the images and the result is that of a batch of tiles.

    Args:
        images: N×C×H×W of any dtype, size and device.
        function: maps tiles n×C×h×w, of the images' dtype and device and with n up to `batch_size`,
            to images n×K×h×w or maps n×h×w, of any float dtype and device.
        tile: height and width of a tile.
        overlap: the fewest pixels that two neighbouring tiles share.
        batch_size: tiles per call of `function`.
        progress: called with the tiles done and their total.

    Returns:
        Float32 N×K×H×W, or N×H×W, on the CPU.

    Raises:
        UsageError: there are no pixels, or the overlap is not below the tile's sides.
    """
    if len(images) == 0:
        raise UsageError("there are no images to cut into tiles")
    height, width = images.shape[-2:]
    down, across = Tiles(height, tile[0], overlap), Tiles(width, tile[1], overlap)
    rows, columns = (list(zip(t.starts, t.weights(), strict=True)) for t in (down, across))
    places = list(itertools.product(range(len(images)), rows, columns))
    result: Tensor | None = None
    for first in range(0, len(places), batch_size):
        batch = places[first : first + batch_size]
        cut = [_cut(images[n], down.indices(y), across.indices(x)) for n, (y, _), (x, _) in batch]
        output = function(torch.stack(cut)).to("cpu", torch.float32)
        if result is None:
            result = torch.zeros(
                len(images), *output.shape[1:-2], height, width, dtype=torch.float32, device="cpu"
            )
        for (n, (y, vertical), (x, horizontal)), part in zip(batch, output, strict=True):
            h, w = len(vertical), len(horizontal)
            weighted = part[..., :h, :w] * vertical[:, None] * horizontal
            result[n, ..., y : y + h, x : x + w] += weighted
        progress(first + len(batch), len(places))
    return cast("Tensor", result)  # an image has a tile at least


def _cut(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return image[..., rows.to(image.device)[:, None], columns.to(image.device)]
