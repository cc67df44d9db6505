"""Repositories on the Hugging Face Hub, through `huggingface_hub`, imported when it is needed."""

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from convae_zoo.errors import UsageError, WeightsError, ZooError, nearest
from convae_zoo.registry.addresses import is_allowed
from convae_zoo.registry.discovery import zoo_version
from convae_zoo.weights.download.cache import RemoteFile, digest
from convae_zoo.weights.download.card import model_card
from convae_zoo.weights.download.network import bounded, check_online, one_line, patience

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

USUAL = "model.safetensors"
"""The file's name in a repository that `push` wrote."""

_CARD = "README.md"
_SLOWEST = 50_000  # bytes a second; an upload that is slower is given up
_RETRIES = 5  # how often the library tries each request of an upload again
_PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}

T = TypeVar("T")


def locate(repo: str, filename: str | None = None, revision: str | None = None) -> RemoteFile:
    """Find a safetensors file in a repository, with the sha256 that the Hub states for it.

    Args:
        repo: ``org/name``.
        filename: the file; None where the repository has one, or one named `USUAL`.
        revision: a branch, tag or commit; None for the main branch.

    Raises:
        UsageError: several files and none is named, none of that name, or no repository's name.
        WeightsError: no such repository or revision, no safetensors file in it, no access, no
            network.
    """
    from huggingface_hub import get_token, hf_hub_url

    check_online(f"cannot look into {repo}", "fetch the file by hand")
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

    return _ask(repo, revision, ask, patience())


def push(
    file: str | Path, repo: str, *, private: bool = False, revision: str | None = None
) -> tuple[str, str]:
    """Upload a weights file, with a model card where the repository has none yet.

    The repository is made where there is none; the file becomes its `USUAL`.

    Args:
        file: written by `save_model`, or a run folder.
        repo: ``org/name``.
        private: make the repository private; one that is public already is refused.
        revision: the branch, made where there is none; None for the main branch.

    Returns:
        The commit and the file's sha256: what a `WeightsSpec` names.

    Raises:
        WeightsError: the file is none of the zoo's; no login, no access, no network; or the Hub
            holds other bytes in the end.
    """
    from huggingface_hub import CommitOperationAdd, get_token

    from convae_zoo.weights.load import read_metadata
    from convae_zoo.weights.names import RUN_FILE

    path = Path(file)
    metadata = read_metadata(path)
    if path.is_dir():
        path /= RUN_FILE
    check_online(f"cannot push to {repo}", "push later")
    if get_token() is None:
        raise WeightsError(
            f"cannot push to {repo} without a login: 'hf auth login', or set HF_TOKEN"
        )
    api, sha256 = _api(), digest(path)

    def upload() -> str:
        api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not _info(api, repo, None).private:
            raise UsageError(f"{repo} is public already; make it private first, or leave --private")
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        operations = [CommitOperationAdd(USUAL, path)]
        there = _info(api, repo, revision).siblings or ()
        if _CARD not in {sibling.rfilename for sibling in there}:
            card = model_card(metadata, repo, sha256)
            operations.append(CommitOperationAdd(_CARD, card.encode()))
        message = f"Upload {path.name} with convae-zoo"
        return api.create_commit(repo, operations, commit_message=message, revision=revision).oid

    seconds = patience() * (_RETRIES + 1) + path.stat().st_size / _SLOWEST
    commit = _ask(repo, revision, upload, seconds)
    held = locate(repo, USUAL, commit).sha256
    if held not in {None, sha256}:
        raise WeightsError(f"{repo} holds other bytes after the upload: sha256 {held}; push again")
    return commit, sha256


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    api = HfApi(
        endpoint=os.environ.get("HF_ENDPOINT") or None,
        library_name="convae_zoo",
        library_version=zoo_version(),
    )
    if not is_allowed(api.endpoint):
        raise UsageError(f"HF_ENDPOINT must be an https address, got {api.endpoint!r}")
    return api


def _info(api: "HfApi", repo: str, revision: str | None) -> "ModelInfo":
    return api.model_info(repo, revision=revision, files_metadata=True, timeout=patience())


def _choose(repo: str, files: list[str], wanted: str | None) -> str:
    """Choose the safetensors file that is wanted, or the one that there is."""
    safe = [name for name in files if name.endswith(".safetensors")]
    if not safe:
        pickles = any(PurePosixPath(name).suffix in _PICKLES for name in files)
        only = " (only pickles, which are never loaded)" if pickles else ""
        raise WeightsError(f"{repo} holds no safetensors file{only}")
    if wanted is None and len(safe) > 1 and USUAL not in safe:
        raise UsageError(f"{repo} holds {len(safe)} files: name one, as in {repo}/{safe[0]}")
    chosen = wanted or (USUAL if USUAL in safe else safe[0])
    if chosen not in safe:
        raise UsageError(f"{repo} holds no safetensors file {chosen!r}; {nearest(chosen, safe)}")
    return chosen


def _ask(repo: str, revision: str | None, work: Callable[[], T], seconds: float) -> T:
    """Do what the library does with the Hub, in bounded time; its errors become one line."""
    from huggingface_hub import errors

    try:
        return bounded(work, seconds)
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
        raise WeightsError(f"{repo}: {_answer(error.response.status_code)}") from error
    except TimeoutError as error:
        raise WeightsError(f"{repo}: {error}; try again later") from error
    except Exception as error:  # whatever a lying or dying server makes of the library
        reason = one_line(error) or type(error).__name__
        raise WeightsError(f"{repo}: the Hub cannot be understood or reached: {reason}") from error


def _answer(status: int) -> str:
    match status:
        case 401 | 403:
            return f"access refused (HTTP {status}); check the login ('hf auth login', HF_TOKEN)"
        case 429:
            return f"too many requests (HTTP {status}); try again later"
        case status if status >= 500:  # noqa: PLR2004 - the server's own failures
            return f"the Hub failed (HTTP {status}); try again later"
        case _:
            return f"the Hub refuses the request (HTTP {status})"
