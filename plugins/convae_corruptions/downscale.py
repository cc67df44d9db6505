"""Loss of resolution."""

from torch import Generator, Tensor
from torch.nn import functional


class Downscale:
    """Scales images down, bilinear with antialiasing, and up again, bicubic.

    Args:
        factor: by which height and width are divided, rounded to at least one pixel.
    """

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002 - not random
        """Corrupt images N×C×H×W in units of 255; float32 of the same shape."""
        size = tuple(images.shape[2:])
        small = [max(1, round(side / self.factor)) for side in size]
        down = functional.interpolate(images.float(), small, mode="bilinear", antialias=True)
        return functional.interpolate(down, size, mode="bicubic")
