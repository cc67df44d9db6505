"""Configs of the losses; no torch here."""

import attrs

from convae_zoo import fields


@attrs.frozen(kw_only=True)
class CharbonnierConfig:
    """Config of the Charbonnier loss.

    Attributes:
        epsilon: where the square turns into the absolute value, in units of pixel values.
    """

    epsilon: float = fields.number(1e-3, minimum=1e-6, maximum=1.0)


@attrs.frozen(kw_only=True)
class BCEConfig:
    """Config of the binary cross-entropy.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
        epsilon: where the logarithm goes on as its tangent.
    """

    value_range: tuple[float, float] = fields.value_range()
    epsilon: float = fields.number(1e-3, minimum=1e-6, maximum=0.1)


@attrs.frozen(kw_only=True)
class SSIMConfig:
    """Config of the structural similarity.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
    """

    value_range: tuple[float, float] = fields.value_range()
