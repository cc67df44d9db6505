"""What a run that is resumed must agree on with the run that is there."""

from collections.abc import Mapping
from typing import Any

import attrs

from convae_zoo.data import ImageSet
from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.registry.specs import Recipe

MAY_CHANGE = {"epochs"}
"""The settings that a resumed run may change: training longer leaves what was trained as it is."""


def resumed_recipe(
    record: Mapping[str, Any],
    recipe: Recipe,
    given: Mapping[str, Any],
    model: Mapping[str, Any],
    train_set: ImageSet,
) -> Recipe:
    """Return the recipe of the run in a folder, after checking that it is the one asked for.

    Args:
        record: the folder's ``run.json``.
        recipe: what is asked for now.
        given: the settings among them that the user gave; the others may differ.
        model: the plan of the model asked for.
        train_set: the images to train on now.

    Raises:
        UsageError: a setting, the model or the dataset differs; both values are shown.
        TrainingError: the record lacks what it must hold.
    """
    try:
        stored = Recipe(**record["recipe"])
        stored_model, stored_data = record["model"], record["dataset"]
        precision, fingerprint = record["precision"], stored_data["fingerprint"]
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"run.json is damaged: {error!r}; train anew with --overwrite"
        ) from error
    if stored_model != model:
        _refuse("model", _model_text(stored_model), _model_text(model))
    if fingerprint != train_set.fingerprint:
        now = f"{train_set.name} ({train_set.fingerprint[:12]})"
        _refuse("dataset", f"{stored_data['name']} ({fingerprint[:12]})", now)
    for name, value in given.items():
        before = precision if name == "precision" else getattr(stored, name)
        if value not in {None, "auto", before} and name not in MAY_CHANGE:
            _refuse(name, before, value)
    epochs = stored.epochs if given.get("epochs") is None else recipe.epochs
    if stored.schedule != "constant" and epochs != stored.epochs:
        _refuse("epochs", f"{stored.epochs} along a {stored.schedule} schedule", epochs)
    return attrs.evolve(stored, epochs=epochs, precision=precision)


def _refuse(what: str, before: object, now: object) -> None:
    raise UsageError(
        f"the run was started with {what} {before} but is resumed with {now}; "
        "give it its own, or another --out"
    )


def _model_text(model: Mapping[str, Any]) -> str:
    config = model["encoder"]["config"]
    changed = ", ".join(f"{k}={v}" for k, v in config.items())
    name = model["name"] or f"{model['encoder']['name']}+{model['decoder']['name']}"
    return f"{name} ({changed})"
