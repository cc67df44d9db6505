"""Hooks: each called with a registrar of its own kind."""

import inspect
import types

import pytest
from convae_reference.configs import ConvaeConfig

from convae_zoo import hookimpl
from convae_zoo.registry import hookspecs
from convae_zoo.registry.discovery import new_manager
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import (
    CorruptionSpec,
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Provenance,
    ScoreSpec,
    WeightsSpec,
)

HERE = Provenance("mine", "mine-dist", "1.2")
SPECS = {
    "register_encoders": EncoderSpec(name="mine", factory="a:B", config=ConvaeConfig),
    "register_decoders": DecoderSpec(name="mine", factory="a:B", config=ConvaeConfig),
    "register_losses": LossSpec(name="mine", factory="a:B"),
    "register_datasets": DatasetSpec(name="mine", factory="a:B"),
    "register_models": ModelSpec(name="mine", encoder="a", decoder="b"),
    "register_weights": WeightsSpec(model="mine", tag="photos", dataset="photos"),
    "register_corruptions": CorruptionSpec(name="mine", factory="a:B"),
    "register_scores": ScoreSpec(name="mine", factory="a:B"),
}


def hooks():
    return {name for name in vars(hookspecs) if name.startswith("register_")}


def test_every_hook_has_a_test_here_and_a_kind():
    assert hooks() == set(SPECS) == {kind.hook for kind in KINDS.values()}


@pytest.mark.parametrize("hook", SPECS)
def test_a_hook_registers_specs_of_its_kind_with_their_provenance(hook):
    plugin = types.ModuleType("plugin")

    def implementation(register):
        register(SPECS[hook])

    setattr(plugin, hook, hookimpl(implementation))
    manager = new_manager()
    manager.add(HERE, lambda: plugin)
    registry = build_registry(manager)
    kind = next(kind for kind in KINDS.values() if kind.hook == hook)
    name = SPECS[hook].name
    assert registry.names(kind.name) == [name]
    assert type(registry.get(kind.name, name)) is kind.spec
    assert registry.get(kind.name, name).provenance == HERE
    assert not any(registry.names(other) for other in KINDS if other != kind.name)


@pytest.mark.parametrize("hook", SPECS)
def test_a_hook_takes_only_the_registrar_and_is_documented(hook):
    function = getattr(hookspecs, hook)
    assert list(inspect.signature(function).parameters) == ["register"]
    assert function.__doc__
