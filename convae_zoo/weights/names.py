"""Registered weights found by name."""

import importlib.resources
import math
from collections.abc import Iterable
from importlib.resources.abc import Traversable

from convae_zoo.errors import UsageError, WeightsError
from convae_zoo.registry import find_model
from convae_zoo.registry.listing import more_weights
from convae_zoo.registry.specs import WeightsSpec


def find_file(name: str, *, download: bool = False) -> Traversable:
    """Find the file of registered weights: in its package, or verified in the cache.

    Raises:
        ZooError: as `load_model` does before it reads the file.
    """
    weights = registered(name)
    if weights.remote:
        from convae_zoo.weights.download.registered import find_registered  # needed by few

        return find_registered(name, weights, download=download)
    return _resource(name, weights)


def registered(name: str) -> WeightsSpec:
    """Return the spec of trained weights by their registered name.

    Raises:
        UnknownNameError: no model or tag has that name.
        UsageError: the name has no tag.
        WeightsError: nobody has trained them yet.
    """
    spec, weights = find_model(name)
    trained = [f"{spec.name}.{w.tag}" for w in spec.weights if w.trained]
    if weights is None:
        if trained:
            raise UsageError(
                f"{name!r} names a model without weights; load {' or '.join(map(repr, trained))}, "
                "or create one with fresh weights with create_model"
            )
        raise UsageError(
            f"model {name!r} has no trained weights; {_how_to_train(name)}{more_weights(spec)}"
        )
    if not weights.trained:
        raise WeightsError(f"{name!r} is not trained yet; {_how_to_train(name)}")
    return weights


def best_on(dataset: str, names: Iterable[str]) -> str | None:
    """Name the weights trained on a dataset whose card states the lowest MSE; None without any.

    Args:
        dataset: as a card names it.
        names: of registered weights, with their tags.
    """
    specs = {name: registered(name) for name in names}
    fitting = [name for name, spec in specs.items() if spec.dataset_name == dataset]
    return min(fitting, key=lambda name: specs[name].metrics.get("mse", math.inf), default=None)


def _how_to_train(name: str) -> str:
    """Return a hint with the command that trains a model or the weights of a tag."""
    out = f"runs/{name}"
    how = f"retrain {name}" if "." in name else f"train {name} --dataset photos"
    return f"train it with 'convae-zoo {how} --out {out}' and load {out!r}"


def _resource(name: str, weights: WeightsSpec) -> Traversable:
    package, _, inside = (weights.file or "").partition(":")
    try:
        return importlib.resources.files(package).joinpath(inside)
    except (ImportError, TypeError, ValueError) as error:
        raise WeightsError(
            f"the weights of {name} should be at {weights.file!r}, which leads nowhere: {error}"
        ) from error
