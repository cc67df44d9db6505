"""Outputs of commands: never over an input or, unasked, a file; by one process at a time."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from convae_zoo import files

_RUN_SUFFIXES = frozenset({".safetensors", ".json", ".jsonl"})


@contextlib.contextmanager
def claimed(
    out: str | None,
    *,
    models: Iterable[str] = (),
    images: Iterable[str | Path] = (),
    data: str | None = None,
    overwrite: bool | None = None,
    also: Sequence[str] = (),
) -> Iterator[None]:
    """Lock the output of a command while it runs; see `convae_zoo.files.claim_output`.

    Args:
        out: the command's ``--out``; None if it writes nothing.
        models: model arguments; those that are files or run folders are inputs.
        images: image files that are read.
        data: the ``--data`` folder, every file of which is an input.
        overwrite: whether the output, a file, may exist; None for commands that check themselves.
        also: further files that are written, with the same checks.

    Raises:
        UsageError: an output is an input, exists, or another process is writing it.
        FileError: the output's folder cannot be written.
    """
    if out is None:
        yield
        return
    inputs = [*model_files(models), *images, *([data] if data else [])]
    with files.claim_output(out, inputs):
        for path in also:
            files.check_output(path, inputs)
        if overwrite is not None:
            files.check_new([out, *also], overwrite=overwrite)
        yield


def model_files(models: Iterable[str]) -> list[Path]:
    """List the files that model arguments name: weights files, and the weights and records of runs.

    Pictures in a run folder are not inputs, so a command may overwrite its picture there.
    """
    found = []
    for path in map(Path, models):
        if path.is_dir():
            found += [p for p in path.rglob("*") if p.suffix in _RUN_SUFFIXES]
        elif path.exists():
            found.append(path)
    return found
