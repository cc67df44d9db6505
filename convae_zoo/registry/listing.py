"""Listing entries and finding them by name."""

import fnmatch
from collections.abc import Mapping
from typing import Protocol, cast

from convae_zoo.errors import UnknownNameError, UsageError
from convae_zoo.registry.distributions import normal_name
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.registry import get_registry
from convae_zoo.registry.specs import ModelSpec, WeightsSpec


class ListFunction(Protocol):
    """A function that lists the entries of one kind, such as `list_encoders`."""

    def __call__(self, pattern: str = "*") -> list[str]:
        """List the names that match a wildcard pattern, sorted."""


def list_function(name: str) -> ListFunction | None:
    """Create the function of that name, such as ``list_losses``; None if no kind has it."""
    kind = next((kind for kind in KINDS.values() if kind.list_function == name), None)
    if kind is None:
        return None
    key = kind.name

    def list_entries(pattern: str = "*") -> list[str]:
        return get_registry().names(key, pattern)

    list_entries.__name__ = list_entries.__qualname__ = name
    list_entries.__doc__ = f"List the {kind.plural} whose name matches a wildcard pattern."
    return list_entries


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """List the models whose name matches a wildcard pattern.

    With `pretrained`, list the names of their trained weights instead, such as
    ``convae-200.photos``, including those whose file must first be downloaded, as ``convae-zoo
    pull`` does. The pattern may match the whole name or just the model's.
    """
    registry = get_registry()
    if not pretrained:
        return registry.names("model", pattern)
    models = cast("Mapping[str, ModelSpec]", registry.entries["model"])
    return sorted(
        weights.name
        for spec in models.values()
        for weights in spec.weights
        if weights.trained and fnmatch.filter([spec.name, weights.name], pattern)
    )


def model_info(name: str) -> ModelSpec:
    """Return the spec of a model, by its name with or without a weights tag.

    Raises:
        UnknownNameError: no such model, or the model has no such weights.
    """
    return find_model(name)[0]


def check_name(name: object) -> None:
    """Refuse a model's name that is not a string.

    Raises:
        UsageError: it is not a string.
    """
    if not isinstance(name, str):
        raise UsageError(f"a model must be named by a string, got {name!r:.80}")


def find_model(name: str) -> tuple[ModelSpec, WeightsSpec | None]:
    """Return the model that a name refers to, and the weights if the name has a tag.

    Raises:
        UnknownNameError: no such model, or the model has no such weights; the message names the
            distribution to install, if it is known.
    """
    check_name(name)
    base, dot, tag = name.partition(".")
    registry = get_registry()
    orphans = cast("WeightsSpec | None", registry.entries["weights"].get(name))
    if orphans is not None and (problem := why_unusable(orphans)):
        raise UnknownNameError(problem)
    spec = cast("ModelSpec", registry.get("model", base))
    if not dot:
        return spec, None
    weights = spec.tag(tag)
    if weights is None:
        error = registry.unknown(f"weights of model {base!r}:", tag, [w.tag for w in spec.weights])
        raise UnknownNameError(f"{error}{more_weights(spec)}")
    return spec, weights


def why_unusable(weights: WeightsSpec) -> str:
    """Explain that the model of registered weights is not installed; empty if it is."""
    registry = get_registry()
    if weights.model in registry.entries["model"]:
        return ""
    source = weights.provenance
    what = weights.model_distribution
    how = f"pip install {what}" if what else "install the distribution that registers it"
    return (
        f"weights {weights.name!r}{f' of {source.distribution}' if source else ''} are for model "
        f"{weights.model!r}, which is not installed; {how}{registry.broken_note()}"
    )


def more_weights(spec: ModelSpec) -> str:
    """Name the distribution with more weights of a model, as the end of an error message.

    Empty if the model declares none, or if one of its plugins is installed.
    """
    distribution = spec.weights_distribution
    installed = {normal_name(p.provenance.distribution) for p in get_registry().plugins}
    if not distribution or normal_name(distribution) in installed:
        return ""
    return f" (more trained weights of {spec.name!r}: pip install {distribution})"
