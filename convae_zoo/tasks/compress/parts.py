"""The folder of finished parts, ``OUT.parts``; what a user puts into it is not touched."""

import contextlib
import json
from pathlib import Path
from typing import Any

from convae_zoo import files
from convae_zoo.errors import DataError, FileError, UsageError
from convae_zoo.tasks.compress.latents import open_latents

_PLAN = "plan.json"
_OURS = ("part-*.safetensors", ".tmp-*", ".lock-*", _PLAN)
"""What is removed, in this order: whose the parts are must be known until the last is gone."""


def parts_folder(out: Path) -> Path:
    """Return the folder of a latents file's parts."""
    return out.with_name(out.name + ".parts")


def open_parts(folder: Path, plan: dict[str, Any]) -> None:
    """Make the folder of the parts; parts of another plan are removed.

    Args:
        folder: where they lie.
        plan: what is encoded, with what and how.

    Raises:
        UsageError: a folder is there that encoding did not make.
        FileError: it cannot be used.
    """
    text = json.dumps(plan, sort_keys=True)
    record = folder / _PLAN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = record.read_text("utf-8") if record.exists() else None
        if not _is_plan(found) and any(folder.iterdir()) and not _only_leftovers(folder):
            raise UsageError(
                f"{folder} is there already, and encode did not make it; move it away, or choose "
                "another --out"
            )
        if found != text:
            _remove_ours(folder)
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot use {folder}: {getattr(error, 'strerror', error)}") from error
    if found != text:
        files.write_text(record, text)


def is_finished(part: Path) -> bool:
    """Tell whether a part is there, whole; a damaged one is encoded again."""
    try:
        open_latents(part)
    except DataError:
        return False
    return True


def remove_parts(folder: Path) -> None:
    """Remove the parts, and their folder where nothing else is in it."""
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
    """Tell whether all that is there is what a killed process was writing."""
    return all(path.name.startswith((".tmp-", ".lock-")) for path in folder.iterdir())
