"""The index of the weights that a package ships, and what the zoo's own plugins ship."""

import hashlib
import importlib
import json
import sys
from pathlib import Path

import pytest

import convae_zoo as zoo
from convae_zoo.errors import FileError, PluginError, WeightsError
from convae_zoo.registry import find_model
from convae_zoo.registry.shipped_weights import open_folder, replacing, shipped_weights
from convae_zoo.registry.specs import Recipe, WeightsSpec
from convae_zoo.tasks.retrain import LARGEST_FILE
from convae_zoo.weights.load import read_metadata

PLUGINS = Path(__file__).parents[2] / "plugins"
FILES = sorted(PLUGINS.rglob("weights/*.safetensors"))
ENTRY = {"sha256": "0" * 64, "metrics": {"mse": 0.5}, "card": {"dataset": {}}}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``stall`` on the import path; the folder of its weights."""
    (tmp_path / "stall").mkdir()
    (tmp_path / "stall" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stall", raising=False)
    importlib.invalidate_caches()
    return tmp_path / "stall" / "weights"


def test_a_package_without_an_index_ships_none(package):
    assert not package.exists()
    declared = WeightsSpec(tag="photos", dataset="photos")
    assert shipped_weights("stall").fill("m", declared) is declared


def test_what_the_index_lists_is_trained_and_the_rest_is_as_declared(package):
    with replacing(package, "m.photos", ENTRY):
        pass
    shipped = shipped_weights("stall")
    filled = shipped.fill("m", WeightsSpec(tag="photos", dataset="photos", license="CC0-1.0"))
    assert filled.trained
    assert filled.file == "stall:weights/m.photos.safetensors"
    assert (filled.sha256, dict(filled.metrics)) == (ENTRY["sha256"], ENTRY["metrics"])
    assert filled.license == "CC0-1.0"
    assert not shipped.fill("m", WeightsSpec(tag="other", dataset="photos")).trained
    assert not shipped.fill("n", WeightsSpec(tag="photos", dataset="photos")).trained


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        pytest.param("[" * 100_000, "is not JSON", id="nested too deeply"),
        ("[]", "format_version None"),
        ('{"format_version": 2, "weights": {}}', "format_version 2"),
        ('{"format_version": 1}', "must hold 'weights'"),
        ('{"format_version": 1, "weights": {"m.photos": {"sha256": "0"}}}', "must hold 'weights'"),
    ],
)
def test_a_damaged_index_is_reported_and_never_overwritten(package, text, reason):
    package.mkdir()
    (package / "index.json").write_text(text)
    with pytest.raises(PluginError, match=r"weights/index.json of package 'stall'") as told:
        shipped_weights("stall")
    assert reason in str(told.value)
    with (
        pytest.raises(WeightsError, match=r"index\.json"),
        replacing(package, "m.photos", ENTRY),
    ):
        pass
    assert (package / "index.json").read_text() == text


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot write"):
        open_folder(tmp_path / "file" / "weights")


@pytest.mark.parametrize("index", sorted(PLUGINS.rglob("weights/index.json")), ids=str)
def test_an_index_lists_exactly_the_files_beside_it(index):
    listed = json.loads(index.read_text())["weights"]
    assert set(listed) == {f.stem for f in FILES if f.parent == index.parent}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_file_is_registered_small_and_made_by_the_declared_recipe(file):
    assert file.stem in zoo.list_models(pretrained=True), "install its distribution again"
    spec, weights = find_model(file.stem)
    assert weights.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_size <= LARGEST_FILE
    told = read_metadata(file)
    assert Recipe(**told["recipe"]) == (weights.recipe or spec.recipe)
    assert told["dataset"]["name"] == weights.dataset
    assert told["metrics"] == dict(weights.metrics)
