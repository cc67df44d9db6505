"""A model applied to pictures of any size, tile by tile."""

from collections.abc import Callable

import torch
from torch import Tensor

from convae_zoo.data import pixels
from convae_zoo.data.tiles import map_tiles
from convae_zoo.errors import UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.precision import choose_precision

TILE = 640
"""The longest side of a tile, in pixels, for models that accept images of any size."""

BATCH_PIXELS = 2**18
"""Pixels of a batch of tiles; a tile may have more."""

Progress = Callable[[int, int], object]
"""Called with the tiles done and their total."""


class PictureModel:
    """A model that takes pictures of any size.

    Args:
        model: an autoencoder; it is copied.
        precision: as `Inference` takes it.
    """

    def __init__(self, model: Autoencoder, precision: str = "auto") -> None:
        self.model = model
        chosen = choose_precision(precision, model.device)
        self._run = Inference(model, chosen, repeatable=True)
        channels, *self._size = model.image_shape
        if channels not in {1, 3}:
            raise UsageError(
                f"model {model.name!r} takes images of {channels} channels; pictures have 1 or 3"
            )
        self._channels = channels

    def __call__(
        self,
        values: Tensor,
        sigma: float | None = None,
        progress: Progress = lambda _done, _total: None,
    ) -> Tensor:
        """Reconstruct a picture, not clipped.

        A colour model sees a grey picture as three equal channels; a grey model sees each channel
        of a colour picture on its own.

        Args:
            values: C×H×W with C of 1 or 3, in units of 255: uint8 or float32.
            sigma: standard deviation of the noise in units of 255, for models that take it.
            progress: see `Progress`.

        Returns:
            Float32 C×H×W in units of 255, on the CPU.
        """
        return self._applied(values, sigma, progress)

    def _applied(
        self,
        values: Tensor,
        sigma: float | None,
        progress: Progress,
        prepare: Callable[[Tensor], Tensor] = lambda tiles: tiles,
    ) -> Tensor:
        """Apply the model to what `prepare` makes of each batch of tiles N×C×H×W."""
        low, high = self.model.value_range

        def run(tiles: Tensor) -> Tensor:
            x = pixels.to_float(prepare(tiles).to(self.model.device), (low, high))
            known = None
            if sigma is not None and self.model.plan.takes_sigma:
                known = torch.full((len(x),), sigma / 255, device=x.device)
            made: Tensor = self._run(x, known)
            return (made - low) * (255 / (high - low))

        tile, overlap = self._tiling(*values.shape[1:])
        return through_tiles(values, self._channels, run, tile, overlap, progress)

    def _tiling(self, height: int, width: int) -> tuple[tuple[int, int], int]:
        """Return the size of a tile and the overlap of two."""
        multiple = self.model.plan.size_multiple
        if multiple is None:
            rows, columns = self._size
            return (rows, columns), min(rows, columns) // 2
        most = max(TILE // multiple, 1) * multiple
        rows, columns = (min(-(-side // multiple) * multiple, most) for side in (height, width))
        return (rows, columns), min(self.model.plan.context, min(rows, columns) // 2)


def through_tiles(
    values: Tensor,
    channels: int,
    run: Callable[[Tensor], Tensor],
    tile: tuple[int, int],
    overlap: int,
    progress: Progress = lambda _done, _total: None,
) -> Tensor:
    """Apply a function of tiles to a picture of any size.

    A function of three channels sees a grey picture as three equal ones; one of a single channel
    sees each channel of a colour picture on its own.

    Args:
        values: C×H×W with C of 1 or 3, in units of 255: uint8 or float32.
        channels: that the function takes, 1 or 3.
        run: maps tiles N×C×H×W to results of the same shape, in units of 255.
        tile: height and width of a tile.
        overlap: pixels that two tiles share at least.
        progress: see `Progress`.

    Returns:
        Float32 C×H×W in units of 255, on the CPU.
    """
    images = values[:, None] if channels == 1 else values.expand(3, -1, -1)[None]
    made = map_tiles(
        images,
        run,
        tile,
        overlap=overlap,
        batch_size=max(1, BATCH_PIXELS // (tile[0] * tile[1])),
        progress=progress,
    )
    if channels == 1:
        return made[:, 0]
    return made[0] if len(values) == channels else made[0].mean(0, keepdim=True)
