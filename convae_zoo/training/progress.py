"""Progress of a training run on stderr: a bar per epoch, and lines."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from convae_zoo.errors import escaped

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """A bar per epoch, with loss and images per second, on a terminal; and lines anywhere.

    Args:
        bar: the bar; without it nothing is printed.
    """

    def __init__(self, bar: "Bar | None" = None) -> None:
        self._bar = bar

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(escaped(line), markup=False)

    def start_epoch(self, name: str, images: int) -> None:
        """Start the bar of an epoch."""
        if self._bar is not None:
            self._bar.add_task(name, total=images, speed="", loss="")

    def step(self, done: int, loss: float) -> None:
        """Move the bar to so many images of the epoch."""
        if self._bar is not None:
            task = self._bar.tasks[-1]
            speed = f"{task.speed:,.0f}" if task.speed else ""
            self._bar.update(task.id, completed=done, loss=f"{loss:.4f}", speed=speed)

    def end_epoch(self, line: str) -> None:
        """Remove the bar and print the epoch's line."""
        if self._bar is not None:
            self._bar.remove_task(self._bar.tasks[-1].id)
        self.say(line)


@contextlib.contextmanager
def open_progress(*, enabled: bool) -> Iterator[Progress]:
    """Give the progress of a run, with a bar if stderr is a terminal."""
    if not enabled:
        yield Progress()
        return
    from rich import progress as rich  # draws from Python's random state when it is imported
    from rich.console import Console

    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[speed]} images/s, loss {task.fields[loss]}"),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        yield Progress(bar)
