"""The history of a run: one JSON object a line, one line an optimiser step and an epoch."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import attrs

from convae_zoo.errors import TrainingError


@attrs.frozen(kw_only=True)
class Epoch:
    """What one epoch gave.

    Attributes:
        epoch: counted from 1.
        train_loss: mean of the epoch's step losses, weighted by images.
        val_loss: mean over the images of the validation split.
        seconds: time spent on training steps.
        images_per_second: trained images in that time.
    """

    epoch: int
    train_loss: float
    val_loss: float
    seconds: float
    images_per_second: float


class History:
    """Keeps the losses, and writes them to ``history.jsonl`` where there is a folder."""

    def __init__(self, path: Path | None) -> None:
        self.steps: list[float] = []
        self.epochs: list[Epoch] = []
        self._path = path
        self._file: TextIO | None = None

    def add_steps(self, epoch: int, losses: Sequence[float]) -> None:
        """Add the losses of the next steps."""
        first = len(self.steps) + 1
        self.steps.extend(losses)
        self._write(
            {"kind": "step", "epoch": epoch, "step": first + i, "loss": loss}
            for i, loss in enumerate(losses)
        )

    def add_epoch(self, epoch: Epoch) -> None:
        """Add what an epoch gave."""
        self.epochs.append(epoch)
        self._write([{"kind": "epoch", **attrs.asdict(epoch)}])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, records: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> None:
        if self._path is None:
            return
        try:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.writelines(json.dumps(r) + "\n" for r in records)
            self._file.flush()
        except OSError as error:
            raise TrainingError(f"cannot write {self._path}: {error.strerror}") from error


def read_history(path: Path) -> History:
    """Read a ``history.jsonl`` back; a last line that was cut short is passed over.

    Raises:
        TrainingError: the file is missing, or a line in the middle is not JSON.
    """
    history = History(None)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise TrainingError(f"{path} line {number} is not JSON: the file was altered") from None
        if record.pop("kind") == "step":
            history.steps.append(record["loss"])
        else:
            history.epochs.append(Epoch(**record))
    return history
