"""Config of the residual encoder and decoder; no torch here."""

import attrs

from convae_architectures.configs import TrunkConfig
from convae_zoo import fields


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
