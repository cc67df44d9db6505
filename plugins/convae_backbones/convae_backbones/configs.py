"""Configs of the encoders and the decoder; no torch here."""

from typing import ClassVar

import attrs

from convae_zoo import fields

STRIDE = 32
"""Every backbone halves the size of an image five times."""


@attrs.frozen(kw_only=True)
class FeaturesConfig:
    """Config shared by the encoders and the decoder.

    Attributes:
        image_size: height and width S of an image, divisible by 32.
        latent_dim: floats of a latent; 0 is no bottleneck: the latent is the flattened features.
    """

    image_size: int = fields.integer(224, minimum=STRIDE, multiple_of=STRIDE)
    latent_dim: int = fields.integer(0, minimum=0)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return (3, self.image_size, self.image_size)

    def latent_of(self, channels: int) -> tuple[int]:
        """Shape of one latent of features with these channels: a vector."""
        return (self.latent_dim or channels * (self.image_size // STRIDE) ** 2,)


@attrs.frozen(kw_only=True)
class BackboneConfig(FeaturesConfig):
    """Config of an encoder.

    Attributes:
        weights: ``none`` for fresh ones; ``imagenet`` for torchvision's trained ones; or the path
            of a .safetensors file with torchvision's tensor names.
        download: download torchvision's trained weights if torch hub's cache lacks them.
        frozen: the backbone is not trained, and its batch norms keep their statistics.
        value_range: of the images; the zoo sets it to the model's.
    """

    channels: ClassVar[int]

    weights: str = fields.text("none")
    download: bool = fields.flag(default=False)
    frozen: bool = fields.flag(default=False)
    value_range: tuple[float, float] = fields.value_range()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return self.image_shape

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one latent."""
        return self.latent_of(self.channels)


@attrs.frozen(kw_only=True)
class Vgg16Config(BackboneConfig):
    """Config of `vgg16`."""

    channels = 512


@attrs.frozen(kw_only=True)
class ConvNextTinyConfig(BackboneConfig):
    """Config of `convnext_tiny`."""

    channels = 768


@attrs.frozen(kw_only=True)
class BatchNormConfig(BackboneConfig):
    """Config of a backbone with batch norms.

    Attributes:
        image_size: from 64, so that a batch of one image has a variance everywhere.
    """

    image_size: int = fields.integer(224, minimum=2 * STRIDE, multiple_of=STRIDE)


@attrs.frozen(kw_only=True)
class ResNet18Config(BatchNormConfig):
    """Config of `resnet18`."""

    channels = 512


@attrs.frozen(kw_only=True)
class EfficientNetB0Config(BatchNormConfig):
    """Config of `efficientnet_b0`."""

    channels = 1280


@attrs.frozen(kw_only=True)
class MirrorConfig(FeaturesConfig):
    """Config of the decoder.

    Attributes:
        channels: of the features; the backbone's without a bottleneck.
        width: channels at full size, 64 in VGG-16; 16 decodes at a sixteenth of the cost.
    """

    channels: int = fields.integer(512)
    width: int = fields.integer(64)

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one latent."""
        return self.latent_of(self.channels)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape of one reconstruction."""
        return self.image_shape


BACKBONES: dict[str, type[BackboneConfig]] = {
    "vgg16": Vgg16Config,
    "resnet18": ResNet18Config,
    "convnext_tiny": ConvNextTinyConfig,
    "efficientnet_b0": EfficientNetB0Config,
}
"""Each backbone's config, by torchvision's name for it."""
