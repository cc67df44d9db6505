"""A package with a plugin to start from: written whole, and working as it is."""

import contextlib
import keyword
import re
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from convae_zoo.errors import FileError, UsageError, unknown
from convae_zoo.files import claim_output, write_text
from convae_zoo.registry import get_registry
from convae_zoo.scaffold.contents import KINDS_WITH_TEMPLATE, package_contents

DEFAULT_KINDS = ("model", "encoder", "decoder")

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def new_plugin(name: str, folder: str | Path, kinds: Sequence[str] = DEFAULT_KINDS) -> list[Path]:
    """Write a package with a plugin that registers an entry of each kind under one name.

    Args:
        name: of the distribution, the plugin and its entries; the import package has ``_`` for
            ``-``.
        folder: new or empty.
        kinds: of the table of kinds. A model joins the encoder and decoder of the same plugin
            where it has them, else those named ``convae``; weights are of the plugin's own model
            where it has one, else of ``convae-200``.

    Returns:
        The files that were written.

    Raises:
        UsageError: the name cannot name a package or is taken, the folder is not empty, or another
            process is writing it.
        FileError: a file cannot be written; nothing is left in the folder.
    """
    for kind in kinds:
        if kind not in KINDS_WITH_TEMPLATE:
            raise unknown("kind", kind, KINDS_WITH_TEMPLATE)
    chosen = [kind for kind in KINDS_WITH_TEMPLATE if kind in kinds]
    if not chosen:
        raise UsageError(f"a plugin needs a kind: one or more of {', '.join(KINDS_WITH_TEMPLATE)}")
    _check_name(name, chosen)
    target = Path(folder)
    _check_folder(target)
    contents = package_contents(name, chosen)
    try:
        with claim_output(target):
            _check_folder(target)  # another process may have written it meanwhile
            _write_tree(target, contents)
    except OSError as error:
        raise FileError(f"cannot write into {folder}: {error.strerror or error}") from error
    return [target / path for path in contents]


def _write_tree(target: Path, contents: Mapping[str, str]) -> None:
    """Write files below a new or empty folder: all of them, or none.

    They are written aside and renamed; whatever interrupts that, no torn package remains.
    """
    existed = target.exists()
    aside = (target if existed else target.parent) / f".tmp-{secrets.token_hex(8)}"
    moved: list[Path] = []
    try:
        for path, text in contents.items():
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            write_text(aside / path, text)
        if not existed:
            aside.rename(target)
            return
        for child in list(aside.iterdir()):
            moved.append(target / child.name)
            child.rename(moved[-1])
        aside.rmdir()
    except BaseException:
        for child in moved:
            with contextlib.suppress(OSError):
                shutil.rmtree(child) if child.is_dir() else child.unlink()
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _check_name(name: str, kinds: Sequence[str]) -> None:
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise UsageError(
            f"{name!r} is no name for a package: give lower-case letters and digits, the first a "
            "letter, with single '-' or '_' between, such as convae-tiny"
        )
    registry = get_registry()
    for plugin in registry.plugins:
        if plugin.name == name:
            raise UsageError(
                f"there is a plugin {name!r} already, of {plugin.provenance.distribution}; "
                "choose another name"
            )
    for kind in kinds:
        taken = registry.entries[kind].get(name)
        if taken is not None and taken.provenance is not None:
            raise UsageError(
                f"there is {kind} {name!r} already, of {taken.provenance.distribution}; "
                "choose another name"
            )
    if package in sys.stdlib_module_names or find_spec(package) is not None:
        raise UsageError(
            f"{name!r} would hide the installed module {package!r}; choose another name"
        )


def _check_folder(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "is not empty" if folder.is_dir() else "is a file"
            raise UsageError(f"{folder} {what}; choose a new or an empty folder")
    except OSError as error:
        raise FileError(f"cannot use {folder}: {error.strerror or error}") from error
