"""Entries of the registry as documents that JSON can hold; no torch here."""

import math
from collections.abc import Mapping
from typing import Any

import attrs

from convae_zoo.errors import ZooError
from convae_zoo.registry import fields, get_registry
from convae_zoo.registry.kinds import SHAPES
from convae_zoo.registry.specs import (
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Recipe,
    Spec,
    WeightsSpec,
)


def summarize(kind: str, spec: Spec) -> dict[str, Any]:
    """Return what is known of every entry; of a model the tags of its trained weights too."""
    document: dict[str, Any] = {"kind": kind, "name": spec.name, "summary": spec.summary}
    if isinstance(spec, ModelSpec):
        document["trained"] = [weights.tag for weights in spec.weights if weights.trained]
    return document | _provenance(spec)


def describe(kind: str, spec: Spec) -> dict[str, Any]:
    """Return all that is known of an entry."""
    document = summarize(kind, spec)
    if isinstance(spec, ModelSpec):
        return document | _model(spec)
    if isinstance(spec, LossSpec):
        document |= {"minimum": spec.minimum, "symmetric": spec.symmetric}
    if isinstance(spec, DatasetSpec):
        document |= {"splits": list(spec.splits), "license": spec.license, "source": spec.source}
    config = spec.config()
    shapes = {name: list(getattr(config, name)) for name in SHAPES.get(kind, ())}
    return document | shapes | {"factory": _factory(spec), "config": _config(config)}


def describe_weights(spec: ModelSpec, weights: WeightsSpec) -> dict[str, Any]:
    """Return all that is known of a model's weights, under the name ``model.tag``."""
    return {
        "kind": "weights",
        "name": f"{spec.name}.{weights.tag}",
        "summary": f"{spec.name} trained on {weights.dataset}",
        "model": spec.name,
        **_parts(spec),
        **_weights(weights),
        "dataset_license": _dataset_license(weights),
        "recipe": attrs.asdict(weights.recipe or spec.recipe),
        **_provenance(spec),
    }


def _provenance(spec: Spec) -> dict[str, str]:
    return attrs.asdict(spec.provenance) if spec.provenance else {}


def _model(spec: ModelSpec) -> dict[str, Any]:
    return {
        **_parts(spec),
        "recipe": attrs.asdict(spec.recipe),
        "weights": [_weights(weights) for weights in spec.weights],
    }


def _dataset_license(weights: WeightsSpec) -> str:
    """Say the licence of the data: as it was stored, else as the dataset declares it."""
    stored = weights.card.get("dataset", {}).get("license")
    declared = get_registry().entries["dataset"].get(weights.dataset)
    return stored or (declared.license if isinstance(declared, DatasetSpec) else "not stated")


def _parts(spec: ModelSpec) -> dict[str, Any]:
    """Return what a model is made of and what it costs."""
    from convae_zoo.models.plan import plan_model
    from convae_zoo.registry.factories import config_values

    document: dict[str, Any] = {
        "value_range": list(spec.value_range),
        "encoder": {"name": spec.encoder, "config": dict(spec.encoder_config)},
        "decoder": {"name": spec.decoder, "config": dict(spec.decoder_config)},
    }
    try:
        plan = plan_model(spec.name)
    except ZooError as error:  # a part that is not installed, or does not fit any more
        document["problem"] = str(error)
    else:
        document["image_shape"] = list(plan.image_shape)
        document["latent_shape"] = list(plan.latent_shape)
        floats, values = math.prod(plan.latent_shape), math.prod(plan.image_shape)
        document |= {"latent_floats": floats, "compression_ratio": values / floats}
        for role, part, config in (
            ("encoder", plan.encoder, plan.encoder_config),
            ("decoder", plan.decoder, plan.decoder_config),
        ):
            document[role] = {
                "name": part.name,
                "config": config_values(config),
                **_provenance(part),
            }
    return document | {"parameters": spec.parameters, "flops": spec.flops}


def _weights(weights: WeightsSpec) -> dict[str, Any]:
    recipe: Recipe | None = weights.recipe
    return {
        "tag": weights.tag,
        "dataset": weights.dataset,
        "trained": weights.trained,
        "file": weights.file,
        "hub": f"{weights.hub}/{weights.filename}" if weights.hub else None,
        "revision": weights.revision,
        "url": weights.url,
        "sha256": weights.sha256,
        "recipe": attrs.asdict(recipe) if recipe else None,
        "metrics": dict(weights.metrics),
        "license": weights.license,
        "card": dict(weights.card),
    }


def _factory(spec: EncoderSpec | DecoderSpec | LossSpec | DatasetSpec) -> str:
    if isinstance(spec.factory, str):
        return spec.factory
    module = getattr(spec.factory, "__module__", "?")
    return f"{module}:{getattr(spec.factory, '__qualname__', repr(spec.factory))}"


def _config(config: Any) -> list[dict[str, Any]]:
    from convae_zoo.registry.factories import config_values  # not needed to list

    values: Mapping[str, Any] = config_values(config)
    return [
        {
            "name": field.name,
            "type": _type_name(field.type),
            "default": values[field.name],
            "accepts": fields.accepted(field),
        }
        for field in attrs.fields(type(config))
    ]


def _type_name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
