"""Config of the residual encoder and decoder with a spatial latent; no torch here."""

import attrs

from convae_architectures.configs import TrunkConfig
from convae_zoo import fields


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
