"""A package that ships only weights of a model that is not its own, installed by pip."""

import hashlib

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.registry.shipped_weights import replacing

pytestmark = pytest.mark.slow

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "somebodys-weights"
version = "0.2"
dependencies = ["convae-zoo"]

[project.entry-points.convae_zoo]
somebodys = "somebodys_weights.register"
"""

REGISTER = """
from convae_zoo import WeightsSpec, hookimpl, shipped_weights


@hookimpl
def register_weights(register):
    spec = WeightsSpec(model="convae-200", tag="mine", dataset="photos", license="MIT")
    register(shipped_weights("somebodys_weights").fill(spec.model, spec))
"""

SUM = """
import convae_zoo as zoo
weights = zoo.load_model("convae-200.mine").state_dict().values()
print(float(sum(w.double().sum() for w in weights)))
"""


@pytest.fixture
def installed(fresh_environment, tmp_path):
    """The model whose weights the installed package holds."""
    torch.manual_seed(5)
    model = zoo.create_model("convae-200")
    weights = tmp_path / "somebodys_weights" / "weights"
    weights.mkdir(parents=True)
    (weights.parent / "__init__.py").touch()
    (weights.parent / "register.py").write_text(REGISTER)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    file = weights / "convae-200.mine.safetensors"
    zoo.save_model(model, file, dataset={"name": "photos"}, license="MIT")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with replacing(weights, "convae-200.mine", {"sha256": digest, "metrics": {}, "card": {}}):
        pass
    fresh_environment.install(tmp_path)
    yield model
    fresh_environment.pip("uninstall", "--yes", "somebodys-weights")


def test_its_weights_load_by_name_beside_the_others(fresh_environment, installed):
    expected = float(sum(w.double().sum() for w in installed.state_dict().values()))
    assert float(fresh_environment.code(SUM)) == pytest.approx(expected, rel=1e-12)
    (entry,) = fresh_environment.document("show", "convae-200.mine")["entries"]
    assert (entry["distribution"], entry["version"]) == ("somebodys-weights", "0.2")
    (model,) = fresh_environment.document("show", "convae-200")["entries"]
    assert model["distribution"] == "convae-zoo"
    assert {w["tag"] for w in model["weights"] if w["trained"]} == {
        "photos",
        "fashion-mnist",
        "mine",
    }


def test_the_zoos_own_wheel_is_small_and_has_one_model(fresh_environment):
    """The others are in convae-zoo-weights."""
    (wheel,) = fresh_environment.root.parent.glob("convae_zoo-*.whl")
    assert wheel.stat().st_size <= 6 * 2**20
    (entry,) = fresh_environment.document("show", "convae-200.photos")["entries"]
    assert entry["distribution"] == "convae-zoo"
    trained = fresh_environment.document("list", "--pretrained")["models"]
    others = {e["distribution"] for e in trained if e["name"] != "convae-200.photos"}
    assert others == {"convae-zoo-weights"}
