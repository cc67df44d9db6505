"""The history of a run: one JSON object a line, one line an optimiser step and an epoch."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import attrs

from convae_zoo import files
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

    def cut(self, epochs: int, steps: int) -> "History":
        """Return the first so many epochs and steps, in memory only."""
        history = History(None)
        history.steps, history.epochs = self.steps[:steps], self.epochs[:epochs]
        return history

    def sync(self) -> None:
        """Wait until what was added is on the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

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


def rewind_history(path: Path, *, epochs: int, steps: int) -> History:
    """Return a history that stands where a run stood, the file cut back to it.

    Args:
        path: the ``history.jsonl``.
        epochs: finished epochs.
        steps: optimiser steps since the beginning.

    Raises:
        TrainingError: the file holds less than that.
    """
    kept = read_history(path) if path.exists() else History(None)
    if len(kept.epochs) < epochs or len(kept.steps) < steps:
        raise TrainingError(
            f"{path} ends at step {len(kept.steps)} but the checkpoint is of step {steps}; "
            "the file was altered: train anew with --overwrite"
        )
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    wanted: list[str] = []
    seen = {"step": 0, "epoch": 0}
    limits = {"step": steps, "epoch": epochs}
    for line in lines:
        if seen == limits:
            break
        kind = json.loads(line)["kind"]
        if seen[kind] < limits[kind]:
            seen[kind] += 1
            wanted.append(line + "\n")
    files.write_text(path, "".join(wanted))
    history = History(path)
    history.steps, history.epochs = kept.steps[:steps], kept.epochs[:epochs]
    return history
