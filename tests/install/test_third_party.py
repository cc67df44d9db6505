"""Somebody else's package, ``convae-plain``, installed by pip beside the zoo."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

BROKEN = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "convae-broken"
version = "6.6.6"

[project.entry-points.convae_zoo]
broken = "convae_broken"
""",
    "convae_broken/__init__.py": "raise RuntimeError('out of luck')",
}

COMPOSED = """
import torch, convae_zoo as zoo
torch.manual_seed(1)
x = torch.rand(2, 3, 32, 32)
model = zoo.compose("plain", "convae", {"latent_dim": 16}, {"latent_dim": 16}).eval()
zoo.save_model(model, "mine.safetensors")
print(type(model.encoder).__module__, tuple(model(x).shape))
print(float(model(x).double().sum()))
try:
    zoo.compose("plain", "convae", {"latent_dim": 16})
except zoo.ZooError as error:
    print(error)
"""

LOADED = """
import torch, convae_zoo as zoo
torch.manual_seed(1)
x = torch.rand(2, 3, 32, 32)
model = zoo.load_model("mine.safetensors")
print(float(model(x).double().sum()))
print(model.plan.encoder.provenance.distribution)
"""


@pytest.fixture(scope="module")
def broken(fresh_environment, tmp_path_factory):
    """The environment with a plugin that raises at import."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "convae_broken").mkdir()
    for name, text in BROKEN.items():
        (folder / name).write_text(text)
    fresh_environment.install(folder)
    yield fresh_environment
    fresh_environment.pip("uninstall", "--yes", "convae-broken")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """A folder of forty small pictures: a colour each, and noise."""
    folder = tmp_path_factory.mktemp("photographs")
    draw = np.random.default_rng(0)
    for number in range(40):
        colour = draw.integers(0, 200, 3)
        pixels = (colour + draw.integers(0, 56, (32, 32, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def test_its_plugin_is_loaded_beside_the_zoos_own(fresh_environment):
    plugins = fresh_environment.document("plugins")["plugins"]
    assert {p["status"] for p in plugins} == {"loaded"}
    assert {"convae-zoo", "convae-plain"} <= {p["distribution"] for p in plugins}


def test_its_encoder_is_listed(fresh_environment):
    names = [e["name"] for e in fresh_environment.document("list", "encoders")["encoders"]]
    assert {"plain", "convae"} <= set(names)


def test_its_encoder_is_shown_with_its_distribution(fresh_environment):
    (entry,) = fresh_environment.document("show", "plain")["entries"]
    assert entry["distribution"] == "convae-plain"
    assert (entry["plugin"], entry["version"]) == ("plain", "0.3.1")
    assert entry["latent_shape"] == [200]


def test_its_encoder_is_composed_saved_and_loaded_as_it_was_by_another_process(fresh_environment):
    """With another package's decoder; one whose latent differs is refused."""
    composed, total, refusal = fresh_environment.code(COMPOSED).splitlines()
    assert composed == "convae_plain.encoder (2, 3, 32, 32)"
    assert refusal.startswith(
        "encoder 'plain' returns a latent of shape 16 but decoder 'convae' expect"
    )
    assert fresh_environment.code(LOADED).split() == [total, "convae-plain"]


def test_a_model_with_it_is_trained_and_evaluated_by_the_commands(
    fresh_environment, photographs, tmp_path
):
    data = ("--dataset", "image-folder", "--data", str(photographs), "--device", "cpu")
    settings = ("--epochs", "1", "--batch-size", "8", "--out", str(tmp_path / "run"))
    done = fresh_environment.zoo("train", "plain+convae", *data, *settings)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert {json.loads(line)["kind"] for line in lines} >= {"step", "epoch"}
    found = fresh_environment.document("evaluate", str(tmp_path / "run"), *data)
    assert found["name"] == "plain+convae"


def test_a_plugin_that_raises_at_import_is_reported(broken):
    done = broken.zoo("plugins", "--json")
    assert done.returncode == 1
    plugins = {p["name"]: p for p in json.loads(done.stdout)["plugins"]}
    assert plugins["broken"]["status"] == "broken"
    assert plugins["broken"]["reason"] == "RuntimeError: out of luck"
    assert plugins["broken"]["distribution"] == "convae-broken"
    assert {p["status"] for name, p in plugins.items() if name != "broken"} == {"loaded"}


def test_a_plugin_that_raises_at_import_harms_nothing_else(broken):
    done = broken.zoo("list", "encoders", "--json")
    assert done.returncode == 0
    assert {"plain", "convae"} <= {e["name"] for e in json.loads(done.stdout)["encoders"]}
    assert done.stderr == (
        "warning: plugin 'broken' of convae-broken 6.6.6 is left out: RuntimeError: out of luck "
        "(CONVAE_ZOO_DISABLED_PLUGINS=broken silences this)\n"
    )
    done = broken.zoo("list", CONVAE_ZOO_DISABLED_PLUGINS="broken")
    assert (done.returncode, done.stderr) == (0, "")


def test_in_strict_mode_it_ends_every_command_with_one_line(broken):
    for args in (["list"], ["plugins"], ["show", "plain"]):
        done = broken.zoo(*args, CONVAE_ZOO_PLUGINS_STRICT="1")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: plugin 'broken' of convae-broken 6.6.6 is left out")
        assert done.stderr.count("\n") == 1
