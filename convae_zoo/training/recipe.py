"""The recipe of a run: the model's, or another one, with changes."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs
from torch import nn

from convae_zoo.data.augment import Augmentation
from convae_zoo.data.corrupt import Corruption
from convae_zoo.errors import ConfigError, UsageError, unknown
from convae_zoo.models.plan import Plan
from convae_zoo.registry import find_model, get_registry
from convae_zoo.registry.specs import ModelSpec, Recipe
from convae_zoo.training.optimizers import optimizer_config


def choose_recipe(
    plan: Plan, recipe: Recipe | str | None, changes: Mapping[str, Any], options: Iterable[str]
) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe of a run, and the settings in it that the user gave.

    Args:
        plan: of the model, whose recipe is the default.
        recipe: another recipe; or the name of one of the model's recipes, or of a model or of
            registered weights, for theirs.
        changes: values of the recipe's fields; None means not given.
        options: names that the caller takes beside the fields, to suggest for a misspelt one.

    Raises:
        UnknownNameError: a change of an unknown field, or an unknown name.
        ConfigError: a value of the wrong type or out of range.
    """
    fields = [field.name for field in attrs.fields(Recipe)]
    for name in changes:
        if name not in fields:
            raise unknown("training setting", name, [*fields, *options])
    given = {name: value for name, value in changes.items() if value is not None}
    if isinstance(given.get("loss"), nn.Module):
        given["loss"] = class_name(given["loss"])
    spec = cast("ModelSpec | None", get_registry().entries["model"].get(plan.name or ""))
    if recipe is None:
        base = Recipe() if spec is None else spec.recipe
    else:
        base = _find_recipe(recipe, spec)
        given = {**attrs.asdict(base), **given}
    try:
        chosen = attrs.evolve(base, **given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"training: {error}") from error
    optimizer_config(chosen.optimizer)  # both are refused before any data is loaded
    Augmentation.parse(chosen.augment)
    return chosen, {name: getattr(chosen, name) for name in given}


def create_training_corruption(recipe: Recipe, plan: Plan) -> Corruption | None:
    """Build a recipe's corruption for a model; None if it has none.

    Raises:
        UnknownNameError: no such corruption or field.
        ConfigError: a value that is not allowed, or the model takes the noise's standard deviation
            and the corruption does not state it.
    """
    if not recipe.corruption:
        return None
    corruption = Corruption(recipe.corruption)
    if plan.takes_sigma and not corruption.states_sigma:
        raise ConfigError(
            f"model {plan.label!r} takes the noise's standard deviation, which corruption "
            f"{recipe.corruption!r} does not state; add one that does, such as gaussian"
        )
    return corruption


def class_name(loss: nn.Module) -> str:
    """Return what a recipe has in place of a loss that is not registered: ``module:Class``."""
    return f"{type(loss).__module__}:{type(loss).__qualname__}"


def check_loss_module(recipe: Recipe, loss: object) -> None:
    """Check that a recipe whose loss is not registered comes with it.

    Raises:
        UsageError: the run that is resumed was trained with a module, and none was given.
    """
    is_class = ":" in recipe.loss and "(" not in recipe.loss
    if is_class and not isinstance(loss, nn.Module):
        raise UsageError(
            f"the run was trained with a loss of the class {recipe.loss}, which only Python can "
            "give it: pass such a module, train(loss=...)"
        )


def _find_recipe(recipe: Recipe | str, spec: ModelSpec | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise UsageError(f"recipe must be a Recipe or the name of one, got {recipe!r:.80}")
    own = {} if spec is None else spec.recipes
    if recipe in own:
        return own[recipe]
    if recipe.partition(".")[0] not in (models := get_registry().entries["model"]):
        raise unknown("recipe", recipe, [*own, *models])
    other, weights = find_model(recipe)
    return weights.recipe if weights is not None and weights.recipe else other.recipe
