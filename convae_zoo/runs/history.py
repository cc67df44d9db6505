"""The history of a run: JSON lines, one per optimiser step and one per epoch."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import attrs
from attrs.validators import instance_of

from convae_zoo import files
from convae_zoo.errors import TrainingError

_is_number = instance_of((int, float))


@attrs.frozen(kw_only=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        epoch: counted from 1.
        train_loss: mean of the epoch's step losses, weighted by images.
        val_loss: mean over the images of the validation split.
        seconds: time spent on training steps.
        images_per_second: trained images in that time.
    """

    epoch: int = attrs.field(validator=instance_of(int))
    train_loss: float = attrs.field(validator=_is_number)
    val_loss: float = attrs.field(validator=_is_number)
    seconds: float = attrs.field(validator=_is_number)
    images_per_second: float = attrs.field(validator=_is_number)


class History:
    """The losses of a run, in memory and, if it has a path, in ``history.jsonl``."""

    def __init__(self, path: Path | None = None) -> None:
        self.steps: list[float] = []
        self.epochs: list[Epoch] = []
        self._path = path
        self._file: FileIO | None = None

    def add_steps(self, epoch: int, losses: Sequence[float]) -> None:
        """Add the losses of the next steps."""
        first = len(self.steps) + 1
        self.steps.extend(losses)
        self._write(
            {"kind": "step", "epoch": epoch, "step": first + i, "loss": loss}
            for i, loss in enumerate(losses)
        )

    def add_epoch(self, epoch: Epoch) -> None:
        """Add the figures of an epoch."""
        self.epochs.append(epoch)
        self._write([{"kind": "epoch", **attrs.asdict(epoch)}])

    @property
    def digest(self) -> str:
        """Sha256 of all of it, which a checkpoint keeps."""
        content = [self.steps, [attrs.astuple(epoch) for epoch in self.epochs]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        if self._path is None:
            return
        data = memoryview("".join(json.dumps(r) + "\n" for r in records).encode())
        try:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            length = os.fstat(self._file.fileno()).st_size
            try:
                while data:
                    data = data[self._file.write(data) :]
            except OSError:
                with contextlib.suppress(OSError):  # or part of a line would stay
                    self._file.truncate(length)
                raise
        except OSError as error:
            raise TrainingError(f"cannot write {self._path}: {error.strerror}") from error


def read_history(
    path: Path,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    digest: str | None = None,
    rewind: bool = False,
) -> History:
    """Read a ``history.jsonl``; a last line that was cut short is ignored.

    Args:
        path: the file.
        epochs: read to the end of so many epochs, and
        steps: so many optimiser steps; by default all.
        digest: of what is to be read; None where it is not known.
        rewind: cut the file back to what was read, and return a history that continues it.

    Raises:
        TrainingError: the file is missing, altered, or contains fewer epochs or steps.
    """
    history, kept = History(path if rewind else None), []
    try:
        never_written = steps == 0 and not path.exists()
        lines = [] if never_written else path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if (len(history.epochs), len(history.steps)) == (epochs, steps):
                break
            if number < len(lines):  # what comes after the last end of line was cut short
                _add(history, json.loads(line))
                kept.append(line + b"\n")
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TrainingError(
            f"{path} line {number} is not a line of a history ({error!s:.80}); the file was "
            "altered: start again with --overwrite"
        ) from error
    found = (len(history.epochs), len(history.steps))
    if epochs is not None and found != (epochs, steps):
        raise TrainingError(
            f"{path} ends after {found[0]} epochs and {found[1]} steps, but the checkpoint was "
            f"written after {epochs} epochs and {steps} steps; the file was altered: start again "
            "with --overwrite"
        )
    if digest is not None and digest != history.digest:
        raise TrainingError(
            f"{path} was altered: its figures are not those that the checkpoint was written after; "
            "start again with --overwrite"
        )
    if rewind:
        files.write_bytes(path, *kept)
    return history


def _add(history: History, record: dict[str, Any]) -> None:
    """Add one line of a file to a history."""
    kind = record.pop("kind")
    if kind == "step":
        if record["step"] != len(history.steps) + 1 or type(record["loss"]) is not float:
            raise ValueError(f"step {len(history.steps) + 1} is expected")
        history.steps.append(record["loss"])
    elif kind == "epoch":
        epoch = Epoch(**record)
        if epoch.epoch != len(history.epochs) + 1:
            raise ValueError(f"epoch {len(history.epochs) + 1} is expected")
        history.epochs.append(epoch)
    else:
        raise ValueError(f"its kind is {kind!r:.40}")
