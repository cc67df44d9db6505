"""``convae-zoo show``."""

from collections.abc import Mapping
from typing import Any, cast

import click

from convae_zoo.cli.entries import describe
from convae_zoo.cli.options import device_option, json_option
from convae_zoo.cli.output import print_fields, print_json, print_line, print_table
from convae_zoo.cli.stored import describe_file
from convae_zoo.errors import UsageError, printable
from convae_zoo.files import is_path
from convae_zoo.registry import find_model, get_registry
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.specs import shape_text


@click.command(
    name="show",
    help=f"""Show an entry: its origin, shapes, config, recipe and weights.

    NAME is the name of any entry ({", ".join(KINDS)}; weights as MODEL.TAG), a run folder, or the
    .safetensors file of a model or a detector. If entries of several kinds have the name, all are
    shown. FLOPs are those of one forward pass per image, with a multiply-add counted as two. The
    compression ratio is the number of pixel values of an image per float of its latent.

    \b
    Example: convae-zoo show convae-200
    """,
)
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Show the entry of that kind only.")
@click.option("--measure", is_flag=True, help="Measure a model's speed on this machine.")
@device_option
@json_option
def command(name: str, kind: str | None, *, measure: bool, device: str, as_json: bool) -> None:
    """Show an entry, a weights file or a run folder."""
    entries = _find(name, kind)
    if measure:
        models = [entry for entry in entries if entry["kind"] in {"model", "weights"}]
        if not models:
            raise UsageError(f"--measure is for models; {name!r} is not a model")
        for entry in models:
            entry.update(_measure(entry, device))
    if as_json:
        print_json({"entries": entries})
        return
    for number, entry in enumerate(entries):
        if number:
            click.echo()
        _print(entry)


def _measure(entry: Mapping[str, Any], device: str) -> dict[str, Any]:
    from convae_zoo.evaluation.cost import count_parameters, image_flops, measure_speed
    from convae_zoo.models.create import create_model
    from convae_zoo.weights import load_model

    name = entry["name"]
    built = load_model(name) if is_path(name) else create_model(entry.get("model", name))
    return {
        "parameters": count_parameters(built),
        "flops": image_flops(built),
        "speed": measure_speed(built, device),
    }


def _find(name: str, kind: str | None) -> list[dict[str, Any]]:
    registry = get_registry()
    trained = kind in {None, "model", "weights"}
    if trained and is_path(name) and not any(name in known for known in registry.entries.values()):
        return [describe_file(name)]
    if trained and "." in name:
        weights = registry.entries["weights"].get(name) or find_model(name)[1]
        return [describe(weights)] if weights else []
    if kind is not None:
        return [describe(registry.get(kind, name))]
    found = [describe(specs[name]) for specs in registry.entries.values() if name in specs]
    if not found:
        names = {known for specs in registry.entries.values() for known in specs}
        raise registry.unknown("name", name, names)
    return found


def _print(entry: Mapping[str, Any]) -> None:
    print_line(f"{entry['name']}  {entry['kind']}")
    print_fields([(label, printable(value)) for label, value in _rows(entry)])
    if entry["kind"] == "weights" and "pca_mse" in entry["metrics"]:
        _print_quality(entry)
    for role in ("encoder", "decoder", "score"):
        if isinstance(entry.get(role), Mapping):
            part = entry[role]
            origin = f"  ({part['distribution']} {part['version']})" if "version" in part else ""
            print_line(f"{role} {part['name']}{origin}")
            print_fields([(name, _value(value)) for name, value in part["config"].items()])
    if entry.get("recipe"):
        click.echo("recipe")
        print_fields([(name, _value(value)) for name, value in entry["recipe"].items()])
    for title, recipe in entry.get("recipes", {}).items():
        changes = [(k, _value(v)) for k, v in recipe.items() if v != entry["recipe"][k]]
        print_line(f"recipe {title}, where it differs")
        print_fields(changes)
    if "recipe_settings" in entry:
        _print_settings(entry["recipe_settings"])
    if entry.get("weights"):
        click.echo("weights")
        rows = [_weights(f"{entry['name']}.{w['tag']}", w) for w in entry["weights"]]
        print_table(("name", "dataset", "trained", "license", "metrics"), rows)
    if isinstance(entry.get("config"), list) and entry["config"]:
        click.echo("config")
        rows = [
            [f["name"], printable(f["type"]), _value(f["default"]), printable(f["accepts"])]
            for f in entry["config"]
        ]
        print_table(("field", "type", "default", "accepts"), rows)


def _print_settings(settings: Mapping[str, Any]) -> None:
    """Print what a recipe can set."""
    click.echo("what a recipe can set, with --NAME or in Recipe(...)")
    print_fields(list(settings["fields"].items()))
    for kind in ("optimizers", "augmentations"):
        click.echo(f"{kind}, with their settings")
        print_fields(
            [
                (name, ", ".join(f"{f['name']}={_setting(f['default'])}" for f in config) or "none")
                for name, config in settings[kind].items()
            ]
        )


def _setting(value: Any) -> str:
    """Format a default as an expression has it: a range is LOW:HIGH."""
    return ":".join(map(_value, value)) if isinstance(value, tuple) else _value(value)


