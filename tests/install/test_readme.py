"""The blocks of README and docs do what the text says, run in order, from the text itself."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
from itertools import groupby
from pathlib import Path

import click
import pytest
from PIL import Image
from skimage import data

from convae_zoo.cli import cli
from readme import PAGES, REPOSITORY, Block, make_targets

pytestmark = pytest.mark.slow

PLUGIN = REPOSITORY / "plugins" / "tiny_encoder"
TUTORIAL = "docs/plugin_tutorial.md"
ALL = [block for page in PAGES.values() for block in page]
LEFT_OUT = [block for block in ALL if block.not_run is not None]
READER = Path(__file__).parent / "reader.py"
PIP = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'
OFFLINE = {
    "CONVAE_ZOO_OFFLINE": "1",
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip reads the option's name: 0 means no isolation
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


def steps(block: Block) -> list[tuple[str, str, str]]:
    """What a reader does with a block: writes the file that is named, or runs what is there."""
    where = f"{block.page}:{block.line}"
    if block.file is not None:
        return [("file", block.file, block.text)]
    if block.language == "python":
        return [("python", where, block.text)]
    return [("command", where, command) for command in block.commands]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder per page, each with a photograph and a folder of pictures cut from another."""
    made = tmp_path_factory.mktemp("reader") / "pictures"
    made.mkdir()
    Image.fromarray(data.chelsea()).save(made / "photo.jpg")
    (made / "my_images").mkdir()
    coffee = Image.fromarray(data.coffee())
    for row in range(5):
        for column in range(8):
            box = (70 * column, 70 * row, 70 * column + 64, 70 * row + 64)
            coffee.crop(box).save(made / "my_images" / f"{row}{column}.png")
    for page in PAGES:
        shutil.copytree(made, _folder_of(page, made.parent))
    return made.parent


def _folder_of(page: str, folder: Path) -> Path:
    return folder / Path(page).stem


@pytest.fixture(scope="module")
def reader(fresh_environment):
    """The fresh environment, with the packages of the README's first command and a ``pip``.

    What the pages install is uninstalled afterwards.
    """
    pip = fresh_environment.root / "bin" / "pip"
    pip.write_text(PIP)
    pip.chmod(0o755)
    yield fresh_environment
    fresh_environment.pip("uninstall", "--yes", "tiny-encoder", "my-encoders")


@pytest.fixture(scope="module")
def done(reader, folder):
    """Every block, executed; the folders of the pages."""
    at = folder
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_"))}
    path = f"{reader.root / 'bin'}:{inherited['PATH']}"
    environment = {**inherited, **OFFLINE, "PATH": path, "OMP_NUM_THREADS": "1"}
    todo = []
    for page, found in PAGES.items():
        todo.append(("page", page, str(_folder_of(page, folder))))
        todo += [step for block in found if block.is_run for step in steps(block)]
    # A process that is running does not see what pip installs: the next commands get a new one.
    for _, group in groupby(todo, key=lambda step: step[2].startswith("pip ")):
        finished = subprocess.run(
            [reader.root / "bin" / "python", READER, at],
            input=json.dumps(list(group)),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        at = Path(finished.stdout.splitlines()[-1])
    return folder


def test_every_block_runs_and_writes_what_it_names(done):
    written = [
        (block, out)
        for block in ALL
        if block.is_run
        for out in re.findall(r"--out (\S+)", " ".join(block.commands))
    ]
    assert len(written) > 10
    for block, out in written:
        place = _folder_of(block.page, done)
        found = [place / out, place / "tiny-encoder" / out]
        assert any(path.exists() for path in found), f"{block.page}: {out}"


def test_the_tutorial_is_all_of_the_plugin_in_the_repository(done):
    files = [p for p in PLUGIN.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    in_text = {block.file for block in PAGES[TUTORIAL] if block.file is not None}
    assert in_text == {str(p.relative_to(PLUGIN)) for p in files}
    made = _folder_of(TUTORIAL, done) / "tiny-encoder"
    assert all((made / p.relative_to(PLUGIN)).read_bytes() == p.read_bytes() for p in files)


def test_the_installed_plugin_trained(done):
    run = _folder_of(TUTORIAL, done) / "tiny-encoder/runs/tiny"
    history = [json.loads(line) for line in (run / "history.jsonl").open()]
    assert [line["epoch"] for line in history if line["kind"] == "epoch"] == [1]


@pytest.mark.parametrize("block", LEFT_OUT, ids=lambda b: f"{b.page}:{b.line}")
def test_a_block_that_is_not_run_needs_more_than_a_minute_or_the_network(block):
    """Its commands are parsed, so that no option in it is unknown."""
    assert re.search("minutes|network", block.not_run)
    for command in block.commands:
        program, *arguments = shlex.split(command)
        if program == "make":
            assert arguments[0] in make_targets(), command
        elif program == "convae-zoo":
            parsed = cli.get_command(click.Context(cli), arguments[0])
            parsed.make_context(arguments[0], arguments[1:])
        elif program == "torchrun":
            command_name, *given = arguments[arguments.index("convae_zoo") + 1 :]
            cli.get_command(click.Context(cli), command_name).make_context(command_name, given)
        elif arguments[:1] == ["-m"]:
            script = importlib.import_module(arguments[1]).main
            script.make_context(arguments[1], arguments[2:])
        else:
            assert command == "pip install convae-zoo convae-zoo-weights"
