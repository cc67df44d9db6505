"""Files that are written atomically, by one process at a time, and never over an input."""

import contextlib
import errno
import hashlib
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs

from convae_zoo.errors import FileError, UsageError

if sys.platform != "win32":
    import fcntl

CACHE_FOLDER = "CONVAE_ZOO_CACHE"
"""The environment variable that moves the cache."""


def cache_folder() -> Path:
    """Return the cache of datasets and weights: ``$CONVAE_ZOO_CACHE``, or the user's."""
    base = os.environ.get(CACHE_FOLDER) or platformdirs.user_cache_dir(
        "convae_zoo", appauthor=False
    )
    return Path(base).expanduser()


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block succeeds.

    The temporary name starts with a dot and keeps the suffix, which some writers go by. The file
    and its folder are synced to disk. If the block raises anything, the temporary file is removed
    and `path` is left as it was.

    Raises:
        FileError: it cannot be written: no such folder, no permission, a full disk.
    """
    target = _resolve(path)
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}{target.suffix}"
    try:
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write {path}: it is a folder or a device; name a file")
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
    """Write bytes to a file atomically.

    Raises:
        FileError: it cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("xb") as file:
        file.writelines(parts)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Raises:
        FileError: it cannot be written.
    """
    write_bytes(path, text.encode())


def check_output(path: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse an output that would overwrite an input of the same command.

    Args:
        path: the file or folder to be written.
        inputs: files and folders that are read; every file in a folder is an input. Missing ones
            are ignored.

    Raises:
        UsageError: the output is one of the inputs, by whatever path.
        FileError: `path` is not a valid path.
    """
    target = _resolve(path)
    if not target.exists():
        return
    for given in map(Path, inputs):
        if given.exists() and given.samefile(target):
            raise UsageError(f"{path} is an input of this command; choose another --out")
        if given.is_dir() and target.is_file() and target.is_relative_to(given.resolve()):
            raise UsageError(
                f"{path} is a file of the folder {given}, which is an input of this command; "
                "choose another --out"
            )


def check_new(paths: Iterable[str | Path], *, overwrite: bool = False) -> None:
    """Refuse to replace folders, and existing files unless that is asked for.

    Args:
        paths: the files to be written.
        overwrite: allow existing files.

    Raises:
        UsageError: one is a folder; or some exist: the first is named, and the others are counted.
    """
    existing = [path for path in paths if os.path.lexists(path)]
    for path in existing:
        if os.path.isdir(path):  # noqa: PTH112 - Path's own raises where access is denied
            raise UsageError(f"{path} is a folder; name a file")
    if existing and not overwrite:
        more = len(existing) - 1
        exists = f"and {more:,} more already exist" if more else "already exists"
        raise UsageError(f"{existing[0]} {exists}; choose another --out, or pass --overwrite")


@contextlib.contextmanager
def claim_output(path: str | Path, inputs: Iterable[str | Path] = ()) -> Iterator[Path]:
    """Lock an output file or folder against other processes while it is written.

    The lock is held on a hidden file beside the output, ``.lock-…``. It ends with its process: a
    file left behind by a killed process locks nothing. Missing parent folders are created, and
    removed again if they stay empty.

    Args:
        path: the file or folder to be written.
        inputs: what the command reads, for `check_output`.

    Raises:
        UsageError: the output is an input, or another process, which is named, is writing it.
        FileError: the folder cannot be written.
    """
    check_output(path, inputs)
    target = _resolve(path)
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(target.with_name(_lock_name(target)), path)
    except FileExistsError as error:  # a parent is a file
        raise FileError(f"cannot write {path}: {os.strerror(errno.ENOTDIR)}") from error
    except OSError as error:
        _remove_empty(missing)
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield Path(path)
    finally:
        with contextlib.suppress(OSError):
            target.with_name(_lock_name(target)).unlink()
        os.close(descriptor)
        _remove_empty(missing)


def _resolve(path: str | Path) -> Path:
    """Resolve a path; of a symbolic link, the target is what is written."""
    try:
        os.fsencode(path)
        return Path(os.path.realpath(path))
    except (ValueError, TypeError) as error:  # a NUL, a surrogate, or no path at all
        raise FileError(f"cannot write {str(path)!r}: it is not a valid file name") from error


def _lock_name(target: Path) -> str:
    return f".lock-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}"


def _lock(lock: Path, path: str | Path) -> int:
    """Acquire a lock and return its descriptor; the file names the holder."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if sys.platform != "win32":  # on Windows a second process is not detected
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(descriptor, lock):
                _name_holder(descriptor)
                return descriptor
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise UsageError(
                f"{path} is being written by {holder}; wait until it ends, or choose another --out"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it between our open and our lock


def _name_holder(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # on a full disk the lock still works
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_path(name_or_path: str | Path) -> bool:
    """Return whether a model argument is a path rather than a registered name.

    A path contains a separator, ends with ``.safetensors``, or exists on disk.
    """
    if isinstance(name_or_path, Path):
        return True
    separators = {os.sep, os.altsep or os.sep}
    return (
        any(s in name_or_path for s in separators)
        or name_or_path.endswith(".safetensors")
        or os.path.lexists(name_or_path)
    )
