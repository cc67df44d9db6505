"""Configs of the scores; no torch here."""

import attrs

from convae_zoo import fields

WINDOWS = tuple(range(3, 43, 2))
"""Odd, so that a window has a middle."""

LATENT_SCORES = ("mahalanobis", "neighbours", "density")


@attrs.frozen(kw_only=True)
class ReconstructionConfig:
    """Config of the squared error.

    Attributes:
        smoothing: standard deviation of the Gaussian that smooths the map, in pixels; 0 for none.
        top: the fraction of a map's pixels, the highest ones, whose mean is the score.
    """

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
class CombinedConfig(ReconstructionConfig):
    """Config of the sum of a reconstruction and a latent score.

    Attributes:
        latent: the score of the latents.
        neighbours: nearest latents, if `latent` is ``neighbours``.
        components: Gaussians, if `latent` is ``density``.
    """

    latent: str = fields.choice("mahalanobis", LATENT_SCORES)
    neighbours: int = fields.integer(5)
    components: int = fields.integer(10)
