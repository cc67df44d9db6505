"""What a model's trained weights declare, compared with the files."""

import attrs

from convae_zoo.registry.factories import config_values
from convae_zoo.registry.specs import ModelSpec, WeightsSpec
from convae_zoo.testing.entry import Case, Entry
from convae_zoo.testing.result import ConformanceFailure, Skip
from convae_zoo.weights.load import load_model, read_metadata


def weights(entry: Entry) -> None:
    """Each weights file has the declared sha256, config, data set and recipe, and loads."""
    declared = entry.spec.weights if isinstance(entry.spec, ModelSpec) else ()
    files = [w for w in declared if w.file is not None]
    if not files:
        raise Skip("no weights file is registered")
    for w in files:
        _check_weights(Case(entry), w)


def _check_weights(case: Case, declared: WeightsSpec) -> None:
    name = f"{case.entry.name}.{declared.tag}"
    model = load_model(name)  # refuses a file with another sha256
    if (model.plan.encoder_config, model.plan.decoder_config, model.value_range) != (
        case.config.encoder_config,
        case.config.decoder_config,
        case.config.value_range,
    ):
        raise ConformanceFailure(
            f"{name} holds {config_values(model.plan.encoder_config)}, not the model's config"
        )
    stored = read_metadata(name)
    recipe = declared.recipe or case.entry.spec.recipe  # type: ignore[union-attr]  # of a model
    for what, there, here in (
        ("dataset", (stored["dataset"] or {}).get("name"), declared.dataset),
        ("recipe", stored["recipe"], attrs.asdict(recipe)),
        ("license", stored["license"], declared.license),
    ):
        if there is not None and there != here:
            raise ConformanceFailure(f"{name}: the file says {what} {there}, the registry {here}")
