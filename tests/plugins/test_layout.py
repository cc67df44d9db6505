"""Every plugin has the same files, and uses of the zoo only what is public."""

import ast
import re
from pathlib import Path

import pytest

from convae_zoo.registry import get_registry
from convae_zoo.registry.specs import EmptyConfig

PLUGINS = Path(__file__).parents[2] / "plugins"
PACKAGES = [p.parent for p in sorted(PLUGINS.rglob("register.py"))]


def imported(file: Path) -> set[str]:
    """The modules that a file imports from, those inside functions too."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}


def test_every_folder_holds_a_plugin():
    folders = {p.name for p in PLUGINS.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert {package.name for package in PACKAGES} == folders


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_plugin_is_one_flat_package(package):
    assert (package / "__init__.py").is_file()
    assert [p for p in package.rglob("*.py") if p.parent != package] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_plugin_imports_the_zoo_and_its_rooms_but_no_module_inside_a_room(package):
    used = set.union(*map(imported, package.glob("*.py")))
    assert [module for module in used if re.match(r"convae_zoo\.\w+\.", module)] == []


def test_configs_are_in_configs_and_each_factory_in_a_module_of_the_package():
    ours = {"convae-zoo", "convae-backbones", "convae-zoo-weights"}
    entries = [spec for specs in get_registry().entries.values() for spec in specs.values()]
    checked = 0
    for spec in entries:
        if spec.provenance.distribution in ours and hasattr(spec, "factory"):
            assert re.fullmatch(r"\w+\.(?!register|configs)\w+:\w+", spec.factory), spec.name
            package = spec.factory.partition(".")[0]
            assert spec.config is EmptyConfig or spec.config.__module__ == f"{package}.configs"
            checked += 1
    assert checked > 20
