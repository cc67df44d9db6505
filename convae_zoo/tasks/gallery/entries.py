"""What the registry knows of models and plugins, for the gallery; imports no torch."""

from typing import cast

from convae_zoo.errors import ZooError
from convae_zoo.models.plan import plan_model
from convae_zoo.registry import get_registry
from convae_zoo.registry.discovery import Plugin
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.specs import ModelSpec, Spec, shape_text
from convae_zoo.visuals.gallery.content import ModelCard, PluginRow


def model_cards() -> list[ModelCard]:
    """Return a card for each registered model; those with trained weights come first."""
    specs = cast("dict[str, ModelSpec]", get_registry().entries["model"])
    cards = [_card(spec) for _, spec in sorted(specs.items())]
    return sorted(cards, key=lambda card: not card.weights)


def plugin_rows() -> list[PluginRow]:
    """Return a row for each installed plugin, broken ones with the reason."""
    return [
        PluginRow(
            name=plugin.name,
            distribution=plugin.provenance.distribution,
            version=plugin.provenance.version,
            status=plugin.status,
            registers=plugin.reason or _registers(plugin),
        )
        for plugin in get_registry().plugins
    ]


def _card(spec: ModelSpec) -> ModelCard:
    try:
        plan = plan_model(spec.name)
        image, latent = shape_text(plan.image_shape), shape_text(plan.latent_shape)
    except ZooError:  # its parts are not installed
        image = latent = "?"
    return ModelCard(
        name=spec.name,
        summary=spec.summary,
        parts=f"{spec.encoder} + {spec.decoder}",
        image=image,
        latent=latent,
        parameters=spec.parameters,
        flops=spec.flops,
        weights=tuple(weights.name for weights in spec.weights if weights.trained),
        distribution=_source(spec),
    )


def _source(spec: Spec) -> str:
    source = spec.provenance
    return f"{source.distribution} {source.version}" if source else ""


def _registers(plugin: Plugin) -> str:
    """Name what a plugin registers: ``3 losses: l1, mse, ssim; …``."""
    found = []
    for kind in KINDS.values():
        entries = get_registry().entries[kind.name]
        names = sorted(
            name for name, spec in entries.items() if spec.provenance == plugin.provenance
        )
        if names:
            what = kind.name if len(names) == 1 else kind.plural
            found.append(f"{len(names)} {what}: {', '.join(names)}")
    return "; ".join(found)
