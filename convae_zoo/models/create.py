"""Modules built from names and configs; parts that do not fit are refused before building."""

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from convae_zoo.errors import UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.contract import check_part
from convae_zoo.models.plan import Plan, plan_compose, plan_model
from convae_zoo.registry.expressions import find_spec, parse_entry, term_config
from convae_zoo.registry.factories import build, plugin_error
from convae_zoo.registry.listing import check_name
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec


def build_plan(plan: Plan) -> Autoencoder:
    """Build both parts of a plan with fresh weights and join them.

    Raises:
        PluginError: a part's factory fails or does not return an ``nn.Module``, or the part's
            output on a tiny batch is not what it declares.
    """
    encoder = _build_part(plan.encoder, plan.encoder_config)
    decoder = _build_part(plan.decoder, plan.decoder_config)
    return Autoencoder(encoder, decoder, plan=plan)


def create_encoder(name: str, **config: Any) -> nn.Module:
    """Build a registered encoder with fresh weights.

    Args:
        name: an encoder's name, as `list_encoders` returns it, optionally with config values:
            ``convae(width=8)``.
        config: further config values.

    Returns:
        A module that maps images N×C×H×W to latents N×D or N×C'×H'×W'.

    Raises:
        UnknownNameError: no such encoder or field; the nearest are suggested.
        ConfigError: a value of the wrong type or out of range, or a string that cannot be parsed.
        PluginError: as `build_plan` does.
    """
    return _create_part("encoder", name, config)


def create_decoder(name: str, **config: Any) -> nn.Module:
    """Build a registered decoder with fresh weights.

    Args:
        name: a decoder's name, as `list_decoders` returns it, optionally with config values.
        config: further config values.

    Returns:
        A module that maps latents to images N×C×H×W.

    Raises:
        ZooError: as `create_encoder` does.
    """
    return _create_part("decoder", name, config)


def _create_part(kind: str, name: str, config: Mapping[str, Any]) -> nn.Module:
    term = parse_entry(name, kind)
    spec = cast("EncoderSpec | DecoderSpec", find_spec(term, kind))
    return _build_part(spec, term_config(term, spec, config))


def _build_part(spec: EncoderSpec | DecoderSpec, config: Any) -> nn.Module:
    part = build(spec, config)
    if not isinstance(part, nn.Module):
        raise plugin_error(spec, f"its factory must return an nn.Module, got {part!r:.80}")
    check_part(part, spec, config)
    return part


def create_model(name: str, **overrides: Any) -> Autoencoder:
    """Build a registered model with fresh weights.

    Args:
        name: a model's name, as `list_models` returns it, or ``encoder+decoder``.
        overrides: config values; each applies to every part that has a field of that name.

    Raises:
        UnknownNameError: no such model or field; the nearest are suggested.
        ConfigError: a value of the wrong type or out of range.
        ContractError: the parts do not fit with these overrides; nothing was built.
        UsageError: the name is not a string, or has a weights tag (`load_model` loads those).
    """
    check_name(name)
    model, dot, _ = name.partition(".")
    if dot:
        raise UsageError(
            f"{name!r} names trained weights: load_model({name!r}) loads them, "
            f"create_model({model!r}) builds the model with fresh ones"
        )
    return build_plan(plan_model(name, **overrides))


def compose(
    encoder: str,
    decoder: str,
    encoder_config: Mapping[str, Any] | None = None,
    decoder_config: Mapping[str, Any] | None = None,
    *,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> Autoencoder:
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
        ContractError: the parts' latent shapes or image shapes differ; both are named.
    """
    plan = plan_compose(encoder, decoder, encoder_config, decoder_config, value_range=value_range)
    return build_plan(plan)
