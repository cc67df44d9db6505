"""The folder of a run: everything that is needed to look at it and to repeat it."""

import contextlib
import json
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock, Timeout

from convae_zoo import files
from convae_zoo.errors import FileError, TrainingError, UsageError
from convae_zoo.registry.specs import DEFAULT_FILENAME, Recipe
from convae_zoo.training.checkpoint import Checkpoints

FORMAT_VERSION = 1
LOCK = ".lock"
_PACKAGES = ("convae-zoo", "torch", "torchvision", "numpy")


@attrs.frozen
class RunFolder:
    """Where the files of a run lie."""

    path: Path

    @property
    def record(self) -> Path:
        """What was trained, how, on what, with which versions; and how far it came."""
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        """The losses."""
        return self.path / "history.jsonl"

    @property
    def model(self) -> Path:
        """The weights after the last finished epoch."""
        return self.path / DEFAULT_FILENAME

    @property
    def first_epoch(self) -> Path:
        """The weights after the first epoch, to compare with."""
        return self.path / "epoch-001.safetensors"

    @property
    def curves(self) -> Path:
        """The loss curves."""
        return self.path / "loss_curves.png"

    @property
    def pictures(self) -> Path:
        """The folder of the epochs' grids."""
        return self.path / "pictures"

    @property
    def checkpoints(self) -> Checkpoints:
        """The states that the run can go on from."""
        return Checkpoints(self.path / "checkpoints")

    def picture(self, epoch: int) -> Path:
        """Where the grid of one epoch lies."""
        return self.pictures / f"epoch-{epoch:03}.png"

    def read(self) -> dict[str, Any]:
        """Read ``run.json``.

        Raises:
            TrainingError: it is missing, not JSON, or of a newer format.
        """
        try:
            record: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainingError(f"{self.path} holds no run: there is no run.json in it") from None
        except (OSError, ValueError) as error:
            raise TrainingError(f"cannot read {self.record}: {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("format_version"), int):
            raise TrainingError(f"{self.record} is not the record of a run")
        if record["format_version"] > FORMAT_VERSION:
            raise TrainingError(
                f"{self.path} was written by a newer convae_zoo; upgrade to read it"
            )
        return record

    def write(self, record: dict[str, Any]) -> None:
        """Write ``run.json``."""
        files.write_text(self.record, json.dumps(record, indent=2) + "\n")

    def clear(self, *, everything: bool) -> None:
        """Remove what a killed process left half-written, or everything that is a run's."""
        for place in (self.path, self.pictures, self.checkpoints.folder):
            for left in place.glob(".tmp-*"):
                left.unlink(missing_ok=True)
        if everything:
            of_run = (self.record, self.history, self.model, self.first_epoch, self.curves)
            for path in (*of_run, *self.pictures.glob("epoch-*.png")):
                path.unlink(missing_ok=True)
            self.checkpoints.clear()

    def update(self, **changes: Any) -> None:
        """Change some entries of ``run.json``."""
        self.write({**self.read(), **changes})


def look_at(out: str | Path, *, overwrite: bool, resume: bool) -> dict[str, Any] | None:
    """Look whether a folder can be used, before anything is written.

    Returns:
        With `resume` the record of the run that is there; None where there is no run.

    Raises:
        UsageError: the folder holds a run or other files, and neither option was given.
        FileError: the folder cannot be read.
    """
    folder = RunFolder(Path(out))
    try:
        names = {p.name for p in folder.path.iterdir()} if folder.path.exists() else set()
    except OSError as error:
        raise FileError(f"cannot use {out} as a run folder: {error.strerror}") from error
    if resume and folder.record.exists():
        return folder.read()
    if not names <= {LOCK, "pictures"} and not overwrite:
        what = "another run" if folder.record.exists() else "other files"
        raise UsageError(
            f"{out} holds {what}; choose another --out, or pass --resume or --overwrite"
        )
    return None


@contextlib.contextmanager
def open_run_folder(out: str | Path, *, keep: bool) -> Iterator[RunFolder]:
    """Make the folder of a run and hold it, so that no other process trains into it.

    Args:
        out: the folder.
        keep: go on with the run that is there; else its files are removed, and no others.

    Raises:
        UsageError: another process trains into it.
        FileError: the folder cannot be made.
    """
    folder = RunFolder(Path(out))
    lock = FileLock(folder.path / LOCK, timeout=0)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        folder.clear(everything=not keep)
        folder.pictures.mkdir(exist_ok=True)
    except Timeout:
        raise UsageError(f"another process trains into {out}; choose another --out") from None
    except OSError as error:
        lock.release()
        raise FileError(f"cannot use {out} as a run folder: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        lock.release()


def describe_run(
    *,
    model: dict[str, Any],
    recipe: Recipe,
    dataset: dict[str, Any],
    device: str,
    precision: str,
    processes: int,
    epochs_done: int,
) -> dict[str, Any]:
    """Make the record of a run that begins, or goes on."""
    return {
        "format_version": FORMAT_VERSION,
        "state": "running",
        "epochs_done": epochs_done,
        "model": model,
        "recipe": attrs.asdict(recipe),
        "dataset": dataset,
        "device": device,
        "precision": precision,
        "processes": processes,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
    }
