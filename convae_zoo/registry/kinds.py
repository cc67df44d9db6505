"""The table of kinds. A new kind is a class in specs.py, a hook in hookspecs.py and a row here.

All code that works on entries of every kind reads this table: the registry, ``list`` and ``show``,
the conformance kit.
"""

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from convae_zoo.registry.specs import (
    BuiltSpec,
    CorruptionSpec,
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    ScoreSpec,
    Spec,
    WeightsSpec,
)


@attrs.frozen
class Kind:
    """A row of the table.

    Attributes:
        name: the singular, as in ``convae-zoo show --kind loss``.
        plural: the plural, as in ``convae-zoo list losses``.
        spec: the class of its specs.
        shapes: the properties of its configs that hold a shape.
    """

    name: str
    plural: str
    spec: type[Spec]
    shapes: tuple[str, ...] = ()

    @property
    def hook(self) -> str:
        """Name of the hook that registers entries: ``register_losses``."""
        return f"register_{self.plural}"

    @property
    def list_function(self) -> str:
        """Name of the function that lists entries: ``list_losses``."""
        return f"list_{self.plural}"

    @property
    def own_fields(self) -> list[str]:
        """Names of the fields that a spec of this kind adds to `BuiltSpec`."""
        common = {field.name for field in attrs.fields(BuiltSpec)}
        return [f.name for f in attrs.fields(self.spec) if f.name not in common]

    @property
    def built(self) -> bool:
        """Whether an entry is built by calling a factory with the fields of a config."""
        return issubclass(self.spec, BuiltSpec)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("model", "models", ModelSpec),
            Kind("weights", "weights", WeightsSpec),
            Kind("encoder", "encoders", EncoderSpec, ("input_shape", "latent_shape")),
            Kind("decoder", "decoders", DecoderSpec, ("latent_shape", "output_shape")),
            Kind("loss", "losses", LossSpec),
            Kind("dataset", "datasets", DatasetSpec),
            Kind("corruption", "corruptions", CorruptionSpec),
            Kind("score", "scores", ScoreSpec),
        )
    }
)
"""The kinds of entry, by name, in the order of listing."""


def kind_of(spec: Spec) -> str:
    """Return the name of a spec's kind: ``encoder``, ``loss``, ..."""
    return next(kind.name for kind in KINDS.values() if isinstance(spec, kind.spec))
