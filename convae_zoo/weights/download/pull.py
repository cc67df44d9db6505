"""Weights by name or repository, fetched when they are asked for."""

from pathlib import Path

import attrs

from convae_zoo.errors import UsageError, WeightsError, ZooError
from convae_zoo.registry.specs import WeightsSpec
from convae_zoo.weights.download import cache
from convae_zoo.weights.download.network import check_online


def stored_elsewhere(name: str, weights: WeightsSpec, *, download: bool) -> Path:
    """Return the verified file of weights that are not in a package.

    Args:
        name: of the weights, as in ``convae-200.photos``.
        weights: with a `hub` or `url`, and so with a sha256.
        download: fetch them where they are not in the cache.

    Raises:
        WeightsError: not in the cache and not to be fetched; or the download failed, or gave
            other bytes.
    """
    sha256 = str(weights.sha256)
    found = cache.find(sha256)
    if found is not None:
        return found
    if not download:
        raise WeightsError(
            f"the weights {name} are not on this machine; fetch them from "
            f"{weights.hub or weights.url} with 'convae-zoo pull {name}' or "
            "load_model(..., download=True)"
        )
    if weights.url is not None:
        return cache.fetch(cache.RemoteFile(name=name, url=weights.url, sha256=sha256))
    from convae_zoo.weights.download.hub import locate

    check_online(f"cannot fetch {name}", f"put the file at {cache.place(sha256)}")
    remote = locate(str(weights.hub), weights.filename, weights.revision)
    if remote.sha256 not in {None, sha256}:
        raise WeightsError(
            f"{remote.name} has sha256 {remote.sha256} on the Hub, but {name} is registered with "
            f"{sha256}; nothing was fetched"
        )
    return cache.fetch(attrs.evolve(remote, name=name, sha256=sha256))


def pull(name: str, *, revision: str | None = None) -> Path:
    """Fetch weights by a registered name, or a safetensors file from any repository.

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
    from convae_zoo.weights.load import read_metadata
    from convae_zoo.weights.names import find_file

    if "/" not in name:
        if revision is not None:
            raise UsageError(f"--revision is for repositories; {name} is registered with its own")
        path = Path(str(find_file(name, download=True)))
        read_metadata(name)
        return path
    from convae_zoo.weights.download.hub import locate

    organisation, repository, *inside = name.split("/")
    repo = f"{organisation}/{repository}"
    path = cache.fetch(locate(repo, "/".join(inside) or None, revision))
    try:
        read_metadata(path)
    except ZooError:
        path.unlink(missing_ok=True)
        raise
    return path
