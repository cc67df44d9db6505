"""``convae-zoo plugins``."""

import warnings
from typing import Any

import click

from convae_zoo.cli.options import json_option
from convae_zoo.cli.output import print_json, print_table
from convae_zoo.errors import ZooWarning, printable
from convae_zoo.registry import Registry, get_registry
from convae_zoo.registry.discovery import Plugin
from convae_zoo.registry.kinds import KINDS


@click.command(name="plugins")
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """List the plugins, their distributions, and what each registers.

    Broken and blocked plugins are listed with the reason. The exit status is 1 if any is broken.

    \b
    Example: convae-zoo plugins
    """  # noqa: D301 - \b keeps click from wrapping
    with warnings.catch_warnings():
        if not as_json:  # the table has the reason
            warnings.filterwarnings("ignore", "plugin .* is left out", ZooWarning)
        registry = get_registry()
    plugins = [_describe(registry, plugin) for plugin in registry.plugins]
    if as_json:
        print_json({"plugins": plugins})
    else:
        head = ("name", "distribution", "version", "status", "registers or reason")
        print_table(head, [_row(plugin) for plugin in plugins], indent=0)
    if any(plugin["status"] == "broken" for plugin in plugins):
        context.exit(1)


def _describe(registry: Registry, plugin: Plugin) -> dict[str, Any]:
    registers = {
        KINDS[kind].plural: sorted(n for n, s in specs.items() if s.provenance == plugin.provenance)
        for kind, specs in registry.entries.items()
    }
    return {
        "name": plugin.name,
        "distribution": plugin.provenance.distribution,
        "version": plugin.provenance.version,
        "status": plugin.status,
        "reason": plugin.reason,
        "registers": {plural: names for plural, names in registers.items() if names},
    }


def _row(plugin: dict[str, Any]) -> list[str]:
    registers = "; ".join(f"{p} {', '.join(names)}" for p, names in plugin["registers"].items())
    return [
        *(printable(plugin[key]) for key in ("name", "distribution", "version", "status")),
        printable(plugin["reason"]) or registers or "nothing",
    ]
