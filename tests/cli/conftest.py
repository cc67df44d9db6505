"""Fixtures of the commands' tests: the command line in this process, and a dataset for it."""

import contextlib
import types
import warnings

import attrs
import pytest
import torch

import convae_zoo as zoo
from convae_zoo import cli, registry
from convae_zoo.data import ImageSet
from convae_zoo.registry.discovery import load_entry_points
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import DatasetSpec, Provenance

SIZES = {"train": 60, "val": 30}


def waves(split, *, path=None):  # noqa: ARG001 - a user's folder that is not needed
    """Two classes of smooth 16×16 colour images."""
    draw = torch.Generator().manual_seed(SIZES[split])
    base = torch.rand(SIZES[split], 3, 4, 4, generator=draw)
    smooth = torch.nn.functional.interpolate(base, (16, 16), mode="bicubic").clamp(0, 1)
    return ImageSet(
        name="waves",
        split=split,
        images=(smooth * 255).round().byte(),
        labels=torch.arange(SIZES[split]) % 2,
        class_names=("calm", "rough"),
    )


@attrs.frozen
class WavesConfig:
    path: str | None = None


@zoo.hookimpl
def _register_datasets(register):
    register(DatasetSpec(name="waves", factory=waves, config=WavesConfig))


@pytest.fixture
def registry_with():
    """A function that makes the registry hold what is installed and what some modules register."""
    with contextlib.ExitStack() as stack:

        def build(*modules):
            manager = load_entry_points()
            for module in modules:
                manager.add(Provenance(module.__name__, "a-test", "1.0"), lambda m=module: m)
            stack.enter_context(registry.override(build_registry(manager)))

        yield build


@pytest.fixture
def waves_dataset(registry_with):
    """The dataset ``waves``, registered: 60 images to train on and 30 to validate on."""
    module = types.ModuleType("waves_plugin")
    module.register_datasets = _register_datasets
    registry_with(module)
    return waves


@pytest.fixture
def run(capsys):
    """A function that runs the command line: its exit status, stdout and stderr."""

    def call(*args):
        with warnings.catch_warnings():
            status = cli.main([str(a) for a in args])
        done = capsys.readouterr()
        return status, done.out, done.err

    return call


@pytest.fixture
def trained(tmp_path):
    """A function that writes a model's weights file, with start values drawn from a seed."""

    def write(name="model.safetensors", *, seed=0, **overrides):
        torch.manual_seed(seed)
        settings = {"latent_dim": 6, "width": 2, "image_size": 16} | overrides
        model = zoo.create_model("convae-200", **settings)
        zoo.save_model(model, tmp_path / name)
        return tmp_path / name

    return write
