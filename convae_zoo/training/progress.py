"""What a person sees while a model trains."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from convae_zoo.errors import escaped
from convae_zoo.training.history import Epoch


class Progress:
    """A bar an epoch with loss and images a second on a terminal, and a line after each epoch.

    Args:
        epochs: epochs of the run.
        images: images of an epoch.
        shown: whether anything is shown at all.
    """

    def __init__(self, epochs: int, images: int, *, shown: bool) -> None:
        self.epochs, self.images, self.shown = epochs, images, shown
        self._console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]} images/s, loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not (shown and self._console.is_terminal),
        )
        self._task: TaskID | None = None
        self._epoch = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.shown:
            self._console.print(escaped(line), markup=False)

    def step(self, done: int, loss: float) -> None:
        """Show that `done` images of the epoch are trained on."""
        if self._task is None:
            self._epoch += 1
            self._task = self._bars.add_task(
                f"epoch {self._epoch}/{self.epochs}", total=self.images, speed="", loss=""
            )
        speed = self._bars.tasks[-1].speed
        self._bars.update(
            self._task,
            completed=done,
            loss=f"{loss:.4f}",
            speed=f"{speed:,.0f}" if speed else "",
        )

    def epoch(self, record: Epoch) -> None:
        """Print what an epoch gave."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task, self._epoch = None, record.epoch
        self.say(
            f"epoch {record.epoch}/{self.epochs}: loss {record.train_loss:.5f} on train, "
            f"{record.val_loss:.5f} on val, {record.images_per_second:,.0f} images/s"
        )
