"""A package with a plugin to start from: written whole, and working as it is."""

import keyword
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files as package_files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from convae_zoo.errors import FileError, UsageError, unknown
from convae_zoo.files import write_text
from convae_zoo.registry import get_registry
from convae_zoo.registry.distributions import zoo_version
from convae_zoo.registry.kinds import KINDS

DEFAULT_KINDS = ("model", "encoder", "decoder")

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_TEMPLATES = package_files("convae_zoo.scaffold") / "templates" / "plugin"
KINDS_WITH_TEMPLATE = [k for k in KINDS if (_TEMPLATES / f"register/{k}.py.txt").is_file()]
_MODULES = {
    "encoder": "the encoder, an ordinary `nn.Module`",
    "decoder": "the decoder, an ordinary `nn.Module`",
    "loss": "the loss, an ordinary `nn.Module`",
    "dataset": "the dataset: a function that gives uint8 images",
}
_PARTS = ("encoder", "decoder")


def new_plugin(name: str, folder: str | Path, kinds: Sequence[str] = DEFAULT_KINDS) -> list[Path]:
    """Write a package with a plugin that registers an entry of each kind under one name.

    Args:
        name: of the distribution, the plugin and its entries; with ``_`` for ``-`` the package's.
        folder: made; it may be there if it is empty.
        kinds: ``encoder``, ``decoder``, ``loss``, ``dataset``, ``model``. A model joins the
            encoder and decoder of the same plugin where it has them, else those named ``convae``.

    Returns:
        The files that were written.

    Raises:
        UsageError: the name is no package's name or is taken, or the folder is not empty.
        FileError: a file cannot be written; nothing is left.
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
    made_here = not target.exists()
    contents = _contents(name, chosen)
    try:
        for path, text in contents.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            write_text(target / path, text)
    except (OSError, FileError) as error:
        for child in [target] if made_here else list(target.iterdir()):
            shutil.rmtree(child, ignore_errors=True)
        raise (
            error
            if isinstance(error, FileError)
            else FileError(f"cannot write into {folder}: {error.strerror or error}")
        ) from error
    return [target / path for path in contents]


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


def _contents(name: str, kinds: Sequence[str]) -> dict[str, str]:
    """Return the text of each file, by its path in the package's folder."""
    package = name.replace("-", "_")
    prefix = "".join(word.capitalize() for word in re.split("[-_]", name))
    configs = _configs(prefix, kinds)
    own = {part: name if part in kinds else "convae" for part in _PARTS}
    values = {
        "name": name,
        "package": package,
        "prefix": prefix,
        "zoo_version": zoo_version(),
        "summary": f"{_listed([_article(kind) for kind in kinds]).capitalize()}",
        "imports": f"\nfrom {package}.configs import {', '.join(configs)}\n" if configs else "",
        "specs": _specs(kinds),
        "usage": "".join(f"    {line}\n" for line in _usage(name, kinds)),
        "files": _file_rows(package, kinds, configs),
        **own,
    }

    def fill(*templates: str) -> str:
        texts = [(_TEMPLATES / f"{t}.txt").read_text(encoding="utf-8") for t in templates]
        return Template("".join(texts)).substitute(values)

    contents = {
        "pyproject.toml": fill("pyproject.toml"),
        "README.md": fill("README.md"),
        f"{package}/__init__.py": fill("init.py"),
        f"{package}/register.py": fill("register/head.py", *(f"register/{k}.py" for k in kinds)),
        "tests/test_conformance.py": fill("test_conformance.py"),
    }
    if configs:
        blocks = (("part", _PARTS), ("loss", ("loss",)), ("dataset", ("dataset",)))
        chosen = [f"configs/{block}.py" for block, of in blocks if set(of) & set(kinds)]
        contents[f"{package}/configs.py"] = fill("configs/head.py", *chosen)
    for kind in kinds:
        if kind in _MODULES:
            contents[f"{package}/{kind}.py"] = fill(f"{kind}.py")
    return contents


def _configs(prefix: str, kinds: Sequence[str]) -> list[str]:
    """Name the config classes that the kinds need, sorted."""
    names = {f"{prefix}Config" for part in _PARTS if part in kinds}
    names |= {f"{prefix}{kind.capitalize()}Config" for kind in ("loss", "dataset") if kind in kinds}
    return sorted(names)


def _specs(kinds: Sequence[str]) -> str:
    names = [KINDS[kind].spec.__name__ for kind in kinds]
    return ", ".join(sorted([*names, "Recipe"] if "model" in kinds else names))


def _usage(name: str, kinds: Sequence[str]) -> list[str]:
    """Give a command that trains with what the plugin has."""
    model = name if "model" in kinds else "convae-200"
    parts = [name if part in kinds else "convae" for part in _PARTS]
    if "model" not in kinds and name in parts:
        model = "+".join(parts)
    dataset = name if "dataset" in kinds else "photos"
    loss = f" --loss {name}" if "loss" in kinds else ""
    return [f"convae-zoo train {model} --dataset {dataset}{loss} --epochs 1 --out runs/first"]


def _file_rows(package: str, kinds: Sequence[str], configs: Sequence[str]) -> str:
    rows = {"configs": "what can be set, with checks; imports no torch"} if configs else {}
    rows |= {kind: _MODULES[kind] for kind in kinds if kind in _MODULES}
    return "".join(f"| `{package}/{file}.py` | {what} |\n" for file, what in rows.items())


def _article(kind: str) -> str:
    return f"{'an' if kind == 'encoder' else 'a'} {kind}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
