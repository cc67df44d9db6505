"""``convae-zoo list``."""

import fnmatch
from collections.abc import Mapping
from typing import Any, cast

import click

from convae_zoo.cli.entries import summarize
from convae_zoo.cli.options import json_option
from convae_zoo.cli.output import print_json, print_table
from convae_zoo.errors import UsageError, unknown
from convae_zoo.registry import get_registry
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.specs import WeightsSpec

KIND_OF: Mapping[str, str] = {kind.plural: kind.name for kind in KINDS.values()}


@click.command(
    name="list",
    help=f"""List what is installed: everything, or one kind.

    KIND is one of {", ".join(KIND_OF)}. PATTERN is a name, optionally with wildcards; without KIND
    it is looked up in every kind.

    \b
    Example: convae-zoo list models "convae-*"
    """,
)
@click.argument("kind", required=False)
@click.argument("pattern", required=False)
@click.option("--pretrained", is_flag=True, help="List trained weights by name.")
@json_option
def command(kind: str | None, pattern: str | None, *, pretrained: bool, as_json: bool) -> None:
    """List what is installed."""
    kinds, pattern = _choose(kind, pattern)
    if pretrained and kind in KIND_OF and kind not in {"models", "weights"}:
        raise UsageError(f"only models have weights: --pretrained does not go with {kind}")
    if pretrained:
        found = {"models": _pretrained(pattern)}
    else:
        found = {KINDS[kind].plural: _entries(kind, pattern) for kind in kinds}
    if not any(found.values()) and kind is not None and pattern == kind:
        _refuse_unknown(kind)
    if as_json:
        print_json(found)
    else:
        _print(found, pattern, pretrained=pretrained)


def _choose(kind: str | None, pattern: str | None) -> tuple[list[str], str]:
    """Return the kinds to list and the pattern to look for."""
    if kind is None:
        return list(KINDS), "*"
    if kind in KIND_OF:
        return [KIND_OF[kind]], "*" if pattern is None else pattern
    if pattern is None:
        return list(KINDS), kind
    raise unknown("kind", kind, KIND_OF)


def _refuse_unknown(name: str) -> None:
    """Refuse a single word that is neither a kind nor a name; a pattern may have no match.

    Raises:
        UnknownNameError: always, for a word without wildcards.
    """
    if set(name) & set("*?["):
        return
    registry = get_registry()
    names = {known for specs in registry.entries.values() for known in specs}
    if name in names:
        return  # the entry exists but has no trained weights
    raise registry.unknown("kind or name", name, {*KIND_OF, *names})


def _entries(kind: str, pattern: str) -> list[dict[str, Any]]:
    registry = get_registry()
    return [summarize(registry.get(kind, name)) for name in registry.names(kind, pattern)]


def _pretrained(pattern: str) -> list[dict[str, Any]]:
    """List trained weights whose own or model's name matches; the model may be missing."""
    registry = get_registry()
    entries = cast("Mapping[str, WeightsSpec]", registry.entries["weights"])
    return [
        {**summarize(spec), "kind": "model", "trained": [spec.tag]}
        for _, spec in sorted(entries.items())
        if spec.trained and fnmatch.filter([spec.name, spec.model], pattern)
    ]


def _print(found: Mapping[str, list[dict[str, Any]]], pattern: str, *, pretrained: bool) -> None:
    matched = {plural: entries for plural, entries in found.items() if entries}
    if not matched:
        what = next(iter(found)) if len(found) == 1 else "entries"
        what = "trained weights" if pretrained else what
        click.echo(f"no {what} match {pattern!r}" if pattern != "*" else f"no {what}")
    for number, (plural, entries) in enumerate(matched.items()):
        click.echo(f"{chr(10) if number else ''}{plural} ({len(entries)})")
        print_table(*_table(entries))


def _table(entries: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Arrange entries in columns: a head and rows; empty columns are left out."""
    lists = any(isinstance(entry.get("trained"), list) for entry in entries)
    columns = {
        "name": [entry["name"] for entry in entries],
        "summary": [entry["summary"] for entry in entries],
        "trained on" if lists else "trained": [_trained(e.get("trained", [])) for e in entries],
        "distribution": [f"{entry['distribution']} {entry['version']}" for entry in entries],
        "problem": [entry.get("problem", "") for entry in entries],
    }
    used = {name: texts for name, texts in columns.items() if any(texts)}
    return list(used), [list(row) for row in zip(*used.values(), strict=True)]


def _trained(trained: bool | list[str]) -> str:
    """Format whether weights are trained, or the tags of a model's trained weights."""
    if isinstance(trained, bool):
        return "yes" if trained else "no"
    return ", ".join(trained)
