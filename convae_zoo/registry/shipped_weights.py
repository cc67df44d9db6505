"""Trained weights in a plugin's own package, listed in its ``weights/index.json``.

A plugin declares its weights in code. Which of them are trained, and their metrics, is data that
``convae-zoo retrain --store`` writes next to the files. Imports no torch.
"""

import json
import os
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from convae_zoo import files
from convae_zoo.errors import FileError, PluginError, WeightsError
from convae_zoo.registry.specs import WeightsSpec

FOLDER = "weights"
INDEX = "index.json"
FORMAT_VERSION = 1

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
    try:
        data = pkgutil.get_data(package, f"{FOLDER}/{INDEX}")
    except FileNotFoundError:
        data = None
    if data is None:
        return Shipped(package, {})
    try:
        return Shipped(package, _entries(data))
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
    try:
        return _entries(path.read_bytes()) if path.exists() else {}
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise WeightsError(f"{path} {error}; repair it or remove it") from error


def add_to_index(folder: str | Path, name: str, entry: Entry) -> None:
    """Add a weights file to the index of its folder.

    Args:
        folder: the package's ``weights``.
        name: ``model.tag``.
        entry: ``sha256``, ``metrics`` and ``card``, as JSON values.

    Raises:
        WeightsError: the existing index cannot be read.
        FileError: it cannot be written.
    """
    entries = {**open_folder(folder), name: entry}
    document = {"format_version": FORMAT_VERSION, "weights": entries}
    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
    files.write_text(Path(folder) / INDEX, text + "\n")


def _entries(data: bytes) -> dict[str, Entry]:
    """Parse an index.

    Raises:
        ValueError: the index is invalid; its name is to go before the message.
    """
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
    return cast("dict[str, Entry]", entries)


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and isinstance(entry.get("metrics"), dict)
        and isinstance(entry.get("card"), dict)
    )
