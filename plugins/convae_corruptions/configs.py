"""Configs of the corruptions; no torch here."""

import attrs

from convae_zoo import fields


@attrs.frozen(kw_only=True)
class GaussianConfig:
    """Config of Gaussian noise.

    Attributes:
        sigma: standard deviation in units of 255; a range is drawn from for each image.
    """

    sigma: float | tuple[float, float] = fields.span(25.0, minimum=0.0, maximum=255.0)


@attrs.frozen(kw_only=True)
class PoissonConfig:
    """Config of Poisson noise.

    Attributes:
        peak: mean count of photons of a white pixel; a range is drawn from for each image.
    """

    peak: float | tuple[float, float] = fields.span(30.0, minimum=0.1, maximum=1e6)


@attrs.frozen(kw_only=True)
class SaltAndPepperConfig:
    """Config of salt-and-pepper noise.

    Attributes:
        share: of the pixels, on average; a range is drawn from for each image.
    """

    share: float | tuple[float, float] = fields.span(0.1, minimum=0.0, maximum=1.0)


@attrs.frozen(kw_only=True)
class MaskConfig:
    """Config of masked squares.

    Attributes:
        share: of the squares that are masked; a range is drawn from for each image.
        size: side of a square in pixels.
    """

    share: float | tuple[float, float] = fields.span(0.25, minimum=0.0, maximum=1.0)
    size: int = fields.integer(8)


@attrs.frozen(kw_only=True)
class BlurConfig:
    """Config of Gaussian blur.

    Attributes:
        sigma: standard deviation in pixels; a range is drawn from for each image.
    """

    sigma: float | tuple[float, float] = fields.span(1.0, minimum=0.0, maximum=20.0)


@attrs.frozen(kw_only=True)
class JPEGConfig:
    """Config of JPEG compression.

    Attributes:
        quality: from 1 to 100, rounded; a range is drawn from for each image.
    """

    quality: float | tuple[float, float] = fields.span(20.0, minimum=1.0, maximum=100.0)


@attrs.frozen(kw_only=True)
class DownscaleConfig:
    """Config of downscaling.

    Attributes:
        factor: by which height and width are divided.
    """

    factor: float = fields.number(2.0, minimum=1.0, maximum=64.0)
