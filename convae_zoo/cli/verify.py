"""``convae-zoo verify``."""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs
import click

from convae_zoo.cli.options import json_option
from convae_zoo.cli.output import print_json, print_table
from convae_zoo.errors import UnknownNameError, printable, unknown
from convae_zoo.registry import get_registry
from convae_zoo.registry.discovery import Plugin

if TYPE_CHECKING:
    from convae_zoo.testing import Entry, Result

STATUSES = ("passed", "skipped", "failed")


@click.command(name="verify")
@click.argument("name", required=False)
@click.option("--plugin", metavar="NAME", help="Verify the entries of one plugin.")
@click.option(
    "--property", "properties", multiple=True, metavar="NAME", help="Check only this; repeatable."
)
@click.option(
    "--examples",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Configs and batches to generate per property.",
)
@click.option(
    "--backend",
    default="aot_eager",
    show_default=True,
    help="Backend of torch.compile: aot_eager, or inductor, which also compiles kernels.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str | None,
    plugin: str | None,
    properties: tuple[str, ...],
    examples: int,
    backend: str,
    *,
    as_json: bool,
) -> None:
    """Check entries against the zoo's contract: all of them, one plugin's, or NAME.

    NAME is an entry of any kind, or KIND:NAME. The exit status is 1 if an entry fails a property or
    a plugin is broken; each failure is one line that names the plugin.

    \b
    Example: convae-zoo verify convae-200
    """  # noqa: D301 - \b keeps click from wrapping
    broken = _broken(name, plugin)
    from convae_zoo.testing import check, entries

    chosen = entries(name, plugin=plugin, examples=examples, backend=backend)
    if not chosen and not broken:
        raise _unknown(name, plugin)
    results: list[Result] = []
    with _status_line(enabled=not as_json and sys.stderr.isatty()) as show:
        for entry in chosen:
            show(f"verifying {entry}")
            results += check(entry, properties)
    if as_json:
        print_json(
            {
                "results": [attrs.asdict(r) for r in results],
                "broken": [attrs.asdict(p.provenance) | {"reason": p.reason} for p in broken],
            }
        )
    else:
        _print(chosen, results, broken)
    if broken or any(r.status == "failed" for r in results):
        context.exit(1)


@contextlib.contextmanager
def _status_line(*, enabled: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that replaces the status line on stderr."""

    def show(line: str) -> None:
        if enabled:
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    yield show
    show("")


def _broken(name: str | None, plugin: str | None) -> list[Plugin]:
    """List the broken plugins among those to verify."""
    return [
        p
        for p in get_registry().plugins
        if p.status == "broken" and name is None and plugin in {None, p.name}
    ]


def _unknown(name: str | None, plugin: str | None) -> UnknownNameError:
    registry = get_registry()
    known = [n for specs in registry.entries.values() for n in specs]
    if plugin is not None:
        plugins = [p.name for p in registry.plugins]
        if plugin not in plugins or name is None:
            return unknown("plugin", plugin, plugins)
        known = [
            n
            for specs in registry.entries.values()
            for n, s in specs.items()
            if s.provenance is not None and s.provenance.plugin == plugin
        ]
    return registry.unknown("name", name or "", known)


def _print(
    chosen: Sequence["Entry"], results: Sequence["Result"], broken: Sequence[Plugin]
) -> None:
    rows = []
    for entry in chosen:
        own = [r for r in results if (r.kind, r.name) == (entry.kind, entry.name)]
        counts = Counter(r.status for r in own)
        source = entry.provenance
        rows.append(
            [
                entry.name,
                entry.kind,
                printable(f"{source.distribution} {source.version}"),
                *(str(counts[status] or "") for status in STATUSES),
                f"{sum(r.seconds for r in own):.1f}",
            ]
        )
    print_table(("name", "kind", "distribution", *STATUSES, "seconds"), rows, indent=0)
    skipped: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for r in results:
        if r.status == "skipped":
            properties, names = skipped.setdefault(r.detail, ({}, {}))
            properties[r.property] = names[f"{r.kind}:{r.name}"] = None
    for reason, (properties, names) in skipped.items():
        click.echo(f"skipped {', '.join(properties)} of {', '.join(names)}: {printable(reason)}")
    for plugin in broken:
        click.echo(f"FAILED plugin {plugin.name!r} is broken: {printable(plugin.reason)}")
    for r in results:
        if r.status == "failed":
            click.echo(f"FAILED {printable(r.detail)}")
