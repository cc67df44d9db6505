"""The examples in the commands' help, as literal text: ``*`` in one is no emphasis."""

from typing import Any

import click
from sphinx.application import Sphinx

MARK = "| Example: "


def _as_literal(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    lines[:] = [
        f"{MARK}``{line.removeprefix(MARK)}``" if line.startswith(MARK) else line for line in lines
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Listen to sphinx-click."""
    app.connect("sphinx-click-process-description", _as_literal)
    return {"parallel_read_safe": True}
