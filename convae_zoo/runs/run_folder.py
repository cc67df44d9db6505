"""The folder of a run: where its files are, and who may write them."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from convae_zoo import files
from convae_zoo.errors import FileError, UsageError
from convae_zoo.registry.specs import DEFAULT_FILENAME
from convae_zoo.runs.checkpoint import Checkpoints
from convae_zoo.runs.record import RunRecord, read_record

_PICTURE = re.compile(r"epoch-\d{3,}\.png")


class RunFolder:
    """The paths of a run's files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / "run.json"  # what is trained, how, on what; and how far it is
        self.history = path / "history.jsonl"  # the losses
        self.model = path / DEFAULT_FILENAME  # the weights after the last finished epoch
        self.first_epoch = path / "epoch-001.safetensors"  # those after the first, to compare with
        self.best = path / "best.safetensors"  # those of the lowest validation loss
        self.curves = path / "loss_curves.png"
        self.pictures = path / "pictures"  # a grid per epoch
        self.checkpoints = Checkpoints(path / "checkpoints")

    def picture(self, epoch: int) -> Path:
        """Return the path of an epoch's grid."""
        return self.pictures / f"epoch-{epoch:03}.png"

    def read(self) -> RunRecord:
        """Read ``run.json``, as `read_record` does."""
        return read_record(self.record)

    def write(self, record: RunRecord) -> None:
        """Write ``run.json``."""
        files.write_text(self.record, record.to_json())

    def clear(self, *, everything: bool) -> None:
        """Remove what a killed process left half-written, or all files of a run."""
        for folder in (self.path, self.pictures, self.checkpoints.folder):
            for left in folder.glob(".tmp-*"):
                left.unlink(missing_ok=True)
        if everything:
            files_of_run = (self.record, self.history, self.model, self.first_epoch, self.best)
            for path in (*files_of_run, self.curves):
                path.unlink(missing_ok=True)
            for path in self.pictures.glob("epoch-*.png"):
                if _PICTURE.fullmatch(path.name):
                    path.unlink()
            self.checkpoints.remove()


def check_run_folder(out: str | Path, *, overwrite: bool, resume: bool) -> RunRecord | None:
    """Check whether a folder can be used; write nothing.

    Returns:
        With `resume` the record of the run in it; None if there is no run.

    Raises:
        UsageError: it holds a run or other files, and neither option was given.
        TrainingError: the run that is to be resumed has a damaged record.
        FileError: it cannot be read, or is no path.
    """
    files.check_output(out)
    folder = RunFolder(Path(out))
    try:
        if resume and folder.record.exists():
            return folder.read()
        found = [p.name for p in folder.path.iterdir()] if folder.path.exists() else []
        # A start that was killed or failed leaves a half-written file, or an empty folder.
        names = {name for name in found if not name.startswith(".tmp-")}
        if folder.pictures.is_dir() and not any(folder.pictures.iterdir()):
            names.discard(folder.pictures.name)
    except OSError as error:
        raise _unusable(out, error) from error
    if names - {".lock"} and not overwrite:  # earlier releases left a lock
        content = "another run" if folder.record.exists() else "other files"
        raise UsageError(
            f"{out} holds {content}; choose another --out, or pass --resume or --overwrite"
        )
    return None


@contextlib.contextmanager
def open_run_folder(
    out: str | Path, *, overwrite: bool = False, resumed: RunRecord | None = None
) -> Iterator[RunFolder]:
    """Create the folder of a run and lock it against other processes.

    Args:
        out: the folder.
        overwrite: remove the files of the run in it, and no others.
        resumed: the record of the run to continue, which is kept.

    Raises:
        UsageError: another process trains into it, or has done so since it was checked.
        FileError: it cannot be created.
    """
    folder = RunFolder(Path(out))
    with files.claim_output(out):
        # Another process may have trained into it since it was checked: loading takes time.
        if check_run_folder(out, overwrite=overwrite, resume=resumed is not None) != resumed:
            raise UsageError(f"another process has trained into {out} meanwhile; resume again")
        try:
            folder.pictures.mkdir(parents=True, exist_ok=True)
            folder.clear(everything=resumed is None)
        except OSError as error:
            raise _unusable(out, error) from error
        yield folder


def _unusable(out: str | Path, error: OSError) -> FileError:
    return FileError(f"cannot use {out} as a run folder: {error.strerror or error}")
