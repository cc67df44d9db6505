"""The bar that a command shows while it goes through images."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def image_bar(what: str, images: int, *, shown: bool = True) -> Iterator[Callable[[int], object]]:
    """Show a bar on stderr, where that is a terminal; give the function that moves it on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(file=sys.stderr)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    ) as bar:
        task = bar.add_task(what, total=images)
        yield lambda count: bar.advance(task, count)
