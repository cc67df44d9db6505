"""What trained weights declare, compared with their file."""

from typing import cast

import attrs

from convae_zoo.errors import UnknownNameError
from convae_zoo.models.plan import plan_model
from convae_zoo.registry import find_model
from convae_zoo.registry.factories import config_values
from convae_zoo.registry.specs import Recipe, WeightsSpec
from convae_zoo.testing.entry import Entry
from convae_zoo.testing.result import ConformanceFailure, Skip
from convae_zoo.weights.load import load_model, read_metadata


def weights(entry: Entry) -> None:
    """A weights file loads, with the declared sha256, model, config, dataset and recipe."""
    declared = cast("WeightsSpec", entry.spec)
    if declared.file is None:
        raise Skip("no file in a package is registered")
    try:
        spec, _ = find_model(entry.name)
    except UnknownNameError as error:
        raise Skip(str(error)) from error
    plan = plan_model(spec.name)
    model = load_model(entry.name)  # refuses a file with another sha256
    if (model.plan.encoder_config, model.plan.decoder_config, model.value_range) != (
        plan.encoder_config,
        plan.decoder_config,
        plan.value_range,
    ):
        raise ConformanceFailure(
            f"its file holds {config_values(model.plan.encoder_config)}, not the model's config"
        )
    stored = read_metadata(entry.name)
    recipe = stored["recipe"] and attrs.asdict(Recipe()) | stored["recipe"]  # new fields: defaults
    for what, there, here in (
        ("model", stored["model"].get("name"), declared.model),
        ("dataset", (stored["dataset"] or {}).get("name"), declared.dataset_name),
        ("recipe", recipe, attrs.asdict(declared.recipe or spec.recipe)),
        ("license", stored["license"], declared.license),
    ):
        if there is not None and there != here:
            raise ConformanceFailure(f"its file says {what} {there}, the registry {here}")
