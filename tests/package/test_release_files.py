"""CONTRIBUTING.md, the changelog, the citation and the hooks say what holds."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import convae_zoo
from readme import REPOSITORY, blocks, make_targets

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
DISTRIBUTIONS = [
    path.parent.relative_to(REPOSITORY)
    for path in REPOSITORY.glob("plugins/convae_*/pyproject.toml")
]
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_version_is_in_one_place():
    for folder in DISTRIBUTIONS:
        text = (REPOSITORY / folder / "pyproject.toml").read_text(encoding="utf-8")
        found = tomllib.loads(text)
        assert found["project"]["dynamic"] == ["version"]
        assert version(found["project"]["name"]) == version("convae-zoo") == convae_zoo.__version__


def test_the_versions_of_python_that_are_tested_are_those_that_are_declared():
    tested = re.search(r"for version in (.+); do", (REPOSITORY / ".ci/pythons").read_text())[1]
    prefix = "Programming Language :: Python :: "
    declared = [c.removeprefix(prefix) for c in PROJECT["project"]["classifiers"] if prefix in c]
    assert tested.split() == declared
    assert PROJECT["project"]["requires-python"] == f">={declared[0]}"
    oldest = "py" + declared[0].replace(".", "")
    assert PROJECT["tool"]["ruff"]["target-version"] == oldest
    assert PROJECT["tool"]["mypy"]["python_version"] == declared[0]


def test_the_rooms_of_the_page_are_those_that_the_linter_knows():
    (layers,) = (c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if "layers" in c)
    listed = re.search(
        r"only rooms that come before it in this list:\n\n((?: {4}.+\n)+)", CONTRIBUTING
    )
    assert listed[1].split() == layers[::-1]


def test_every_file_that_the_page_names_exists():
    named = re.findall(r"`([\w./]+/[\w.]*)`|((?:[A-Z]{4,})\.md)", CONTRIBUTING)
    paths = [path or page for path, page in named]
    assert len(paths) > 10
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


def test_every_command_of_the_page_can_be_called():
    for command in (c for block in blocks("CONTRIBUTING.md") for c in block.commands):
        program, *arguments = shlex.split(command)
        tool = Path(program).name
        if tool == "make":
            assert arguments[0] in make_targets(), command
        elif tool == "python":
            assert arguments[:2] == ["-m", "pytest"] or arguments[0].endswith(".py"), command
            paths = [a for a in arguments if "/" in a]
            assert all((REPOSITORY / path).exists() for path in paths), command
        else:
            wanted = [
                re.split("[><=]", need)[0]
                for need in PROJECT["project"]["optional-dependencies"]["dev"]
            ]
            assert tool in wanted, command


def test_every_fragment_of_the_changelog_has_a_known_type():
    types = {each["directory"] for each in PROJECT["tool"]["towncrier"]["type"]}
    fragments = [p for p in (REPOSITORY / "changelog.d").iterdir() if p.name != "README.md"]
    for path in fragments:
        assert re.fullmatch(rf"\+[\w-]+\.({'|'.join(types)})\.md", path.name), path.name
        assert path.read_text(encoding="utf-8").strip().endswith("."), path.name


def test_the_fragments_become_a_section_of_the_changelog():
    pytest.importorskip("towncrier")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "towncrier",
            "build",
            "--draft",
            "--version",
            "9.9",
            "--date",
            "today",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "## 9.9 (today)" in done.stdout
    start = PROJECT["tool"]["towncrier"]["start_string"]
    assert start in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_citation_has_what_its_format_requires():
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert found["license"] == PROJECT["project"]["license"]


def test_the_hooks_before_a_commit_are_the_linters_of_make_lint():
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    lint = re.search(r"^lint:.*\n((?:\t.+\n)+)", makefile, re.MULTILINE)[1]
    called = [line.strip().removeprefix("$(BIN)/") for line in lint.splitlines()]
    cut = [re.sub(r" (--check )?\.$", "", line) for line in called]
    assert [hook.removeprefix(".venv/bin/") for hook in hooks] == cut
