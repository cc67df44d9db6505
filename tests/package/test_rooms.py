"""A planted import that pyproject.toml forbids breaks its contract."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter")

ROOT = Path(__file__).parents[2]
UP = "A room imports only rooms above it BROKEN"
CIRCLE = "No circles, neither among the rooms nor among the files of one BROKEN"
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"
TOP = "from convae_zoo.training import train\n"
INSIDE = "\n\ndef late():\n    from convae_zoo.training import train\n"


@pytest.fixture
def check(tmp_path):
    """A function that checks the contracts on a copy of the package: its exit status and stdout."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for source in (ROOT / "convae_zoo").rglob("*.py"):
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)

    def run():
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from importlinter.cli import *; lint_imports_command()",
                "--no-cache",
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def test_the_current_imports_keep_the_contract(check):
    assert check()[0] == 0


@pytest.mark.parametrize(
    ("file", "code", "broken"),
    [
        ("data/load.py", TOP, UP),
        ("data/load.py", INSIDE, UP),
        ("errors.py", INSIDE, UP),
        ("attic.py", "", UP),
        ("registry/specs.py", "from convae_zoo.registry import collect\n", CIRCLE),
    ],
    ids=[
        "at the top",
        "in a function",
        "from the lowest",
        "a room of no layer",
        "a circle of files",
    ],
)
def test_a_planted_import_breaks_one(check, tmp_path, file, code, broken):
    with (tmp_path / "convae_zoo" / file).open("a") as source:
        source.write(code)
    status, printed = check()
    assert status == 1
    assert broken in printed
