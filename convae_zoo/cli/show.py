"""``convae-zoo show``."""

from collections.abc import Mapping
from typing import Any, cast

import click

from convae_zoo.build import shape_text
from convae_zoo.cli.entries import describe, describe_weights
from convae_zoo.cli.options import json_option
from convae_zoo.cli.output import cell, print_fields, print_json, print_table
from convae_zoo.registry import KINDS, find_model, get_registry


@click.command(name="show")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Show the entry of that kind only.")
@json_option
def command(name: str, kind: str | None, *, as_json: bool) -> None:
    """Show an entry: where it comes from, its shapes, config, recipe and weights.

    NAME is a model, weights as in MODEL.TAG, an encoder, decoder, loss or dataset. Where entries of
    several kinds have the name, all are shown.

    \b
    Example: convae-zoo show convae-200
    """  # noqa: D301 - \b keeps click from wrapping
    entries = _find(name, kind)
    if as_json:
        print_json({"entries": entries})
        return
    for number, entry in enumerate(entries):
        if number:
            click.echo()
        _print(entry)


def _find(name: str, kind: str | None) -> list[dict[str, Any]]:
    if "." in name and kind in {None, "model"}:
        spec, weights = find_model(name)
        return [describe_weights(spec, weights)] if weights else []
    registry = get_registry()
    if kind is not None:
        return [describe(kind, registry.get(kind, name))]
    found = [describe(k, specs[name]) for k, specs in registry.entries.items() if name in specs]
    if not found:
        names = {known for specs in registry.entries.values() for known in specs}
        raise registry.unknown("name", name, names)
    return found


def _print(entry: Mapping[str, Any]) -> None:
    click.echo(f"{entry['name']}  {entry['kind']}")
    print_fields([(label, cell(value)) for label, value in _rows(entry)])
    for role in ("encoder", "decoder"):
        if role in entry:
            part = entry[role]
            where = f"  ({part['distribution']} {part['version']})" if "version" in part else ""
            click.echo(f"{role} {part['name']}{where}")
            print_fields([(name, _value(value)) for name, value in part["config"].items()])
    if entry.get("recipe"):
        click.echo("recipe")
        print_fields([(name, _value(value)) for name, value in entry["recipe"].items()])
    if entry.get("weights"):
        click.echo("weights")
        rows = [_weights(f"{entry['name']}.{w['tag']}", w) for w in entry["weights"]]
        print_table(("name", "dataset", "trained", "license", "metrics"), rows)
    if isinstance(entry.get("config"), list) and entry["config"]:
        click.echo("config")
        rows = [
            [f["name"], cell(f["type"]), _value(f["default"]), cell(f["accepts"])]
            for f in entry["config"]
        ]
        print_table(("field", "type", "default", "accepts"), rows)


def _rows(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what an entry's own keys hold, for people; what it lacks is empty and not printed."""
    value_range = entry.get("value_range")
    in_range = f" in [{value_range[0]:g}, {value_range[1]:g}]" if value_range else ""
    return [
        ("summary", entry["summary"]),
        ("distribution", f"{entry['distribution']} {entry['version']}"),
        ("plugin", entry["plugin"]),
        ("problem", entry.get("problem", "")),
        ("images", _shape(entry, "image_shape") + in_range),
        ("takes", _shape(entry, "input_shape")),
        ("latent", _shape(entry, "latent_shape")),
        ("gives", _shape(entry, "output_shape")),
        ("model", entry.get("model", "")),
        ("dataset", entry.get("dataset", "")),
        ("trained", _value(entry["trained"]) if entry["kind"] == "weights" else ""),
        ("file", entry.get("file") or ""),
        ("hub", entry.get("hub") or ""),
        ("revision", entry.get("revision") or ""),
        ("url", entry.get("url") or ""),
        ("sha256", entry.get("sha256") or ""),
        ("metrics", _metrics(entry)),
        ("splits", ", ".join(entry.get("splits", ()))),
        ("license", entry.get("license", "")),
        ("source", entry.get("source", "")),
        ("factory", entry.get("factory", "")),
    ]


def _weights(name: str, weights: Mapping[str, Any]) -> list[str]:
    trained = _value(weights["trained"])
    return [name, cell(weights["dataset"]), trained, cell(weights["license"]), _metrics(weights)]


def _metrics(entry: Mapping[str, Any]) -> str:
    metrics = cast("Mapping[str, Any]", entry.get("metrics") or {})
    return ", ".join(f"{name} {_value(value)}" for name, value in metrics.items())


def _shape(entry: Mapping[str, Any], name: str) -> str:
    return shape_text(tuple(entry.get(name, ())))


def _value(value: Any) -> str:
    """Write a config value as a person would."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(_value(v) for v in value)
    return "none" if value is None else cell(str(value))
