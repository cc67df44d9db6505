"""The kinds of entry."""

from collections.abc import Mapping
from types import MappingProxyType

from convae_zoo.registry.specs import (
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Spec,
)

KINDS: Mapping[str, type[Spec]] = MappingProxyType(
    {
        "encoder": EncoderSpec,
        "decoder": DecoderSpec,
        "loss": LossSpec,
        "dataset": DatasetSpec,
        "model": ModelSpec,
    }
)
"""The kinds of entry, each with the class of its specs."""

PLURALS = MappingProxyType({kind: "losses" if kind == "loss" else f"{kind}s" for kind in KINDS})
"""A kind's name where there are many: of its hook, its list and its command."""

SHAPES = MappingProxyType(
    {"encoder": ("input_shape", "latent_shape"), "decoder": ("latent_shape", "output_shape")}
)
"""The shapes that a part's config must declare."""
