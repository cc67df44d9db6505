"""new-plugin: what it writes works as it is, and what it cannot write is refused."""

import ast
import re
import string
import subprocess
import sys
import tomllib
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convae_zoo import registry
from convae_zoo.cli import main
from convae_zoo.errors import FileError, UnknownNameError, UsageError
from convae_zoo.registry.kinds import KINDS
from convae_zoo.scaffold import DEFAULT_KINDS, KINDS_WITH_TEMPLATE, new_plugin
from convae_zoo.testing import check, entries, properties_of

COSTLY = {"compile", "onnx", "torch-export", "weights-file"}
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


FULL_DISK = """
import resource, sys
from convae_zoo.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
sys.exit(main(["new-plugin", "tiny", sys.argv[1]]))
"""


@pytest.mark.parametrize("exists", [False, True])
def test_a_write_that_fails_leaves_no_torn_package(exists, tmp_path):
    folder = tmp_path / "new"
    if exists:
        folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: cannot write .*: File too large\n", done.stderr)
    assert folder.exists() == exists
    assert list(tmp_path.rglob("*")) == ([folder] if exists else [])


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


@pytest.fixture
def install(monkeypatch):
    """A function that makes this process see a package as installed, by its pyproject.toml."""

    def put(source):
        project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
        name, version = project["name"], project["version"]
        info = source / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        points = project["entry-points"]["convae_zoo"].items()
        lines = "".join(f"{point} = {module}\n" for point, module in points)
        (info / "entry_points.txt").write_text(f"[convae_zoo]\n{lines}")
        monkeypatch.syspath_prepend(source)

    yield put
    for module in [m for m in sys.modules if m.split(".")[0] == "sprout"]:
        del sys.modules[module]


@pytest.mark.parametrize("kind", KINDS_WITH_TEMPLATE)
def test_a_package_of_one_kind_keeps_the_contract_and_trains_as_its_readme_says(
    kind, install, pictures, tmp_path, capsys
):
    """All kinds in one package, really installed, are in `tests/install`."""
    folder = tmp_path / "plugin"
    new_plugin("sprout", folder, [kind])
    install(folder)
    with registry.override():
        (entry,) = entries(plugin="sprout", examples=2)
        assert (entry.kind, entry.spec.provenance.distribution) == (kind, "sprout")
        quick = [p for p in properties_of(kind) if p not in COSTLY]
        assert {r.status for r in check(entry, quick)} <= {"passed", "skipped"}

        readme = (folder / "README.md").read_text()
        found = re.findall(r"^    convae-zoo (train .*) --epochs 1 --out", readme, re.MULTILINE)
        if kind in {"weights", "corruption", "score"}:
            assert not found
            return
        (command,) = found
        command = command.replace("photos", f"image-folder --data {pictures}")
        out = tmp_path / "run"
        assert main([*command.split(), *SMALL, "--out", str(out)]) == 0, capsys.readouterr().err
    assert (out / "model.safetensors").exists()


def test_there_is_a_template_for_every_kind():
    assert set(KINDS_WITH_TEMPLATE) == set(KINDS)


@pytest.mark.parametrize(
    "kinds", [["model"], ["encoder"], ["loss", "dataset"], list(KINDS)], ids="+".join
)
def test_what_it_writes_passes_the_formatter_and_the_linter(kinds, tmp_path):
    if find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    new_plugin("sprout-ae", tmp_path / "plugin", kinds)
    for command in (["format", "--check"], ["check", "--select", "E,F,I,ANN,UP"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "100", "."],
            cwd=tmp_path / "plugin",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
