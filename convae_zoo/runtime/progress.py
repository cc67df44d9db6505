"""Progress bars over images and stages, on stderr and only on a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


@contextlib.contextmanager
def image_progress(
    what: str, images: int, *, enabled: bool = True
) -> Iterator[Callable[[int], object]]:
    """Show a progress bar over images; yield the function that advances it by a count."""
    if not enabled:
        yield lambda _: None
        return
    from rich.progress import TimeRemainingColumn

    with _progress(TimeRemainingColumn()) as progress:
        task = progress.add_task(what, total=images)
        yield lambda count: progress.advance(task, count)


@contextlib.contextmanager
def stage_progress(*, enabled: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar over several stages; yield the function that updates it.

    It is called with the stage's description, the images done, and their total, 0 if unknown.
    """
    if not enabled:
        yield lambda _what, _done, _total: None
        return
    with _progress() as progress:
        task = progress.add_task("loading", total=None)

        def update(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        yield update


def _progress(*more: "ProgressColumn") -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *more,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
