"""Upload a weights file to the Hugging Face Hub."""

from pathlib import Path

from convae_zoo.registry.specs import DEFAULT_FILENAME
from convae_zoo.weights.load import read_metadata


def push(
    file: str | Path, repo: str, *, private: bool = False, revision: str | None = None
) -> tuple[str, str]:
    """Upload a weights file, with a model card if the repository has none yet.

    Args:
        file: written by `save_model`, or a run folder.
        repo: ``org/name``; created if it does not exist.
        private: create the repository as private; an existing public one is refused.
        revision: the branch, created if it does not exist; None for the main branch.

    Returns:
        The commit and the file's sha256: what a `WeightsSpec` names.

    Raises:
        UsageError: not the name of a repository, or a public one that must be private.
        WeightsError: not a weights file of the zoo; no login, no access, no network; or the Hub
            holds other bytes afterwards.
    """
    from convae_zoo.weights.download.hub import upload  # needed for the Hub only

    path = Path(file)
    metadata = read_metadata(path)
    if path.is_dir():
        path /= DEFAULT_FILENAME
    return upload(path, metadata, repo, private=private, revision=revision)
