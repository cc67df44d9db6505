"""The cache of downloaded weights: a file is named by its sha256, which is checked every time."""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import filelock

from convae_zoo import files
from convae_zoo.errors import WeightsError
from convae_zoo.weights.download.network import check_online, safe_text, timeout

_PARTIAL = ".part"
_ABANDONED = 7 * 24 * 3600  # seconds after which the rest of a killed download is removed


@attrs.frozen(kw_only=True)
class RemoteFile:
    """A file on a server; what the server states about it is validated here.

    Attributes:
        name: how messages name it.
        url: its address.
        sha256: hex digest, or None where nobody states one.
        size: bytes, where known.
        headers: of the request.
    """

    name: str
    url: str
    sha256: str | None = attrs.field(
        validator=attrs.validators.optional(attrs.validators.matches_re(r"[0-9a-f]{64}"))
    )
    size: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.ge(0))
    )
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


def cache_folder() -> Path:
    """Return the folder of downloaded weights."""
    return files.cache_folder() / "weights"


def cached_path(sha256: str) -> Path:
    """Return the place of the file with that sha256, downloaded or not."""
    return cache_folder() / f"{sha256}.safetensors"


def digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(sha256: str) -> Path | None:
    """Return the cached file of that sha256; one with other bytes is removed, never returned.

    Raises:
        WeightsError: the file cannot be read or removed.
    """
    path = cached_path(sha256)
    try:
        if not os.path.lexists(path):
            return None
        if path.exists() and digest(path) == sha256:
            return path
        path.unlink()
    except OSError as error:
        raise WeightsError(f"cannot use {path}: {error.strerror}; remove it") from error
    return None


def fetch(remote: RemoteFile) -> Path:
    """Return the cached file, downloaded if it is not cached yet.

    Raises:
        WeightsError: offline; or the download fails, or its bytes do not have the sha256: they
            are thrown away.
    """
    if remote.sha256 is not None and (found := find(remote.sha256)) is not None:
        return found
    target = f"put it at {cached_path(remote.sha256)}" if remote.sha256 else "copy it here"
    check_online(f"cannot download {remote.name}", f"get the file by other means and {target}")
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        _remove_abandoned()
        with _turn(remote):
            found = None if remote.sha256 is None else find(remote.sha256)
            return found or _download(remote)
    except OSError as error:
        raise WeightsError(
            f"cannot store {remote.name} in {cache_folder()}: {error.strerror or error}; make "
            f"room, or set {files.CACHE_FOLDER} to another folder"
        ) from error


def _download(remote: RemoteFile) -> Path:
    """Download into a private folder and move the file into place once it is verified."""
    import pooch  # torch-free, but slow to import

    from convae_zoo.weights.download.http import MAX_BYTES, Downloader

    size = MAX_BYTES if remote.size is None else min(remote.size, MAX_BYTES)
    downloader = Downloader(headers=remote.headers, max_bytes=size)
    with tempfile.TemporaryDirectory(dir=cache_folder(), suffix=_PARTIAL) as private, _quiet():
        try:
            path = Path(
                pooch.retrieve(
                    remote.url,
                    remote.sha256 and f"sha256:{remote.sha256}",
                    fname="download",
                    path=private,
                    downloader=downloader,
                )
            )
        except ValueError as error:
            raise WeightsError(
                f"{safe_text(remote.url)} gave other bytes than expected; nothing was loaded: "
                f"{safe_text(error)}"
            ) from error
        if remote.size not in {None, path.stat().st_size}:
            raise WeightsError(
                f"{safe_text(remote.url)} has {path.stat().st_size} bytes where {remote.size} were "
                "expected; nothing was kept"
            )
        # Replacing does not follow a symlink. Without a sync, a file that a power failure tears
        # is recognised by its digest.
        return path.replace(cached_path(digest(path)))


@contextlib.contextmanager
def _turn(remote: RemoteFile) -> Iterator[None]:
    """Wait while another process downloads the file, up to the stall timeout.

    The lock saves traffic; nothing depends on it.
    """
    key = remote.sha256 or hashlib.sha256(remote.url.encode()).hexdigest()
    lock = filelock.FileLock(cache_folder() / f"{key}.lock")
    with contextlib.suppress(filelock.Timeout):
        lock.acquire(timeout=timeout())
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep pooch's log, which names whole addresses, off stderr."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _remove_abandoned() -> None:
    """Remove what killed downloads left behind."""
    for path in cache_folder().glob(f"*{_PARTIAL}"):
        with contextlib.suppress(OSError):  # another process removed it; or a link, which stays
            if path.lstat().st_mtime < time.time() - _ABANDONED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
