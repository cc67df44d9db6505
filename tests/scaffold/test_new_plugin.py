"""new-plugin: what it writes works as it is, and what it cannot write is refused."""

import ast
import json
import re
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convae_zoo.errors import FileError, UnknownNameError, UsageError
from convae_zoo.scaffold.new_plugin import DEFAULT_KINDS, KINDS_WITH_TEMPLATE, new_plugin

SMALL = ("--epochs", "1", "--batch-size", "8", "--device", "cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(20):
        pixels = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def test_it_writes_a_package_of_the_chosen_kinds_whose_code_parses(tmp_path):
    written = new_plugin("tiny-ae", tmp_path / "tiny", ["loss", "encoder"])
    names = {str(path.relative_to(tmp_path / "tiny")) for path in written}
    assert names == {
        "pyproject.toml",
        "README.md",
        "tests/test_conformance.py",
        *(f"tiny_ae/{n}.py" for n in ("__init__", "register", "configs", "encoder", "loss")),
    }
    for path in written:
        text = path.read_text()
        assert "$" not in text
        if path.suffix == ".py":
            ast.parse(text)


def test_what_it_registers_imports_no_torch(tmp_path):
    for path in new_plugin("tiny", tmp_path / "tiny", KINDS_WITH_TEMPLATE):
        if path.name in {"register.py", "configs.py"}:
            assert not re.search(r"^(import|from) torch", path.read_text(), re.MULTILINE)


def test_by_default_it_has_an_encoder_a_decoder_and_a_model(tmp_path):
    new_plugin("tiny", tmp_path / "tiny")
    source = (tmp_path / "tiny" / "tiny" / "register.py").read_text()
    assert re.findall(r"def register_(\w+)s\(", source) == list(DEFAULT_KINDS)


def test_an_empty_folder_that_is_there_is_used(tmp_path):
    new_plugin("tiny", tmp_path)
    assert (tmp_path / "pyproject.toml").exists()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty; choose a new or an empty folder$"):
        new_plugin("tiny", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file; choose"):
        new_plugin("tiny", tmp_path / "file")
    with pytest.raises(FileError, match=r"cannot .*: Not a directory"):
        new_plugin("tiny", tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Tiny", "'Tiny' is no name for a package: give lower-case letters"),
        ("2d", "is no name for a package"),
        ("tiny ae", "is no name for a package"),
        ("../tiny", "is no name for a package"),
        ("tiny--ae", "is no name for a package"),
        ("", "is no name for a package"),
        ("class", "is no name for a package"),
        ("json", "would hide the installed module 'json'"),
        ("torch", "would hide the installed module 'torch'"),
        ("convae-zoo", "would hide the installed module 'convae_zoo'"),
        ("reference", "there is a plugin 'reference' already, of convae-zoo; choose another"),
        ("convae", "there is encoder 'convae' already, of convae-zoo; choose another"),
    ],
)
def test_a_bad_or_taken_name_is_refused_in_one_line(name, message, tmp_path):
    with pytest.raises(UsageError, match=message) as caught:
        new_plugin(name, tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_./$ é", max_size=8))
def test_a_name_is_accepted_only_if_python_can_import_it(name):
    from convae_zoo.scaffold.new_plugin import _check_name

    try:
        _check_name(name, ["loss"])
    except UsageError:
        return
    assert name.replace("-", "_").isidentifier()
    assert name == name.lower()


def test_an_unknown_kind_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown kind 'encodr'; did you mean 'encoder'"):
        new_plugin("tiny", tmp_path / "tiny", ["encodr"])
    with pytest.raises(UsageError, match="a plugin needs a kind"):
        new_plugin("tiny", tmp_path / "tiny", [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds", [*([kind] for kind in KINDS_WITH_TEMPLATE), KINDS_WITH_TEMPLATE], ids="+".join
)
def test_installed_as_it_is_it_passes_its_tests_and_trains(
    kinds, fresh_environment, pictures, tmp_path
):
    """In a fresh environment: new-plugin, pip install, its own tests, verify, train."""
    zoo, folder = fresh_environment, tmp_path / "plugin"
    options = [word for kind in kinds for word in ("--kind", kind)]
    done = zoo.zoo("new-plugin", "sprout", str(folder), *options)
    assert done.returncode == 0, done.stderr
    zoo.install(folder)
    try:
        done = zoo.python("-m", "pytest", str(folder), "-q", "-p", "no:cacheprovider")
        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout

        # All of it once; of a single kind its own tests have just checked the same properties.
        quick = [] if len(kinds) > 1 else ["--property", "listing", "--property", "bad-config"]
        done = zoo.zoo("verify", "--plugin", "sprout", "--examples", "2", "--json", *quick)
        assert done.returncode == 0, done.stdout + done.stderr
        results = json.loads(done.stdout)["results"]
        assert {(r["kind"], r["distribution"]) for r in results} == {(k, "sprout") for k in kinds}
        assert {r["status"] for r in results} <= {"passed", "skipped"}

        readme = (folder / "README.md").read_text()
        (command,) = re.findall(
            r"^    convae-zoo (train .*) --epochs 1 --out", readme, re.MULTILINE
        )
        command = command.replace("photos", f"image-folder --data {pictures}")
        done = zoo.zoo(*command.split(), *SMALL, "--out", str(tmp_path / "run"))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "run" / "model.safetensors").exists()
    finally:
        zoo.pip("uninstall", "--yes", "sprout")
