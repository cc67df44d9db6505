"""The folder of a run: everything that is needed to look at it and to repeat it."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs

from convae_zoo import files
from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.specs import Recipe

FORMAT_VERSION = 1
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
        return self.path / "model.safetensors"

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

    def update(self, **changes: Any) -> None:
        """Change some entries of ``run.json``."""
        self.write({**self.read(), **changes})


def refuse_occupied(out: str | Path, *, overwrite: bool) -> None:
    """Refuse a folder for a new run that holds something, unless it may be overwritten.

    Raises:
        UsageError: the folder holds a run or other files, and `overwrite` was not given.
        TrainingError: the folder cannot be read.
    """
    folder = RunFolder(Path(out))
    try:
        occupied = folder.path.exists() and any(folder.path.iterdir())
    except OSError as error:
        raise TrainingError(f"cannot use {out} as a run folder: {error.strerror}") from error
    if occupied and not overwrite:
        what = "another run" if folder.record.exists() else "other files"
        raise UsageError(f"{out} holds {what}; choose another --out, or pass --overwrite")


def open_run_folder(out: str | Path) -> RunFolder:
    """Make the folder of a new run; the files of a run that is there are removed, no others.

    Raises:
        TrainingError: the folder cannot be made.
    """
    folder = RunFolder(Path(out))
    run_files = (folder.record, folder.history, folder.model, folder.first_epoch, folder.curves)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        for path in (*run_files, *folder.pictures.glob("epoch-*.png")):
            path.unlink(missing_ok=True)
        folder.pictures.mkdir(exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot use {out} as a run folder: {error.strerror}") from error
    return folder


def describe_run(
    *, model: dict[str, Any], recipe: Recipe, dataset: dict[str, Any], device: str, precision: str
) -> dict[str, Any]:
    """Make the record of a run that begins."""
    return {
        "format_version": FORMAT_VERSION,
        "state": "running",
        "epochs_done": 0,
        "model": model,
        "recipe": attrs.asdict(recipe),
        "dataset": dataset,
        "device": device,
        "precision": precision,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
    }
