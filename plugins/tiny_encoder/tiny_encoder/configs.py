import attrs

from convae_zoo import fields


@attrs.frozen(kw_only=True)
class TinyConfig:
    in_channels: int = fields.integer(3)
    latent_dim: int = fields.integer(64)
    image_size: int = fields.integer(32, minimum=2, multiple_of=2)

    @property
    def input_shape(self):
        return (self.in_channels, self.image_size, self.image_size)

    @property
    def latent_shape(self):
        return (self.latent_dim,)
