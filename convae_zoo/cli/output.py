"""Printing for people and for programs.

Tables are plain text: importing rich would make ``list`` take half as long again.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TextIO

import click

from convae_zoo.errors import escaped, printable

_DOCUMENTS: ContextVar[TextIO | None] = ContextVar("documents", default=None)
"""The stream that documents are printed to; None for the current stdout."""


@contextlib.contextmanager
def only_documents_on_stdout() -> Iterator[None]:
    """Redirect stdout to stderr, except for `print_json`: plugins and libraries may print."""
    token = _DOCUMENTS.set(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _DOCUMENTS.reset(token)


def print_json(document: Any) -> None:
    """Print one JSON document, in ASCII, which every terminal's encoding can represent."""
    import json  # not needed for the tables

    click.echo(json.dumps(document, indent=2, default=str), file=_DOCUMENTS.get())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 2) -> None:
    """Print rows below a head, in aligned columns."""
    lines = [[h.upper() for h in head], *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo(" " * indent + "  ".join(cells).rstrip())


def print_line(text: str, *, err: bool = False) -> None:
    """Print one line with control characters escaped: names come from files and plugins."""
    click.echo(escaped(text), err=err)


def print_fields(rows: Sequence[tuple[str, str]], *, indent: int = 2) -> None:
    """Print labels with their values; a row without a value is left out."""
    width = max((len(label) for label, _ in rows), default=0)
    for label, value in rows:
        if value:
            print_line(f"{' ' * indent}{label.ljust(width)}  {value}")
