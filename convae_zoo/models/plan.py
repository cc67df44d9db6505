"""Plans: models that are validated but not built yet. Imports no torch."""

import math
from collections.abc import Mapping
from typing import Any, cast

import attrs

from convae_zoo.errors import ConfigError, ContractError, unknown
from convae_zoo.registry import fields, find_model, get_registry
from convae_zoo.registry.factories import config_values, field_names, make_config
from convae_zoo.registry.kinds import kind_of
from convae_zoo.registry.listing import check_name
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec, ModelSpec, Shape, shape_text

DEFAULT_CONTEXT = 16
"""The context of a part whose config declares none, in pixels."""


@attrs.frozen(kw_only=True)
class Plan:
    """A validated model that is not built yet: two specs, two configs and a value range."""

    encoder: EncoderSpec
    encoder_config: Any
    decoder: DecoderSpec
    decoder_config: Any
    value_range: tuple[float, float] = (-1.0, 1.0)
    name: str | None = None

    def __attrs_post_init__(self) -> None:
        latent, expected = self.encoder_config.latent_shape, self.decoder_config.latent_shape
        if latent != expected:
            raise ContractError(
                f"encoder {self.encoder.name!r} returns a latent of shape {shape_text(latent)} but "
                f"decoder {self.decoder.name!r} expects {shape_text(expected)}; "
                "give both the same latent shape"
            )
        for spec, config in (
            (self.encoder, self.encoder_config),
            (self.decoder, self.decoder_config),
        ):
            value_range = getattr(config, "value_range", self.value_range)
            if value_range != self.value_range:
                raise ContractError(
                    f"{kind_of(spec)} {spec.name!r} has value_range {value_range} but the model "
                    f"has {self.value_range}; leave it out to use the model's"
                )
        image, reconstruction = self.encoder_config.input_shape, self.decoder_config.output_shape
        if image != reconstruction:
            raise ContractError(
                f"encoder {self.encoder.name!r} expects images of shape {shape_text(image)} but "
                f"decoder {self.decoder.name!r} returns {shape_text(reconstruction)}; "
                "give both the same image shape"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image, (C, H, W)."""
        return cast("tuple[int, int, int]", self.encoder_config.input_shape)

    @property
    def latent_shape(self) -> Shape:
        """Shape of one latent, (D,) or (C, H, W)."""
        return cast("Shape", self.encoder_config.latent_shape)

    @property
    def size_multiple(self) -> int | None:
        """What heights and widths must be divisible by; None if only `image_shape` is accepted."""
        sizes = [
            getattr(config, "size_multiple", None)
            for config in (self.encoder_config, self.decoder_config)
        ]
        return None if None in sizes else math.lcm(*cast("list[int]", sizes))

    @property
    def context(self) -> int:
        """How many pixels around a pixel its reconstruction depends on."""
        return sum(
            getattr(config, "context", DEFAULT_CONTEXT)
            for config in (self.encoder_config, self.decoder_config)
        )

    @property
    def takes_sigma(self) -> bool:
        """Whether the encoder is given the standard deviation of the images' noise."""
        return bool(getattr(self.encoder_config, "takes_sigma", False))

    @property
    def label(self) -> str:
        """The model's name, or those of its parts."""
        return label_of(self.describe())

    def describe(self) -> dict[str, Any]:
        """Return what the model is built from, as JSON values."""
        return {
            "name": self.name,
            "encoder": {
                "name": self.encoder.name,
                "config": config_values(self.encoder_config),
            },
            "decoder": {
                "name": self.decoder.name,
                "config": config_values(self.decoder_config),
            },
            "value_range": list(self.value_range),
        }


def label_of(model: Mapping[str, Any]) -> str:
    """Return the name of a model that `Plan.describe` describes, or those of its parts."""
    name: str = model["name"] or f"{model['encoder']['name']}+{model['decoder']['name']}"
    return name


def plan_compose(
    encoder: str,
    decoder: str,
    encoder_config: Mapping[str, Any] | None = None,
    decoder_config: Mapping[str, Any] | None = None,
    *,
    value_range: tuple[float, float] = (-1.0, 1.0),
    name: str | None = None,
) -> Plan:
    """Plan a model from an encoder and a decoder, and check that they fit.

    Raises:
        UnknownNameError: no such part or field.
        ConfigError: a config value, or the value range, of the wrong type or out of range.
        ContractError: the parts' latent shapes or image shapes differ.
    """
    registry = get_registry()
    encoder_spec = cast("EncoderSpec", registry.get("encoder", encoder))
    decoder_spec = cast("DecoderSpec", registry.get("decoder", decoder))
    low_high = _checked_range(value_range)

    def config(spec: EncoderSpec | DecoderSpec, values: Mapping[str, Any] | None) -> Any:
        ranged = {"value_range": low_high} if "value_range" in field_names(spec) else {}
        return make_config(spec, {**ranged, **(values or {})})

    return Plan(
        encoder=encoder_spec,
        encoder_config=config(encoder_spec, encoder_config),
        decoder=decoder_spec,
        decoder_config=config(decoder_spec, decoder_config),
        value_range=low_high,
        name=name,
    )


@attrs.frozen
class _Range:
    value_range: tuple[float, float] = fields.value_range()


def _checked_range(value_range: Any) -> tuple[float, float]:
    try:
        low, high = _Range(value_range).value_range
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return float(low), float(high)


def plan_model(name: str, **overrides: Any) -> Plan:
    """Plan a registered model; an override applies to every part that has the field.

    Args:
        name: a registered model's name, or ``encoder+decoder``.
        overrides: config values.

    Raises:
        UnknownNameError: no such model, or neither part has an override's field.
    """
    spec = _find(name)
    registry = get_registry()
    encoder = cast("EncoderSpec", registry.get("encoder", spec.encoder))
    decoder = cast("DecoderSpec", registry.get("decoder", spec.decoder))
    encoder_fields, decoder_fields = field_names(encoder), field_names(decoder)
    known = {*encoder_fields, *decoder_fields}
    for override in overrides:
        if override not in known:
            raise unknown(f"override of model {name!r}:", override, known)
    return plan_compose(
        spec.encoder,
        spec.decoder,
        {**spec.encoder_config, **{k: v for k, v in overrides.items() if k in encoder_fields}},
        {**spec.decoder_config, **{k: v for k, v in overrides.items() if k in decoder_fields}},
        value_range=spec.value_range,
        name=None if "+" in name else spec.name,
    )


def _find(name: str) -> ModelSpec:
    check_name(name)
    encoder, plus, decoder = name.partition("+")
    if plus:
        return ModelSpec(name="composed", encoder=encoder, decoder=decoder)
    return find_model(name)[0]
