"""From a name and a config to a module; what does not fit is refused before anything is built."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from convae_zoo.errors import ConfigError, ContractError, PluginError, UsageError, ZooError, unknown
from convae_zoo.registry import find_model, get_registry
from convae_zoo.specs import (
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    Factory,
    LossSpec,
    ModelSpec,
    Provenance,
    Shape,
)

if TYPE_CHECKING:
    from convae_zoo.autoencoder import Autoencoder

BuiltSpec = EncoderSpec | DecoderSpec | LossSpec | DatasetSpec


def resolve(factory: Factory) -> Any:
    """Import what a factory string ``"package.module:Attribute"`` names.

    Raises:
        PluginError: the module cannot be imported, or the attribute is not there.
    """
    if not isinstance(factory, str):
        return factory
    module, _, name = factory.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(f"factory {factory!r} cannot be imported: {reason}") from error


def kind_of(spec: BuiltSpec) -> str:
    """Return the kind of a spec: ``encoder``, ``decoder``, ``loss`` or ``dataset``."""
    return type(spec).__name__.removesuffix("Spec").lower()


def field_names(spec: BuiltSpec) -> list[str]:
    """Return the names of an entry's config fields."""
    return [f.name for f in attrs.fields(spec.config)]


def make_config(spec: BuiltSpec, values: Mapping[str, Any]) -> Any:
    """Make an entry's config from the values that differ from its defaults.

    Raises:
        UnknownNameError: a field that the config does not have.
        ConfigError: a value of the wrong type or out of range.
    """
    names = field_names(spec)
    for name in values:
        if name not in names:
            raise unknown(f"field of {kind_of(spec)} {spec.name!r}:", name, names)
    try:
        return spec.config(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{kind_of(spec)} {spec.name!r}: {error}") from error


def config_values(config: Any) -> dict[str, Any]:
    """Return a config as keyword arguments, and as what JSON can hold."""
    return {f.name: getattr(config, f.name) for f in attrs.fields(type(config))}


def build(spec: BuiltSpec, config: Any, **more: Any) -> Any:
    """Call an entry's factory with its config's fields as keyword arguments.

    Raises:
        PluginError: the factory is not there, does not take the config's fields, or fails.
    """
    try:
        return resolve(spec.factory)(**config_values(config), **more)
    except PluginError as error:
        raise blame(spec, str(error)) from error
    except (ZooError, OSError):
        raise  # data or weights that are not there
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise blame(spec, f"its factory failed: {reason}") from error


def blame(spec: BuiltSpec, what: str) -> PluginError:
    """Make the error for an entry that broke a rule: which entry, whose it is, what to do."""
    source = spec.provenance or Provenance("?", "an unknown distribution", "?")
    return PluginError(
        f"{kind_of(spec)} {spec.name!r} of plugin {source.plugin!r} ({source.distribution} "
        f"{source.version}): {what}; tell its author what 'convae-zoo verify {spec.name}' says"
    )


@attrs.frozen(kw_only=True)
class Plan:
    """A checked model that is not built yet: two specs, two configs, a value range."""

    encoder: EncoderSpec
    encoder_config: Any
    decoder: DecoderSpec
    decoder_config: Any
    value_range: tuple[float, float] = (-1.0, 1.0)
    name: str | None = None

    def __attrs_post_init__(self) -> None:
        made, taken = self.encoder_config.latent_shape, self.decoder_config.latent_shape
        if made != taken:
            raise ContractError(
                f"encoder {self.encoder.name!r} makes a latent of shape {shape_text(made)} but "
                f"decoder {self.decoder.name!r} takes {shape_text(taken)}; "
                "give both the same latent"
            )
        for spec, config in (
            (self.encoder, self.encoder_config),
            (self.decoder, self.decoder_config),
        ):
            set_to = getattr(config, "value_range", self.value_range)
            if set_to != self.value_range:
                raise ContractError(
                    f"{kind_of(spec)} {spec.name!r} is set to value_range {set_to} but the model's "
                    f"is {self.value_range}; leave it out, and it follows the model's"
                )
        image, back = self.encoder_config.input_shape, self.decoder_config.output_shape
        if image != back:
            raise ContractError(
                f"encoder {self.encoder.name!r} takes images of shape {shape_text(image)} but "
                f"decoder {self.decoder.name!r} gives {shape_text(back)}; give both the same image"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image, (C, H, W)."""
        return cast("tuple[int, int, int]", self.encoder_config.input_shape)

    @property
    def latent_shape(self) -> Shape:
        """Shape of one latent, (D,) or (C, H, W)."""
        return cast("Shape", self.encoder_config.latent_shape)

    def describe(self) -> dict[str, Any]:
        """Return what the model is built from, as JSON can hold it."""
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

    def build(self) -> "Autoencoder":
        """Build both parts with fresh weights and join them."""
        from convae_zoo.autoencoder import Autoencoder

        parts = []
        for spec, config in (
            (self.encoder, self.encoder_config),
            (self.decoder, self.decoder_config),
        ):
            part = build(spec, config)
            if not callable(getattr(part, "state_dict", None)):
                raise blame(spec, f"its factory must return an nn.Module, got {part!r:.80}")
            parts.append(part)
        return Autoencoder(*parts, plan=self)


def shape_text(shape: Shape) -> str:
    """Write a shape as people do: ``3×32×32``."""
    return "×".join(str(n) for n in shape)


def plan_compose(
    encoder: str,
    decoder: str,
    encoder_config: Mapping[str, Any] | None = None,
    decoder_config: Mapping[str, Any] | None = None,
    *,
    value_range: tuple[float, float] = (-1.0, 1.0),
    name: str | None = None,
) -> Plan:
    """Check that an encoder and a decoder exist, are well configured and fit; import no torch."""
    registry = get_registry()
    encoder_spec = cast("EncoderSpec", registry.get("encoder", encoder))
    decoder_spec = cast("DecoderSpec", registry.get("decoder", decoder))
    low_high = (float(value_range[0]), float(value_range[1]))

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


def plan_model(name: str, **overrides: Any) -> Plan:
    """Check a model with overrides; an override goes to every part that has the field.

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
    encoder, plus, decoder = name.partition("+")
    if plus:
        return ModelSpec(name="composed", encoder=encoder, decoder=decoder)
    return find_model(name)[0]


def create_model(name: str, **overrides: Any) -> "Autoencoder":
    """Build a registered model with fresh weights.

    Args:
        name: a model's name, as `list_models` gives it, or ``encoder+decoder``.
        overrides: config values; each goes to every part that has a field of that name.

    Raises:
        UnknownNameError: no such model or field; the nearest are suggested.
        ConfigError: a value of the wrong type or out of range.
        ContractError: the overridden parts do not fit; nothing was built.
        UsageError: the name has a weights tag, which fresh weights would belie.
    """
    model, dot, _ = name.partition(".")
    if dot:
        raise UsageError(
            f"{name!r} names trained weights: load_model({name!r}) loads them, "
            f"create_model({model!r}) makes fresh ones"
        )
    return plan_model(name, **overrides).build()


def compose(
    encoder: str,
    decoder: str,
    encoder_config: Mapping[str, Any] | None = None,
    decoder_config: Mapping[str, Any] | None = None,
    *,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> "Autoencoder":
    """Join any registered encoder with any registered decoder whose latents agree.

    Args:
        encoder: an encoder's name.
        decoder: a decoder's name.
        encoder_config: the values that differ from the encoder's defaults.
        decoder_config: the values that differ from the decoder's defaults.
        value_range: the (low, high) that uint8 images are mapped to.

    Raises:
        UnknownNameError: no such part or field; the nearest are suggested.
        ConfigError: a value of the wrong type or out of range.
        ContractError: the latents or the images differ; both shapes are named.
    """
    return plan_compose(
        encoder, decoder, encoder_config, decoder_config, value_range=value_range
    ).build()
