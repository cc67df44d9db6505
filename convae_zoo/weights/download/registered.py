"""The file of registered weights that no package ships: cached, or downloaded on request."""

from pathlib import Path

import attrs

from convae_zoo.errors import WeightsError
from convae_zoo.registry.specs import WeightsSpec
from convae_zoo.weights.download.cache import RemoteFile, cached_path, fetch, find
from convae_zoo.weights.download.network import check_online


def find_registered(name: str, weights: WeightsSpec, *, download: bool) -> Path:
    """Return the verified file of registered weights.

    Args:
        name: of the weights, as in ``convae-200.photos``.
        weights: with a `hub` or `url`, and therefore with a sha256.
        download: download the file if it is not cached.

    Raises:
        WeightsError: not cached and `download` is false; or the download failed or gave other
            bytes.
    """
    sha256 = str(weights.sha256)
    found = find(sha256)
    if found is not None:
        return found
    if not download:
        raise WeightsError(
            f"the weights {name} are not on this machine; download them from "
            f"{weights.hub or weights.url} with 'convae-zoo pull {name}' or "
            "load_model(..., download=True)"
        )
    if weights.url is not None:
        return fetch(RemoteFile(name=name, url=weights.url, sha256=sha256))
    from convae_zoo.weights.download.hub import locate  # needed for the Hub only

    check_online(f"cannot download {name}", f"put the file at {cached_path(sha256)}")
    remote = locate(str(weights.hub), weights.filename, weights.revision)
    if remote.sha256 not in {None, sha256}:
        raise WeightsError(
            f"{remote.name} has sha256 {remote.sha256} on the Hub, but {name} is registered with "
            f"{sha256}; nothing was downloaded"
        )
    return fetch(attrs.evolve(remote, name=name, sha256=sha256))
