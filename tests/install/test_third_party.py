"""Somebody else's package, installed by pip beside the zoo in a fresh environment.

The environment borrows the heavy libraries of the one that runs the tests, but neither its zoo nor
its plugins: the zoo is installed from a wheel, as a user has it.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

PLAIN = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "convae-plain"
version = "0.3.1"
dependencies = ["convae-zoo"]

[project.entry-points.convae_zoo]
plain = "convae_plain.register"
""",
    "convae_plain/__init__.py": "",
    "convae_plain/register.py": """
from convae_plain.configs import PlainConfig
from convae_zoo import hookimpl
from convae_zoo import EncoderSpec


@hookimpl
def register_encoders(register):
    register(
        EncoderSpec(
            name="plain",
            factory="convae_plain.encoder:PlainEncoder",
            config=PlainConfig,
            summary="one convolution and a linear layer",
        )
    )
""",
    "convae_plain/configs.py": """
import attrs
from convae_zoo import fields


@attrs.frozen(kw_only=True)
class PlainConfig:
    latent_dim: int = fields.integer(200)
    image_size: int = fields.integer(32, minimum=8, multiple_of=8)

    @property
    def input_shape(self):
        return (3, self.image_size, self.image_size)

    @property
    def latent_shape(self):
        return (self.latent_dim,)
""",
    "convae_plain/encoder.py": """
from torch import nn


class PlainEncoder(nn.Module):
    def __init__(self, latent_dim=200, image_size=32):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, stride=8)
        self.linear = nn.Linear(8 * (image_size // 8) ** 2, latent_dim)

    def forward(self, x):
        return self.linear(self.conv(x).relu().flatten(1))
""",
}

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


def write_package(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def environment(fresh_environment, tmp_path_factory):
    """A fresh environment with the zoo and the package ``convae-plain``."""
    folder = tmp_path_factory.mktemp("third_party")
    fresh_environment.install(write_package(folder / "convae-plain", PLAIN))
    yield fresh_environment
    fresh_environment.pip("uninstall", "--yes", "convae-plain")


@pytest.fixture
def broken(environment, tmp_path):
    """The same environment with a plugin that raises at import, for one test."""
    environment.install(write_package(tmp_path / "convae-broken", BROKEN))
    yield environment
    environment.pip("uninstall", "--yes", "convae-broken")


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


def test_the_zoo_is_the_installed_one_and_has_its_own_plugins(environment):
    found = environment.code("import convae_zoo; print(convae_zoo.__file__)")
    assert Path(found.strip()).is_relative_to(environment.root)
    plugins = environment.document("plugins")["plugins"]
    assert {p["distribution"] for p in plugins} == {"convae-zoo", "convae-plain"}
    assert {p["status"] for p in plugins} == {"loaded"}


def test_the_wheel_holds_every_weights_file_of_the_source(environment):
    plugins = Path(__file__).parents[2] / "plugins"
    files = {p.relative_to(plugins) for p in plugins.glob("*/weights/*") if p.name[0] != "."}
    site = Path(environment.code("import convae_reference as r; print(r.__path__[0])").strip())
    missing = [str(f) for f in files if not (site.parent / f).is_file()]
    assert missing == []


def test_its_encoder_is_listed(environment):
    names = [e["name"] for e in environment.document("list", "encoders")["encoders"]]
    assert {"plain", "convae"} <= set(names)


def test_its_encoder_is_shown_with_its_distribution(environment):
    (entry,) = environment.document("show", "plain")["entries"]
    assert entry["distribution"] == "convae-plain"
    assert (entry["plugin"], entry["version"]) == ("plain", "0.3.1")
    assert entry["latent_shape"] == [200]


def test_its_encoder_is_composed_with_another_packages_decoder(environment):
    printed = environment.code(
        "import torch, convae_zoo as zoo\n"
        "model = zoo.compose('plain', 'convae', {'latent_dim': 16}, {'latent_dim': 16})\n"
        "print(type(model.encoder).__module__, tuple(model(torch.zeros(2, 3, 32, 32)).shape))"
    )
    assert printed.strip() == "convae_plain.encoder (2, 3, 32, 32)"


def test_an_encoder_that_does_not_fit_is_refused(environment):
    printed = environment.code(
        "import convae_zoo as zoo\n"
        "try: zoo.compose('plain', 'convae', {'latent_dim': 16})\n"
        "except zoo.ZooError as error: print(error)"
    )
    assert printed.startswith(
        "encoder 'plain' makes a latent of shape 16 but decoder 'convae' take"
    )


def test_a_model_with_it_is_loaded_by_another_process_as_it_was_saved(environment):
    total = (
        "import torch; torch.manual_seed(1)\n"
        "print(float(model(torch.rand(2, 3, 32, 32)).double().sum()))"
    )
    saved = environment.code(
        "import convae_zoo as zoo\n"
        "model = zoo.compose('plain', 'convae').eval()\n"
        f"zoo.save_model(model, 'mine.safetensors')\n{total}"
    )
    loaded = environment.code(
        "import convae_zoo as zoo\n"
        f"model = zoo.load_model('mine.safetensors')\n{total}\n"
        "print(model.plan.encoder.provenance.distribution)"
    )
    assert loaded == f"{saved}convae-plain\n"


def test_a_model_with_it_is_trained_and_evaluated_by_the_commands(environment, photographs):
    data = ("--dataset", "image-folder", "--data", str(photographs), "--device", "cpu")
    settings = ("--epochs", "1", "--batch-size", "8", "--out", "run")
    done = environment.zoo("train", "plain+convae", *data, *settings)
    assert done.returncode == 0, done.stderr
    run = environment.root / "run"
    steps = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert {"step", "epoch"} <= {step["kind"] for step in steps}

    done = environment.zoo("evaluate", str(run / "model.safetensors"), *data, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)

    encoder = environment.code(
        "import convae_zoo as zoo; print(zoo.load_model('run').plan.encoder.name)"
    )
    assert encoder == "plain\n"


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
