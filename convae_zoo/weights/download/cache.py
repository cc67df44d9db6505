"""The cache: a file is found under its sha256, and checked each time."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import filelock
import platformdirs

from convae_zoo.errors import WeightsError
from convae_zoo.files import atomic_path
from convae_zoo.weights.download.download import Download
from convae_zoo.weights.download.network import check_online, patience

FOLDER = "CONVAE_ZOO_CACHE"


@attrs.frozen(kw_only=True)
class RemoteFile:
    """A file somewhere else; what a server says of it is checked here.

    Attributes:
        name: what a message calls it.
        url: where it is.
        sha256: hex digest, or None where nobody states one.
        size: bytes, where they are known.
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


def folder() -> Path:
    """Return the folder of fetched weights: in the user's cache, or in ``$CONVAE_ZOO_CACHE``."""
    base = os.environ.get(FOLDER) or platformdirs.user_cache_dir("convae_zoo", appauthor=False)
    return Path(base).expanduser() / "weights"


def place(sha256: str) -> Path:
    """Return where a file of that sha256 lies, if it is there."""
    return folder() / f"{sha256}.safetensors"


def digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(sha256: str) -> Path | None:
    """Return the cached file of that sha256; one with other bytes is removed, and never given.

    Raises:
        WeightsError: it cannot be read, or not removed.
    """
    path = place(sha256)
    try:
        if not path.exists():
            return None
        if digest(path) == sha256:
            return path
        path.unlink()
    except OSError as error:
        raise WeightsError(f"cannot use {path}: {error.strerror}; remove it") from error
    return None


def fetch(remote: RemoteFile) -> Path:
    """Return the cached file, downloaded where it is not there yet.

    Processes that want the same file wait for the one that fetches it, as long as that gets on.

    Raises:
        WeightsError: offline, or the download fails, or gives other bytes than the sha256 says:
            those are thrown away.
    """
    if remote.sha256 is not None:
        found = find(remote.sha256)
        if found is not None:
            return found
        by_hand = f"put the file at {place(remote.sha256)}"
    else:
        by_hand = "fetch the file by hand"
    check_online(f"cannot fetch {remote.name}", by_hand)
    key = remote.sha256 or hashlib.sha256(remote.url.encode()).hexdigest()
    part = folder() / f"{key}.part"
    download = Download(url=remote.url, part=part, size=remote.size, headers=remote.headers)
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with _alone(part):
            found = None if remote.sha256 is None else find(remote.sha256)
            return found or _store(remote, download)
    except OSError as error:
        raise WeightsError(
            f"cannot store {remote.name} in {folder()}: {error.strerror or error}; make room, or "
            f"set {FOLDER} to another folder"
        ) from error


def _store(remote: RemoteFile, download: Download) -> Path:
    resumed = download.have > 0
    try:
        download.run()
    except OSError:
        download.discard()  # a full disk stays full of it otherwise
        raise
    got = digest(download.part)
    if remote.sha256 not in {None, got}:
        download.discard()
        if resumed:
            return _store(remote, download)
        raise WeightsError(
            f"{remote.url} gave other bytes than expected: sha256 {got}, expected "
            f"{remote.sha256}; they were thrown away and nothing was loaded"
        )
    target = place(got)
    with atomic_path(target) as temporary:
        download.part.replace(temporary)
    download.discard()
    return target


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Wait until no other process fetches that file; a lock ends with its process."""
    lock = filelock.FileLock(part.with_suffix(".lock"))
    while True:
        before = _size(part)
        try:
            lock.acquire(timeout=2 * patience())
            break
        except filelock.Timeout:
            if _size(part) == before:
                raise WeightsError(
                    f"another process holds {lock.lock_file} and gets nowhere; end it, or try "
                    "again later"
                ) from None
    try:
        yield
    finally:
        lock.release()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
