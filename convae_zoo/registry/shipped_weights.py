"""Trained weights in a plugin's own package, listed in its ``weights/index.json``.

A plugin declares its weights in code. Which of them are trained, and their metrics, is data that
``convae-zoo retrain --store`` writes next to the files. Imports no torch.
"""

import contextlib
import hashlib
import json
import os
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from convae_zoo import files
from convae_zoo.errors import FileError, PluginError, WeightsError
from convae_zoo.registry.specs import WeightsSpec

FOLDER = "weights"
INDEX = "index.json"
FORMAT_VERSION = 1
_REPLACED = "replaced"

Entry = dict[str, Any]


@attrs.frozen
class Shipped:
    """The weights files of a package.

    Attributes:
        package: the package's import name.
        entries: the sha256, metrics and card of each file, by ``model.tag``.
    """

    package: str
    entries: Mapping[str, Entry]

    def fill(self, model: str, weights: WeightsSpec) -> WeightsSpec:
        """Add the file and its metrics to declared weights; without a file, return them as is."""
        name = f"{model}.{weights.tag}"
        entry = self.entries.get(name)
        if entry is None:
            return weights
        return attrs.evolve(
            weights,
            file=f"{self.package}:{FOLDER}/{name}.safetensors",
            sha256=entry["sha256"],
            metrics=entry["metrics"],
            card=entry["card"],
        )


def shipped_weights(package: str) -> Shipped:
    """Read the index of a package's weights; a package without one ships none.

    Args:
        package: its import name; it is imported.

    Raises:
        PluginError: the index is damaged, or of a newer format.
    """

    def read(name: str) -> bytes | None:
        try:
            return pkgutil.get_data(package, f"{FOLDER}/{name}")
        except FileNotFoundError:
            return None

    try:
        return Shipped(package, _entries(read))
    except ValueError as error:
        raise PluginError(f"{FOLDER}/{INDEX} of package {package!r} {error}") from error


def open_folder(folder: str | Path) -> dict[str, Entry]:
    """Create a package's ``weights`` folder if it is missing, and read its index.

    Raises:
        WeightsError: the existing index cannot be read.
        FileError: the folder cannot be created or written.
    """
    path = Path(folder) / INDEX
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {folder}: {error.strerror or error}") from error
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"cannot write {folder}: permission denied")

    def read(name: str) -> bytes | None:
        file = path.with_name(name)
        return file.read_bytes() if file.exists() else None

    try:
        return _entries(read)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise WeightsError(f"{path} {error}; repair it or remove it") from error


@contextlib.contextmanager
def replacing(folder: str | Path, name: str, entry: Entry) -> Iterator[None]:
    """Add a weights file to the index of its folder; the block puts the file in place.

    A file and an index cannot be replaced at once. While the block runs, the index has the old
    entry, too, and the sha256 of the file decides which one holds. A process that is killed at any
    moment leaves an index that is true of the file.

    Args:
        folder: the package's ``weights``.
        name: ``model.tag``.
        entry: ``sha256``, ``metrics`` and ``card``, as JSON values.

    Raises:
        WeightsError: the existing index cannot be read.
        FileError: it cannot be written.
    """
    entries = open_folder(folder)
    if name in entries:
        _write_index(folder, {**entries, name: {**entry, _REPLACED: entries[name]}})
    yield
    _write_index(folder, {**entries, name: entry})


def _write_index(folder: str | Path, entries: Mapping[str, Entry]) -> None:
    document = {"format_version": FORMAT_VERSION, "weights": entries}
    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
    files.write_text(Path(folder) / INDEX, text + "\n")


def _entries(read: Callable[[str], bytes | None]) -> dict[str, Entry]:
    """Read the index of a folder; without one there are no entries.

    Args:
        read: returns the content of a file of the folder; None if it does not exist.

    Raises:
        ValueError: the index is invalid; its name is to go before the message.
    """
    data = read(INDEX)
    if data is None:
        return {}
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"has format_version {version!r}; this convae_zoo reads {FORMAT_VERSION}")
    entries = document.get("weights")
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
        raise ValueError("must hold 'weights', each with sha256, metrics and card")
    for name, entry in entries.items():
        replaced = entry.pop(_REPLACED, None)  # a store was killed
        if _is_entry(replaced):
            content = read(f"{name}.safetensors") or b""
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                entries[name] = replaced
    return cast("dict[str, Entry]", entries)


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and isinstance(entry.get("metrics"), dict)
        and isinstance(entry.get("card"), dict)
    )
