"""Configs of the losses; no torch here."""

import attrs

from convae_zoo import fields

WINDOWS = tuple(range(3, 43, 2))
"""Odd, so that a window has a middle; to 41, where torchmetrics' window has this side."""


@attrs.frozen(kw_only=True)
class CharbonnierConfig:
    """Config of the Charbonnier loss.

    Attributes:
        epsilon: where the squared error becomes an absolute one, in units of pixel values.
    """

    epsilon: float = fields.number(1e-3, minimum=1e-6, maximum=1.0)


@attrs.frozen(kw_only=True)
class BCEConfig:
    """Config of the binary cross-entropy.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
        epsilon: below this the logarithm is continued by its tangent.
    """

    value_range: tuple[float, float] = fields.value_range()
    epsilon: float = fields.number(1e-3, minimum=1e-6, maximum=0.1)


@attrs.frozen(kw_only=True)
class SSIMConfig:
    """Config of the structural similarity.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
        window: side of the Gaussian window in pixels; its standard deviation is 1.5 at 11 pixels
            and in proportion at others.
    """

    value_range: tuple[float, float] = fields.value_range()
    window: int = fields.choice(11, WINDOWS)


@attrs.frozen(kw_only=True)
class MSSSIMConfig:
    """Config of the structural similarity at several scales.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
    """

    value_range: tuple[float, float] = fields.value_range()


@attrs.frozen(kw_only=True)
class FocalFrequencyConfig:
    """Config of the focal frequency loss.

    Attributes:
        alpha: how strongly the worst frequencies are weighted.
    """

    alpha: float = fields.number(1.0, minimum=0.0, maximum=10.0)


@attrs.frozen(kw_only=True)
class AdversarialConfig:
    """Config of the adversarial loss.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
        in_channels: channels of the images.
        width: channels of the discriminator's first layer.
        learning_rate: of the discriminator's own optimiser.
    """

    value_range: tuple[float, float] = fields.value_range()
    in_channels: int = fields.integer(3)
    width: int = fields.integer(32)
    learning_rate: float = fields.number(2e-4, minimum=1e-12, maximum=1.0)


@attrs.frozen(kw_only=True)
class PerceptualConfig:
    """Config of the perceptual loss.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
        weights: a .safetensors file of VGG-16; None for torchvision's cache.
    """

    value_range: tuple[float, float] = fields.value_range()
    weights: str | None = fields.text()


@attrs.frozen(kw_only=True)
class LPIPSConfig:
    """Config of LPIPS.

    Attributes:
        value_range: the (low, high) of the model's pixel values.
        network: ``vgg`` or ``alex``.
        weights: a .safetensors file of the network; None for torchvision's cache.
    """

    value_range: tuple[float, float] = fields.value_range()
    network: str = fields.choice("vgg", ("vgg", "alex"))
    weights: str | None = fields.text()
