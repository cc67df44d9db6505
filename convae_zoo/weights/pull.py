"""Download weights by registered name or from a repository."""

from pathlib import Path

from convae_zoo.errors import UsageError, ZooError
from convae_zoo.weights.download.cache import fetch
from convae_zoo.weights.load import read_metadata
from convae_zoo.weights.names import find_file


def pull(name: str, *, revision: str | None = None) -> Path:
    """Download weights by a registered name, or a safetensors file of any repository.

    Args:
        name: ``convae-200.photos``, ``org/name`` or ``org/name/file.safetensors``.
        revision: branch, tag or commit of a repository.

    Returns:
        The verified file, in the cache.

    Raises:
        UnknownNameError: no model or tag has that name.
        UsageError: the name lacks a tag; a revision for a registered name; several files.
        WeightsError: not trained; offline; the download failed, gave other bytes, or gave a file
            that `save_model` did not write, which is not kept.
    """
    if "/" not in name:
        if revision is not None:
            raise UsageError(f"--revision is for repositories; {name} is registered with its own")
        path = Path(str(find_file(name, download=True)))
        read_metadata(name)
        return path
    from convae_zoo.weights.download.hub import locate  # needed for the Hub only

    organisation, repository, *inside = name.split("/")
    path = fetch(locate(f"{organisation}/{repository}", "/".join(inside) or None, revision))
    try:
        read_metadata(path)
    except ZooError:
        path.unlink(missing_ok=True)
        raise
    return path
