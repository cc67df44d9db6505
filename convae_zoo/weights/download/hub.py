"""Repositories on the Hugging Face Hub, through `huggingface_hub`, imported when it is needed."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from convae_zoo.errors import UsageError, WeightsError, ZooError, nearest
from convae_zoo.registry.addresses import is_allowed
from convae_zoo.registry.distributions import zoo_version
from convae_zoo.registry.specs import DEFAULT_FILENAME
from convae_zoo.weights.download.cache import RemoteFile, digest
from convae_zoo.weights.download.card import model_card
from convae_zoo.weights.download.network import (
    check_online,
    safe_text,
    timeout,
    why_refused,
    without_password,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

_CARD = "README.md"
_SLOWEST = 50_000  # bytes per second; a slower upload is aborted
_RETRIES = 5  # how often the library retries each request of an upload
_PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}

T = TypeVar("T")


class _WithoutPassword(logging.Filter):
    """Removes the password of ``HF_ENDPOINT`` from what the library logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_password(record.getMessage()), ()
        return True


_WITHOUT_PASSWORD = _WithoutPassword()


def locate(repo: str, filename: str | None = None, revision: str | None = None) -> RemoteFile:
    """Find a safetensors file in a repository, with the sha256 that the Hub states for it.

    The file is not downloaded with the library: that follows redirects to any address and bounds
    neither the size nor the time.

    Args:
        repo: ``org/name``.
        filename: the file; None if the repository has only one, or one named `DEFAULT_FILENAME`.
        revision: a branch, tag or commit; None for the main branch.

    Raises:
        UsageError: several files and none is named, no file of that name, or not the name of a
            repository.
        WeightsError: no such repository or revision, no safetensors file in it, no access, no
            network.
    """
    from huggingface_hub import get_token, hf_hub_url

    check_online(f"cannot look into {repo}", "get the file by other means")
    api, token = _api(), get_token()

    def ask() -> RemoteFile:
        info = _info(api, repo, revision)
        files = {file.rfilename: file for file in info.siblings or ()}
        chosen = _choose(repo, sorted(files), filename)
        stated = files[chosen].lfs
        return RemoteFile(
            name=f"{repo}/{chosen}",
            url=hf_hub_url(info.id, chosen, revision=info.sha, endpoint=api.endpoint),
            sha256=None if stated is None else stated.sha256,
            size=files[chosen].size,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    return _explained(repo, revision, ask)


def upload(
    path: Path, metadata: Mapping[str, Any], repo: str, *, private: bool, revision: str | None
) -> tuple[str, str]:
    """Upload a weights file as `DEFAULT_FILENAME`, with a model card if there is none yet.

    Args:
        path: the file.
        metadata: what the file says about itself, for the card.
        repo: ``org/name``; created if it does not exist.
        private: create the repository as private; an existing public one is refused.
        revision: the branch, created if it does not exist; None for the main branch.

    Returns:
        The commit and the file's sha256.

    Raises:
        UsageError: not the name of a repository, or a public one that must be private.
        WeightsError: no login, no access, no network; or the Hub holds other bytes afterwards.
    """
    from huggingface_hub import CommitOperationAdd, get_token

    check_online(f"cannot push to {repo}", "push later")
    if get_token() is None:
        raise WeightsError(
            f"cannot push to {repo} without a login: 'hf auth login', or set HF_TOKEN"
        )
    api, sha256 = _api(), digest(path)

    def commit() -> str:
        api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not _info(api, repo, None).private:
            raise UsageError(f"{repo} is public; make it private first, or omit --private")
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        operations = [CommitOperationAdd(DEFAULT_FILENAME, path)]
        existing = _info(api, repo, revision).siblings or ()
        if _CARD not in {sibling.rfilename for sibling in existing}:
            card = model_card(metadata, repo, sha256)
            operations.append(CommitOperationAdd(_CARD, card.encode()))
        message = f"Upload {path.name} with convae-zoo"
        return api.create_commit(repo, operations, commit_message=message, revision=revision).oid

    seconds = timeout() * (_RETRIES + 1) + path.stat().st_size / _SLOWEST
    oid = _explained(repo, revision, lambda: _bounded(commit, seconds))
    held = locate(repo, DEFAULT_FILENAME, oid).sha256
    if held not in {None, sha256}:
        raise WeightsError(f"{repo} holds other bytes after the upload: sha256 {held}; push again")
    return oid, sha256


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_WITHOUT_PASSWORD)
    api = HfApi(
        endpoint=os.environ.get("HF_ENDPOINT") or None,
        library_name="convae_zoo",
        library_version=zoo_version(),
    )
    if not is_allowed(api.endpoint):  # not printed: it may hold a password
        raise UsageError("HF_ENDPOINT must be an https address, such as https://huggingface.co")
    return api


def _info(api: "HfApi", repo: str, revision: str | None) -> "ModelInfo":
    return api.model_info(repo, revision=revision, files_metadata=True, timeout=timeout())


def _choose(repo: str, files: list[str], wanted: str | None) -> str:
    """Choose the safetensors file of that name, or the only one."""
    safe = [name for name in files if name.endswith(".safetensors")]
    if not safe:
        pickles = any(PurePosixPath(name).suffix in _PICKLES for name in files)
        only = " (only pickles, which are never loaded)" if pickles else ""
        raise WeightsError(f"{repo} holds no safetensors file{only}")
    if wanted is None and len(safe) > 1 and DEFAULT_FILENAME not in safe:
        raise UsageError(f"{repo} holds {len(safe)} files: name one, as in {repo}/{safe[0]}")
    chosen = wanted or (DEFAULT_FILENAME if DEFAULT_FILENAME in safe else safe[0])
    if chosen not in safe:
        raise UsageError(f"{repo} holds no safetensors file {chosen!r}; {nearest(chosen, safe)}")
    return chosen


def _bounded(work: Callable[[], T], seconds: float) -> T:
    """Return the result of `work`, or raise what it raises, within `seconds`.

    Uploads need it: the library sets no timeout for them, and waits between retries for as long
    as the server says. The thread is abandoned when the time is over.

    Raises:
        TimeoutError: the time is over.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # an error of the work itself
            raise
        raise TimeoutError(f"no response within {seconds:g} s") from None


def _explained(repo: str, revision: str | None, work: Callable[[], T]) -> T:
    """Do what the library does with the Hub; its errors become one line."""
    from huggingface_hub import errors

    try:
        return work()
    except ZooError:
        raise
    except errors.HFValidationError as error:
        raise UsageError(f"{repo!r} is not the name of a repository, 'org/name'") from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(f"{repo} has no revision {revision!r}") from error
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"{repo} is gated: accept its terms on its page, then 'hf auth login'"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"there is no repository {repo}, or it is private and needs 'hf auth login' or HF_TOKEN"
        ) from error
    except errors.HfHubHTTPError as error:
        raise WeightsError(f"{repo}: {why_refused(error.response.status_code)}") from error
    except TimeoutError as error:
        raise WeightsError(f"{repo}: {error}; try again later") from error
    except Exception as error:  # whatever a faulty or hostile server provokes in the library
        reason = safe_text(error) or type(error).__name__
        raise WeightsError(f"{repo}: the Hub cannot be understood or reached: {reason}") from error
