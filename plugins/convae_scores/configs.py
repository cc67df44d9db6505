"""Configs of the scores; no torch here."""

import attrs

from convae_zoo import fields

WINDOWS = tuple(range(3, 43, 2))
"""Odd, so that a window has a middle."""

ERRORS = ("bounded", "reconstruction")
DISTANCES = ("nearest-image", "mahalanobis", "neighbours", "density")


@attrs.frozen(kw_only=True)
class ReconstructionConfig:
    """Config of the squared error.

    Attributes:
        blur: standard deviation of the Gaussian that blurs the difference before it is squared, in
            pixels; 0 for none.
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

    blur: float = fields.number(0.0, minimum=0.0, maximum=64.0)
    smoothing: float = fields.number(0.0, minimum=0.0, maximum=64.0)
    top: float = fields.number(1.0, minimum=1e-6, maximum=1.0)


@attrs.frozen(kw_only=True)
class SSIMConfig:
    """Config of the structural similarity.

    Attributes:
        window: side of the Gaussian window in pixels; its standard deviation is 1.5 at 11 pixels
            and in proportion at others. Images smaller than the window get a smaller one.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

    window: int = fields.choice(11, WINDOWS)
    top: float = fields.number(1.0, minimum=1e-6, maximum=1.0)


@attrs.frozen(kw_only=True)
class NeighboursConfig:
    """Config of the distance to the nearest latents.

    Attributes:
        neighbours: how many nearest latents the distance is averaged over.
        bank: how many latents of normal images are kept, evenly spaced.
    """

    neighbours: int = fields.integer(5)
    bank: int = fields.integer(10_000)


@attrs.frozen(kw_only=True)
class DensityConfig:
    """Config of the Gaussian mixture.

    Attributes:
        components: Gaussians in the mixture; fewer where there are few images.
        dimensions: principal components of the latents that the mixture is fitted to, at most.
        seed: of the mixture's start.
    """

    components: int = fields.integer(10)
    dimensions: int = fields.integer(64)
    seed: int = fields.integer(0, minimum=0)


@attrs.frozen(kw_only=True)
class BoundedConfig:
    """Config of the squared error from a bounded latent.

    Attributes:
        limit: standard deviations from the mean that a latent may have along each axis.
        blur: standard deviation of the Gaussian that blurs the difference before it is squared, in
            pixels; 0 for none.
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

    limit: float = fields.number(2.0, minimum=0.0, maximum=100.0)
    blur: float = fields.number(1.5, minimum=0.0, maximum=64.0)
    smoothing: float = fields.number(0.0, minimum=0.0, maximum=64.0)
    top: float = fields.number(1.0, minimum=1e-6, maximum=1.0)


@attrs.frozen(kw_only=True)
class NearestImageConfig:
    """Config of the distance to the nearest images.

    Attributes:
        neighbours: how many nearest images.
        blur: standard deviation of the Gaussian that blurs images, in pixels; 0 for none.
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        bank: how many normal images are kept, evenly spaced.
    """

    neighbours: int = fields.integer(3)
    blur: float = fields.number(1.5, minimum=0.0, maximum=64.0)
    smoothing: float = fields.number(0.0, minimum=0.0, maximum=64.0)
    bank: int = fields.integer(6000)


@attrs.frozen(kw_only=True)
class CombinedConfig:
    """Config of the sum of two scores.

    Attributes:
        error: the score of the reconstruction.
        distance: the score of the distance from normal images.
        neighbours: of the distances nearest-image and neighbours.
        blur: of the error and of nearest-image, in pixels.
        smoothing: of the map, in pixels.
        top: the fraction of a map's pixels, the highest ones, whose mean is the error.
    """

    error: str = fields.choice("bounded", ERRORS)
    distance: str = fields.choice("nearest-image", DISTANCES)
    neighbours: int = fields.integer(3)
    blur: float = fields.number(1.5, minimum=0.0, maximum=64.0)
    smoothing: float = fields.number(0.0, minimum=0.0, maximum=64.0)
    top: float = fields.number(1.0, minimum=1e-6, maximum=1.0)
