"""``convae-zoo list``."""

from collections.abc import Mapping
from typing import Any, cast

import click

from convae_zoo.cli.entries import summarize
from convae_zoo.cli.options import json_option
from convae_zoo.cli.output import cell, print_json, print_table
from convae_zoo.errors import UsageError, unknown
from convae_zoo.registry import find_model, get_registry, list_models
from convae_zoo.registry.kinds import PLURALS

ORDER = ("model", "encoder", "decoder", "loss", "dataset")
KIND_OF: Mapping[str, str] = {PLURALS[kind]: kind for kind in ORDER}


@click.command(name="list")
@click.argument("kind", required=False)
@click.argument("pattern", required=False)
@click.option("--pretrained", is_flag=True, help="List trained weights by name.")
@json_option
def command(kind: str | None, pattern: str | None, *, pretrained: bool, as_json: bool) -> None:
    """List what is installed: everything, or one kind.

    KIND is models, encoders, decoders, losses or datasets. PATTERN is a name with wildcards; alone
    it is looked for in every kind.

    \b
    Example: convae-zoo list models "convae-*"
    """  # noqa: D301 - \b keeps click from wrapping
    kinds, pattern = _choose(kind, pattern)
    if pretrained and kind in KIND_OF and kind != "models":
        raise UsageError(f"only models have weights: --pretrained does not go with {kind}")
    if pretrained:
        found = {"models": [_weights(name) for name in list_models(pattern, pretrained=True)]}
    else:
        found = {PLURALS[kind]: _entries(kind, pattern) for kind in kinds}
    if as_json:
        print_json(found)
    else:
        _print(found, pattern, pretrained=pretrained)


def _choose(kind: str | None, pattern: str | None) -> tuple[list[str], str]:
    """Return the kinds to list and the pattern to look for."""
    if kind is None:
        return list(ORDER), "*"
    if kind in KIND_OF:
        return [KIND_OF[kind]], "*" if pattern is None else pattern
    if pattern is None and set(kind) & set("*?["):
        return list(ORDER), kind
    raise unknown("kind", kind, KIND_OF)


def _entries(kind: str, pattern: str) -> list[dict[str, Any]]:
    registry = get_registry()
    return [summarize(kind, registry.get(kind, name)) for name in registry.names(kind, pattern)]


def _weights(name: str) -> dict[str, Any]:
    spec, weights = find_model(name)
    return {
        **summarize("model", spec),
        "name": name,
        "summary": f"{spec.name} trained on {weights.dataset}" if weights else "",
    }


def _print(found: Mapping[str, list[dict[str, Any]]], pattern: str, *, pretrained: bool) -> None:
    shown = {plural: entries for plural, entries in found.items() if entries}
    if not shown:
        what = next(iter(found)) if len(found) == 1 else "entries"
        what = "trained weights" if pretrained else what
        click.echo(f"no {what} match {cell(pattern)!r}" if pattern != "*" else f"no {what}")
    for number, (plural, entries) in enumerate(shown.items()):
        click.echo(f"{chr(10) if number else ''}{plural} ({len(entries)})")
        trained = any(entry.get("trained") for entry in entries)
        head = ["name", "summary", *(["trained on"] if trained else []), "distribution"]
        print_table(head, [_row(entry, trained=trained) for entry in entries])


def _row(entry: Mapping[str, Any], *, trained: bool) -> list[str]:
    weights = [", ".join(cast("list[str]", entry["trained"]))] if trained else []
    return [
        entry["name"],
        cell(entry["summary"]),
        *weights,
        cell(f"{entry['distribution']} {entry['version']}"),
    ]
