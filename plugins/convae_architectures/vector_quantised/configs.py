"""Config of the vector-quantised encoder; no torch here."""

import attrs

from convae_architectures.residual_spatial.configs import ResidualSpatialConfig
from convae_zoo import fields


@attrs.frozen(kw_only=True)
class VectorQuantisedConfig(ResidualSpatialConfig):
    """Config of the encoder.

    Attributes:
        latent_channels: floats of a code.
        codes: vectors in the codebook.
        commitment: weight of the term that draws features to their codes.
        decay: of the moving averages that the codes are.
    """

    latent_channels: int = fields.integer(16)
    codes: int = fields.integer(512, minimum=2)
    commitment: float = fields.number(0.25, minimum=0.0)
    decay: float = fields.number(0.99, minimum=0.0, maximum=0.999999)
