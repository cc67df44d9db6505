"""Progress of a training run: one bar for the whole run, in a terminal or a notebook, and lines."""

import contextlib
import html
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from convae_zoo.errors import escaped

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """Shows nothing; the base class of the bars."""

    def say(self, line: str) -> None:
        """Print a line above the bar."""

    def start(self, images: int, done: int) -> None:
        """Start the bar of a run.

        Args:
            images: those of all epochs together.
            done: how many of them a resumed run has trained on already.
        """

    def step(self, epoch: str, done: int, loss: float) -> None:
        """Move the bar to so many images of the run."""


class TerminalProgress(Progress):
    """A bar on stderr with loss, images per second and time left; lines alone in a file.

    Args:
        bar: rich's.
    """

    def __init__(self, bar: "Bar") -> None:
        self._bar = bar

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(escaped(line), markup=False)

    def start(self, images: int, done: int) -> None:
        """Start the bar."""
        self._bar.add_task("training", total=images, completed=done, speed="", loss="")

    def step(self, epoch: str, done: int, loss: float) -> None:
        """Move the bar."""
        task = self._bar.tasks[-1]
        speed = f"{task.speed:,.0f}" if task.speed else ""
        self._bar.update(
            task.id, description=epoch, completed=done, loss=f"{loss:.4f}", speed=speed
        )


class NotebookProgress(Progress):
    """A bar as HTML that is updated in place, above the lines of the epochs; no widgets needed."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._lines: list[str] = []
        self._bar, self._images, self._first, self._started = "", 0, 0, 0.0
        self._handle: Any = display(HTML(""), display_id=True)  # type: ignore[no-untyped-call]  # IPython leaves it untyped

    def say(self, line: str) -> None:
        """Print a line."""
        self._lines.append(escaped(line))
        self._draw()

    def start(self, images: int, done: int) -> None:
        """Start the bar."""
        self._images, self._first, self._started = images, done, time.monotonic()

    def step(self, epoch: str, done: int, loss: float) -> None:
        """Move the bar; after the last image remove it."""
        seconds = time.monotonic() - self._started
        speed = (done - self._first) / seconds if seconds else 0.0
        left = round((self._images - done) / speed) if speed else 0
        self._bar = (
            f'<progress max="{self._images}" value="{done}" style="width: 20em"></progress> '
            f"{epoch}, {done / self._images:.0%}, loss {loss:.4f}, {speed:,.0f} images/s, "
            f"{left // 60}:{left % 60:02} left"
            if done < self._images
            else ""
        )
        self._draw()

    def _draw(self) -> None:
        text = html.escape("\n".join(self._lines))
        self._handle.update(self._html(f"<pre>{text}</pre>{self._bar}"))


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    return shell is not None and hasattr(shell.get_ipython(), "kernel")


@contextlib.contextmanager
def open_progress(*, enabled: bool | None = None) -> Iterator[Progress]:
    """Open the progress bar of a run.

    Args:
        enabled: whether to show it; by default in a terminal or a notebook. Where stderr is a file
            only the lines are shown.
    """
    if enabled is None:
        enabled = sys.stderr.isatty() or is_notebook()
    if not enabled:
        yield Progress()
        return
    if is_notebook():
        yield NotebookProgress()
        return
    from rich import progress as rich  # draws from Python's random state when it is imported
    from rich.console import Console

    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TextColumn("{task.fields[speed]} images/s, loss {task.fields[loss]}"),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("left"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        yield TerminalProgress(bar)