def _rows(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return labels and values for printing; a missing value is empty and is not printed."""
    value_range, source = entry.get("value_range"), entry.get("distribution")
    in_range = f" in [{value_range[0]:g}, {value_range[1]:g}]" if value_range else ""
    return [
        ("summary", entry["summary"]),
        ("distribution", f"{entry['distribution']} {entry['version']}" if source else ""),
        ("plugin", entry.get("plugin", "")),
        ("problem", entry.get("problem", "")),
        ("images", _shape(entry, "image_shape") + in_range),
        *_detector(entry),
        ("input", _shape(entry, "input_shape")),
        ("latent", _shape(entry, "latent_shape") + _ratio(entry)),
        ("output", _shape(entry, "output_shape")),
        ("parameters", _count(entry.get("parameters"))),
        ("FLOPs", _count(entry.get("flops"))),
        ("speed", _speed(entry.get("speed"))),
        ("model", entry.get("model", "")),
        ("dataset", entry.get("dataset") or ""),
        ("data licence", entry.get("dataset_license") or ""),
        ("trained", _value(entry["trained"]) if entry["kind"] == "weights" else ""),
        ("train it", "" if entry.get("trained", True) else _how_to_train(entry["name"])),
        ("file", entry.get("file") or ""),
        ("hub", entry.get("hub") or ""),
        ("revision", entry.get("revision") or ""),
        ("url", entry.get("url") or ""),
        ("sha256", entry.get("sha256") or ""),
        ("storage", _storage(entry.get("card", {}).get("storage"))),
        ("training", _training(entry.get("card", {}).get("training"))),
        ("metrics", "" if "pca_mse" in entry.get("metrics", {}) else _metrics(entry)),
        ("license", (entry.get("license") or "") if entry["kind"] == "weights" else ""),
        *_declared(entry),
        ("factory", entry.get("factory", "")),
    ]


def _detector(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a detector takes and where it draws the line."""
    if entry["kind"] != "detector":
        return []
    size = entry["picture_size"]
    taken = f"{shape_text(tuple(size))}, whole" if size else "any size from a tile's, by tiles"
    return [
        ("pictures", f"{taken}, channels {entry['channels']}"),
        ("alarm rate", f"{entry['alarm_rate']:g}, from {entry['held_out']:,} held-out images"),
        ("threshold", f"{entry['threshold']:.4g}"),
    ]


def _declared(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what an entry's spec declares besides its config, such as a loss's minimum."""
    kind = KINDS.get(entry["kind"])  # None for a detector's file
    names = kind.own_fields if kind is not None and kind.built else []
    return [(name.replace("_", " "), _value(entry[name])) for name in names]


def _ratio(entry: Mapping[str, Any]) -> str:
    ratio = entry.get("compression_ratio")
    if ratio is None:
        return ""
    return f", {entry['latent_floats']:,} floats, {ratio:.2f} pixel values per float"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _speed(speed: Mapping[str, Any] | None) -> str:
    if speed is None:
        return ""
    return (
        f"{speed['images_per_second']:,.0f} images/s encoded and decoded, in batches of "
        f"{speed['batch_size']}, {speed['device']}"
    )


def _how_to_train(name: str) -> str:
    return f"convae-zoo retrain {name} --out runs/{name}"


def _storage(storage: Mapping[str, Any] | None) -> str:
    if not storage:
        return ""
    cost = f"; costs {storage['cost']:.4%} of the mse" if "cost" in storage else ""
    return f"{storage['dtype']}, {storage['bytes'] / 2**20:.2f} MiB{cost}"


def _training(training: Mapping[str, Any] | None) -> str:
    if not training:
        return ""
    flops = f"; {training['flops']:.3g} FLOPs" if "flops" in training else ""
    command = f"; by {training['command']}" if "command" in training else ""
    return f"{training['seconds']:,.0f} s, {training['device']}{flops}{command}"


def _print_quality(entry: Mapping[str, Any]) -> None:
    """Print a table of a model's metrics and those of PCA."""
    metrics = entry["metrics"]
    ratio = metrics.get("ratio_to_pca")
    rows = [
        (label, *_figures(metrics, prefix), compared)
        for label, prefix, compared in (
            (entry["name"], "", "" if ratio is None else f"{ratio:.3f}"),
            (f"PCA-{entry.get('latent_floats', '')}", "pca_", "1.000"),
        )
    ]
    click.echo(f"quality on {metrics.get('images', 0):,} images not used for training")
    print_table(("", "mse in [0, 1]", "psnr", "ssim", "mse / pca's"), rows)


def _figures(metrics: Mapping[str, Any], prefix: str) -> tuple[str, str, str]:
    mse, psnr, ssim = (metrics.get(f"{prefix}{name}") for name in ("mse", "psnr", "ssim"))
    return (
        "-" if mse is None else f"{mse:.6f}",
        "-" if psnr is None else f"{psnr:.2f} dB",
        "-" if ssim is None else f"{ssim:.4f}",
    )


def _weights(name: str, weights: Mapping[str, Any]) -> list[str]:
    trained = _value(weights["trained"])
    return [
        name,
        printable(weights["dataset"]),
        trained,
        printable(weights["license"]),
        _metrics(weights),
    ]


_SHORT = ("mse", "psnr", "ssim", "ratio_to_pca")
"""The metrics that are shown if there are many."""


def _metrics(entry: Mapping[str, Any]) -> str:
    metrics = cast("Mapping[str, Any]", entry.get("metrics") or {})
    if "pca_mse" in metrics:
        metrics = {name: metrics[name] for name in _SHORT if name in metrics}
    return ", ".join(f"{name} {_value(value)}" for name, value in metrics.items())


def _shape(entry: Mapping[str, Any], name: str) -> str:
    return shape_text(tuple(entry.get(name, ())))


def _value(value: Any) -> str:
    """Format a config value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(_value(v) for v in value)
    return "none" if value is None else printable(str(value))
