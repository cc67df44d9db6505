"""Entries of the registry as JSON documents; no torch here."""

import math
from collections.abc import Mapping
from typing import Any

import attrs

from convae_zoo.errors import ZooError
from convae_zoo.registry import fields, get_registry
from convae_zoo.registry.kinds import KINDS, kind_of
from convae_zoo.registry.listing import why_unusable
from convae_zoo.registry.specs import (
    BuiltSpec,
    DatasetSpec,
    Factory,
    ModelSpec,
    Recipe,
    Spec,
    WeightsSpec,
)


def summarize(spec: Spec) -> dict[str, Any]:
    """Return what ``list`` prints of an entry.

    A model has the tags of its trained weights too; weights have whether they are trained, and what
    prevents their use.
    """
    document: dict[str, Any] = {"kind": kind_of(spec), "name": spec.name, "summary": spec.summary}
    if isinstance(spec, ModelSpec):
        document["trained"] = [weights.tag for weights in spec.weights if weights.trained]
    if isinstance(spec, WeightsSpec):
        document["summary"] = spec.summary or f"{spec.model} trained on {spec.dataset}"
        document["trained"] = spec.trained
        if problem := why_unusable(spec):
            document["problem"] = problem
    return document | _provenance(spec)


def describe(spec: Spec) -> dict[str, Any]:
    """Return everything known about an entry."""
    document = summarize(spec)
    if isinstance(spec, ModelSpec):
        return document | _model(spec)
    if isinstance(spec, WeightsSpec):
        return document | _weights_and_model(spec)
    return document | _built(spec) if isinstance(spec, BuiltSpec) else document


def _provenance(spec: Spec) -> dict[str, str]:
    return attrs.asdict(spec.provenance) if spec.provenance else {}


def _model(spec: ModelSpec) -> dict[str, Any]:
    return {
        **describe_parts(spec),
        "recipe": attrs.asdict(spec.recipe),
        "recipes": {name: attrs.asdict(recipe) for name, recipe in spec.recipes.items()},
        "recipe_settings": _recipe_settings(),
        "weights": [_weights(weights) for weights in spec.weights],
    }


def _weights_and_model(weights: WeightsSpec) -> dict[str, Any]:
    model = get_registry().entries["model"].get(weights.model)
    known = model if isinstance(model, ModelSpec) else None
    recipe = weights.recipe or (known.recipe if known else None)
    return {
        "model": weights.model,
        **(describe_parts(known) if known else {}),
        **_weights(weights),
        "dataset_license": _dataset_license(weights),
        "recipe": attrs.asdict(recipe) if recipe else None,
    }


def _built(spec: BuiltSpec) -> dict[str, Any]:
    """Describe an entry with a config: what its kind declares, its shapes and its config."""
    kind, config = KINDS[kind_of(spec)], spec.config()
    declared = {name: getattr(spec, name) for name in kind.own_fields}
    own = {n: _import_string(v) if callable(v) else v for n, v in declared.items()}
    shapes = {name: list(getattr(config, name)) for name in kind.shapes}
    return own | shapes | {"factory": _import_string(spec.factory), "config": _config(config)}


def _dataset_license(weights: WeightsSpec) -> str:
    """Return the licence of the data: as stored with the weights, else as the dataset declares."""
    stored = weights.card.get("dataset", {}).get("license")
    declared = get_registry().entries["dataset"].get(weights.dataset_name)
    return stored or (declared.license if isinstance(declared, DatasetSpec) else "not stated")


def describe_parts(spec: ModelSpec) -> dict[str, Any]:
    """Return what a model consists of and what it costs; registered or not."""
    from convae_zoo.models.plan import plan_compose
    from convae_zoo.registry.factories import config_values

    document: dict[str, Any] = {
        "value_range": list(spec.value_range),
        "encoder": {"name": spec.encoder, "config": dict(spec.encoder_config)},
        "decoder": {"name": spec.decoder, "config": dict(spec.decoder_config)},
    }
    try:
        plan = plan_compose(
            spec.encoder,
            spec.decoder,
            spec.encoder_config,
            spec.decoder_config,
            value_range=spec.value_range,
        )
    except ZooError as error:  # a part that is not installed, or no longer fits
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


def _import_string(factory: Factory) -> str:
    if isinstance(factory, str):
        return factory
    module = getattr(factory, "__module__", "?")
    return f"{module}:{getattr(factory, '__qualname__', repr(factory))}"


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


def _recipe_settings() -> dict[str, Any]:
    """Return what any recipe can set, with the settings of optimisers and augmentations."""
    from convae_zoo.registry.recipe_settings import AUGMENTATIONS, OPTIMIZERS

    return {
        "fields": {field.name: fields.help_of(field) for field in attrs.fields(Recipe)},
        "optimizers": {name: _config(kind()) for name, kind in OPTIMIZERS.items()},
        "augmentations": {name: _config(kind()) for name, kind in AUGMENTATIONS.items()},
    }


def _type_name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
