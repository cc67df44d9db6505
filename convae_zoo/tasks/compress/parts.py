"""The folder of finished work, ``OUT.parts``; a user's own files in it are not touched."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convae_zoo import files
from convae_zoo.errors import DataError, FileError, UsageError
from convae_zoo.tasks.compress.latents import open_latents

_PLAN = "plan.json"
PICTURES = "pictures.jsonl"
"""The list of finished pictures."""

_OURS = ("part-*.safetensors", PICTURES, ".tmp-*", ".lock-*", _PLAN)
"""The files to remove, in this order: the plan identifies the parts until the last is removed."""


def parts_folder(out: Path) -> Path:
    """Return the folder of an output's finished parts, beside it."""
    named = out.resolve() if out.name in {"", ".."} else out
    return named.parent / f"{named.name}.parts"


def open_parts(folder: Path, plan: dict[str, Any]) -> None:
    """Create the folder of the parts, and remove parts of another plan.

    Args:
        folder: the folder.
        plan: the images, the model and the settings.

    Raises:
        UsageError: the folder exists and was not created by this function.
        FileError: it cannot be used.
    """
    text = json.dumps(plan, sort_keys=True)
    record = folder / _PLAN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = record.read_text("utf-8") if record.exists() else None
        if not _is_plan(found) and any(folder.iterdir()) and not _only_leftovers(folder):
            raise UsageError(
                f"{folder} already exists and was not created by this command; move it away, "
                "or choose another --out"
            )
        if found != text:
            _remove_ours(folder)
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot use {folder}: {getattr(error, 'strerror', error)}") from error
    if found != text:
        files.write_text(record, text)


def digest_files(images: Sequence[tuple[str, Path]]) -> str:
    """Identify a list of files by names, sizes and modification times, without reading them."""
    digest = hashlib.sha256()
    for name, path in images:
        try:
            status = path.stat()
            mark = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            mark = "missing"
        digest.update(f"{name}\0{mark}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def is_finished(part: Path) -> bool:
    """Return whether a part exists and is intact; a damaged part is encoded again."""
    try:
        open_latents(part)
    except DataError:
        return False
    return True


def remove_parts(folder: Path) -> None:
    """Remove the parts, and their folder if nothing else is in it."""
    with contextlib.suppress(OSError):
        _remove_ours(folder)
        folder.rmdir()


def _remove_ours(folder: Path) -> None:
    for pattern in _OURS:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _is_plan(text: str | None) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        plan = json.loads(text or "")
        return isinstance(plan, dict) and {"weights_sha256", "images"} <= plan.keys()
    return False


def _only_leftovers(folder: Path) -> bool:
    """Return whether a folder contains only the temporary files of a killed process."""
    return all(path.name.startswith((".tmp-", ".lock-")) for path in folder.iterdir())
