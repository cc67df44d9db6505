"""Config of the encoder and decoder with a linear path; no torch here."""

import attrs

from convae_architectures.configs import ImageConfig
from convae_zoo import fields


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
