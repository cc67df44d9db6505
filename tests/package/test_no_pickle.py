"""Nothing that a user gives is unpickled: no module of the zoo or of its plugins calls a loader."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(
    path for folder in ("convae_zoo", "plugins") for path in (REPOSITORY / folder).rglob("*.py")
)

UNPICKLING_MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}
"""Modules whose loaders unpickle; no name of them is used but those of `ERRORS`."""

ERRORS = {"pickle.PickleError", "pickle.UnpicklingError"}
"""What may be caught: torchvision's own weights are read by torch's restricted unpickler."""

LOADERS = {
    "torch.load",
    "torch.hub.load_state_dict_from_url",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "pandas.read_pickle",
    "marshal.load",
    "marshal.loads",
    "yaml.load",
    "yaml.unsafe_load",
}
"""Functions that unpickle, or run what they read."""

NUMPY_LOADERS = {"numpy.load", "numpy.lib.npyio.NpzFile", "numpy.lib.format.read_array"}
"""Functions that unpickle if they are told to."""

EXCEPTIONS = {
    "plugins/convae_datasets/torchvision_sets.py": "torchvision.datasets",
}
"""Files that call a reader which unpickles: torchvision's own, of CIFAR's official archives.

torchvision compares the archive's md5 with the published one before it reads it.
"""


def names_in(tree: ast.AST) -> dict[str, str]:
    """Map each name that a module imports to what it stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                first = each.name.partition(".")[0]
                names[each.asname or first] = each.name if each.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                names[each.asname or each.name] = f"{node.module}.{each.name}"
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Return the full name of an expression such as ``np.load``; empty if it has none."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def is_of_pickle(name: str) -> bool:
    """Tell whether a full name is something in a module that unpickles."""
    module, dot, _ = name.partition(".")
    return bool(dot) and module in UNPICKLING_MODULES


def unpickling(source: str) -> Iterator[str]:
    """Name what a module's source imports or uses that unpickles."""
    tree = ast.parse(source)
    names = names_in(tree)
    yield from (n for n in names.values() if n in UNPICKLING_MODULES - {"pickle"})
    yield from (n for n in names.values() if n not in ERRORS and is_of_pickle(n))
    for node in ast.walk(tree):
        name = dotted(node, names) if isinstance(node, ast.Attribute | ast.Name) else ""
        if name in LOADERS or (name not in ERRORS and is_of_pickle(name)):
            yield name
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get_state_dict":
            safe = [k.value for k in node.keywords if k.arg == "weights_only"]
            if not (safe and isinstance(safe[0], ast.Constant) and safe[0].value is True):
                yield "torchvision's weights without weights_only=True"
        if isinstance(node, ast.Call):
            called = dotted(node.func, names)
            allowed = [k.value for k in node.keywords if k.arg in {"allow_pickle", None}]
            is_off = all(isinstance(v, ast.Constant) and v.value is False for v in allowed)
            if called in NUMPY_LOADERS and not is_off:
                yield f"{called} with allow_pickle"
            if called in {"__import__", "importlib.import_module"} and any(
                isinstance(a, ast.Constant) and a.value in UNPICKLING_MODULES for a in node.args
            ):
                yield f"{called} of a module that unpickles"


def test_no_module_unpickles():
    assert len(SOURCES) > 150
    found = {
        path.relative_to(REPOSITORY).as_posix(): sorted(set(unpickling(path.read_text("utf-8"))))
        for path in SOURCES
    }
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x', weights_only=False)",
        "from torch import load\nload('x')",
        "from torch import load as read\nread('x')",
        "import torch\nreader = torch.load",
        "import torch\ntorch.hub.load_state_dict_from_url('x')",
        "from torch import jit\njit.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=given)",
        "import numpy as np\nnp.load('x', **options)",
        "import pickle\npickle.load(file)",
        "import pickle as p\np.Unpickler(file)",
        "weights.get_state_dict(progress=False)",
        "weights.get_state_dict(weights_only=False)",
        "def read():\n    from pickle import loads\n",
        "import joblib",
        "import importlib\nimportlib.import_module('pickle')",
        "__import__('pickle')",
    ],
)
def test_a_planted_loader_is_found(line):
    assert list(unpickling(line))


@pytest.mark.parametrize(
    "line",
    [
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import json\njson.load(file)",
        "model.load('x')",
        "import pickle\ntry:\n    f()\nexcept pickle.PickleError:\n    pass",
        "weights.get_state_dict(weights_only=True)",
    ],
)
def test_what_does_not_unpickle_is_left_alone(line):
    assert not list(unpickling(line))


def test_only_the_named_files_use_a_reader_of_another_package_that_unpickles():
    """Torchvision's CIFAR reader unpickles the official archive, whose md5 it checks first."""
    users = {
        path.relative_to(REPOSITORY).as_posix()
        for path in SOURCES
        for name in names_in(ast.parse(path.read_text("utf-8"))).values()
        if name.startswith("torchvision.datasets")
    }
    assert users == set(EXCEPTIONS)
