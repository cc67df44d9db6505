"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from convae_zoo.errors import FileError


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place when the block ends well.

    The temporary name starts with a dot and ends as `path` does, so that writers which go by the
    suffix work. The file and its folder are synced to disk. If the block raises, whatever it
    raises, the temporary file is removed and what was at `path` stays.

    Raises:
        FileError: it cannot be written: no such folder, no permission, a full disk.
    """
    target = Path(os.path.realpath(path))  # a link is written through
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}{target.suffix}"
    try:
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write {path}: a folder or device is there; give a file's name")
        yield temporary
        _sync(temporary, os.O_RDWR)
        temporary.replace(target)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            _sync(target.parent, os.O_RDONLY)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in {temporary, target}:
            raise  # about another file
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, *parts: bytes | memoryview) -> None:
    """Write a file of these bytes, whole or not at all.

    Raises:
        FileError: it cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("xb") as file:
        file.writelines(parts)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all.

    Raises:
        FileError: it cannot be written.
    """
    write_bytes(path, text.encode())


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
