"""Configs of the article's encoder and decoder; no torch here."""

import attrs

from convae_zoo import fields


@attrs.frozen(kw_only=True)
class ConvaeConfig:
    """Config of both parts.

    Attributes:
        in_channels: channels of an image.
        width: channels after the first convolution; they double at each halving of the size.
        latent_dim: floats of a latent.
        activation: after every layer but the decoder's last.
        image_size: height and width of an image, divisible by 4.
    """

    in_channels: int = fields.integer(3)
    width: int = fields.integer(16)
    latent_dim: int = fields.integer(200)
    activation: str = fields.activation("relu")
    image_size: int = fields.integer(32, minimum=4, multiple_of=4)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return (self.in_channels, self.image_size, self.image_size)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape of one reconstruction."""
        return self.input_shape

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one latent: a vector."""
        return (self.latent_dim,)
