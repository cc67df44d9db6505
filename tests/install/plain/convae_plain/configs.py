"""What can be set."""

import attrs

from convae_zoo import fields


@attrs.frozen(kw_only=True)
class PlainConfig:
    latent_dim: int = fields.integer(200)
    image_size: int = fields.integer(32, minimum=8, multiple_of=8)

    @property
    def input_shape(self):
        return (3, self.image_size, self.image_size)

    @property
    def latent_shape(self):
        return (self.latent_dim,)
