"""The files of a new plugin's package, made from the templates."""

import re
from collections.abc import Sequence
from importlib.resources import files as package_files
from string import Template

from convae_zoo.registry.distributions import zoo_version
from convae_zoo.registry.kinds import KINDS

_TEMPLATES = package_files("convae_zoo.scaffold") / "templates" / "plugin"
KINDS_WITH_TEMPLATE = [k for k in KINDS if (_TEMPLATES / f"register/{k}.py.txt").is_file()]

_PARTS = ("encoder", "decoder")
_CONFIGURED = ("loss", "dataset", "corruption", "score")
"""Kinds with a config class of their own; the two parts share one."""

_MODULES = {
    "encoder": "the encoder, an ordinary `nn.Module`",
    "decoder": "the decoder, an ordinary `nn.Module`",
    "loss": "the loss, an ordinary `nn.Module`",
    "dataset": "the dataset: a function that returns uint8 images",
    "corruption": "the corruption: a function that damages uint8 images",
    "score": "the anomaly score, fitted to normal images",
}
_LINE = 100


def package_contents(name: str, kinds: Sequence[str]) -> dict[str, str]:
    """Return the text of each file, by its path in the package's folder.

    Args:
        name: of the distribution, the plugin and its entries.
        kinds: in the order of the table of kinds.
    """
    package = name.replace("-", "_")
    prefix = "".join(word.capitalize() for word in re.split("[-_]", name))
    configs = _configs(prefix, kinds)
    model = name if "model" in kinds else "convae-200"
    values = {
        "name": name,
        "package": package,
        "prefix": prefix,
        "zoo_version": zoo_version(),
        "summary": _listed([_article(kind) for kind in kinds]).capitalize(),
        "zoo_import": _import("convae_zoo", _zoo_names(kinds)),
        "imports": f"\n{_import(f'{package}.configs', configs)}\n" if configs else "",
        "usage": "".join(f"    {line}\n" for line in _usage(name, kinds)),
        "files": _file_rows(package, kinds, configs),
        "model": model,
        "dataset": name if "dataset" in kinds else "photos",
        **{part: name if part in kinds else "convae" for part in _PARTS},
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
        part = ["part"] if set(_PARTS) & set(kinds) else []
        blocks = [*part, *(kind for kind in _CONFIGURED if kind in kinds)]
        contents[f"{package}/configs.py"] = fill(
            "configs/head.py", *(f"configs/{block}.py" for block in blocks)
        )
    for kind in kinds:
        if kind in _MODULES:
            contents[f"{package}/{kind}.py"] = fill(f"{kind}.py")
    return contents


def _configs(prefix: str, kinds: Sequence[str]) -> list[str]:
    """Name the config classes that the kinds need."""
    names = {f"{prefix}Config" for part in _PARTS if part in kinds}
    return [*names, *(f"{prefix}{k.capitalize()}Config" for k in _CONFIGURED if k in kinds)]


def _zoo_names(kinds: Sequence[str]) -> list[str]:
    """Name what the registering module imports from the zoo."""
    names = ["Registrar", "hookimpl", *(KINDS[kind].spec.__name__ for kind in kinds)]
    names += ["Recipe"] if "model" in kinds else []
    names += ["shipped_weights"] if "weights" in kinds else []
    return names


def _import(module: str, names: Sequence[str]) -> str:
    """Write an import, sorted as ruff sorts it: classes before functions."""
    ordered = sorted(names, key=lambda name: (name.islower(), name))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= _LINE:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")"


def _usage(name: str, kinds: Sequence[str]) -> list[str]:
    """Give commands that use what the plugin has."""
    model = name if "model" in kinds else "convae-200"
    parts = [name if part in kinds else "convae" for part in _PARTS]
    if "model" not in kinds and name in parts:
        model = "+".join(parts)
    dataset = name if "dataset" in kinds else "photos"
    loss = f" --loss {name}" if "loss" in kinds else ""
    lines = [f"convae-zoo show --kind {kind} {name}" for kind in ("corruption", "score")]
    lines = [line for line in lines if line.split()[3] in kinds]
    if {"model", "dataset", "loss", *_PARTS} & set(kinds):
        lines.append(f"convae-zoo train {model} --dataset {dataset}{loss} --epochs 1 --out runs/1")
    if "weights" in kinds:
        folder = f"{name.replace('-', '_')}/weights"
        model = name if "model" in kinds else "convae-200"
        lines.append(f"convae-zoo retrain {model}.{name} --store {folder}")
    return lines


def _file_rows(package: str, kinds: Sequence[str], configs: Sequence[str]) -> str:
    rows = {"configs": "what can be set, with checks; imports no torch"} if configs else {}
    rows |= {kind: _MODULES[kind] for kind in kinds if kind in _MODULES}
    return "".join(f"| `{package}/{file}.py` | {what} |\n" for file, what in rows.items())


def _article(kind: str) -> str:
    if kind == "weights":
        return "trained weights"
    return f"{'an' if kind == 'encoder' else 'a'} {kind}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
