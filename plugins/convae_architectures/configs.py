"""Configs of the encoders and decoders; no torch here."""

import attrs

from convae_zoo import fields

NORMS = ("none", "group")


@attrs.frozen(kw_only=True)
class ImageConfig:
    """Config of a part for square images.

    Attributes:
        in_channels: channels of an image.
        image_size: height and width of an image, divisible by 4.
    """

    in_channels: int = fields.integer(3)
    image_size: int = fields.integer(32, minimum=4, multiple_of=4)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return (self.in_channels, self.image_size, self.image_size)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape of one reconstruction."""
        return self.input_shape


@attrs.frozen(kw_only=True)
class TrunkConfig(ImageConfig):
    """Config of a part built on the residual trunk.

    Attributes:
        width: channels at half the image's size; twice as many at a quarter.
        depth: residual blocks at each of the two sizes.
        activation: before every convolution of a block.
        norm: ``none``, or ``group`` for a GroupNorm before every activation.
    """

    width: int = fields.integer(32)
    depth: int = fields.integer(1, minimum=0)
    activation: str = fields.activation("silu")
    norm: str = fields.choice("none", NORMS)


@attrs.frozen(kw_only=True)
class ResidualConfig(TrunkConfig):
    """Config of both parts.

    Attributes:
        latent_dim: floats of a latent.
    """

    latent_dim: int = fields.integer(200)

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one latent: a vector."""
        return (self.latent_dim,)


@attrs.frozen(kw_only=True)
class ResidualSpatialConfig(TrunkConfig):
    """Config of both parts.

    Attributes:
        latent_channels: channels of a latent; its height and width are a quarter of the image's.
    """

    latent_channels: int = fields.integer(3)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape of one latent: channels, height and width."""
        return (self.latent_channels, self.image_size // 4, self.image_size // 4)


@attrs.frozen(kw_only=True)
class VariationalConfig(ResidualConfig):
    """Config of the encoder.

    Attributes:
        beta: weight of the KL term, in nats per pixel value. With MSE it is twice the variance of
            the decoder's Gaussian noise.
    """

    beta: float = fields.number(0.02, minimum=0.0)


@attrs.frozen(kw_only=True)
class VectorQuantisedConfig(ResidualSpatialConfig):
    """Config of the encoder.

    Attributes:
        latent_channels: floats of a code.
        codes: vectors in the codebook.
        commitment: weight of the term that pulls features towards their codes.
        decay: of the codes, which are moving averages.
    """

    latent_channels: int = fields.integer(16)
    codes: int = fields.integer(512, minimum=2)
    commitment: float = fields.number(0.25, minimum=0.0)
    decay: float = fields.number(0.99, minimum=0.0, maximum=0.999999)


@attrs.frozen(kw_only=True)
class LinearResidualConfig(ImageConfig):
    """Config of both parts.

    Attributes:
        width: channels of the convolutions.
        depth: residual blocks of convolutions in each part.
        hidden: units of the dense layers.
        latent_dim: floats of a latent; at most as many as an image has values.
        activation: before every layer of a block.
    """

    width: int = fields.integer(48)
    depth: int = fields.integer(2, minimum=0)
    hidden: int = fields.integer(512)
    latent_dim: int = fields.integer(200)
    activation: str = fields.activation("silu")

    def __attrs_post_init__(self) -> None:
        values = self.in_channels * self.image_size**2
        if self.latent_dim > values:
            raise ValueError(
                f"latent_dim must be at most {values}, the values of an image, "
                f"got {self.latent_dim}"
            )

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one latent: a vector."""
        return (self.latent_dim,)


@attrs.frozen(kw_only=True)
class UNetConfig(ImageConfig):
    """Config of the decoder.

    Attributes:
        image_size: height and width of a training image, divisible by 8.
        width: channels at half the image's size.
        middle_width: channels at a quarter.
        deep_width: channels at an eighth.
        depth: residual blocks at half the image's size.
        middle_depth: residual blocks at a quarter.
    """

    image_size: int = fields.integer(64, minimum=8, multiple_of=8)
    width: int = fields.integer(64)
    middle_width: int = fields.integer(96, minimum=4, multiple_of=4)
    deep_width: int = fields.integer(128, minimum=16, multiple_of=16)
    depth: int = fields.integer(2, minimum=0)
    middle_depth: int = fields.integer(3, minimum=0)

    size_multiple = 8
    """Images of any height and width divisible by it are accepted."""

    context = 16
    """Pixels around an output pixel that matter, in this part."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape of one latent: the image and the features of every size, at half the size."""
        channels = (
            4 * self.in_channels + self.width + self.middle_width // 4 + self.deep_width // 16
        )
        return (channels, self.image_size // 2, self.image_size // 2)


@attrs.frozen(kw_only=True)
class UNetEncoderConfig(UNetConfig):
    """Config of the encoder.

    Attributes:
        deep_depth: residual blocks at an eighth of the image's size.
        takes_sigma: whether the noise's standard deviation is an input.
    """

    deep_depth: int = fields.integer(4, minimum=0)
    takes_sigma: bool = fields.flag(default=False)

    context = 32
