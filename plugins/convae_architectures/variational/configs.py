"""Config of the variational encoder; no torch here."""

import attrs

from convae_architectures.residual.configs import ResidualConfig
from convae_zoo import fields


@attrs.frozen(kw_only=True)
class VariationalConfig(ResidualConfig):
    """Config of the encoder.

    Attributes:
        beta: weight of the KL term, which is in nats a pixel value. Under MSE it is twice the
            variance of the Gaussian noise that the decoder's output is taken to have.
    """

    beta: float = fields.number(0.02, minimum=0.0)
