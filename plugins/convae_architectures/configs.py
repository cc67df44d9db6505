"""The fields that all configs of the plugin share; no torch here."""

import attrs

from convae_zoo import fields

NORMS = ("none", "group")


@attrs.frozen(kw_only=True)
class ImageConfig:
    """Config of what sees square images.

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
    """Config of what is built on the residual trunk.

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
