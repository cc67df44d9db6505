"""Configs of the defective entries."""

import attrs

from convae_zoo.registry import fields


@attrs.frozen(kw_only=True)
class Config:
    """A sound config."""

    latent_dim: int = fields.integer(16)
    image_size: int = fields.integer(16, minimum=4, multiple_of=4)

    @property
    def input_shape(self):
        return (3, self.image_size, self.image_size)

    @property
    def output_shape(self):
        return self.input_shape

    @property
    def latent_shape(self):
        return (self.latent_dim,)


@attrs.frozen(kw_only=True)
class AnySize(Config):
    """Declares sizes that the decoder, which doubles twice, cannot give."""

    image_size: int = fields.integer(16, minimum=4)


@attrs.frozen(kw_only=True)
class Unchecked(Config):
    """Takes any width."""

    width: int = 8


@attrs.frozen(kw_only=True)
class NotJson(Config):
    """A tuple, which JSON brings back as a list."""

    layers: tuple[int, ...] = attrs.field(default=(8, 8))
