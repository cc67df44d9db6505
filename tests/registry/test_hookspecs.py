"""Hooks: each of the five, called with a registrar of its own kind."""

import inspect
import types

import pytest
from convae_reference.configs import ConvaeConfig

from convae_zoo import hookimpl
from convae_zoo.registry import hookspecs
from convae_zoo.registry.discovery import new_manager
from convae_zoo.registry.kinds import KINDS, PLURALS
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import (
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Provenance,
)

HERE = Provenance("mine", "mine-dist", "1.2")
SPECS = {
    "register_encoders": EncoderSpec(name="mine", factory="a:B", config=ConvaeConfig),
    "register_decoders": DecoderSpec(name="mine", factory="a:B", config=ConvaeConfig),
    "register_losses": LossSpec(name="mine", factory="a:B"),
    "register_datasets": DatasetSpec(name="mine", factory="a:B"),
    "register_models": ModelSpec(name="mine", encoder="a", decoder="b"),
}


def hooks():
    return {name for name in vars(hookspecs) if name.startswith("register_")}


def test_every_hook_has_a_test_here_and_a_kind():
    assert hooks() == set(SPECS) == {f"register_{plural}" for plural in PLURALS.values()}


@pytest.mark.parametrize("hook", SPECS)
def test_a_hook_registers_specs_of_its_kind_with_their_provenance(hook):
    plugin = types.ModuleType("plugin")

    def implementation(register):
        register(SPECS[hook])

    setattr(plugin, hook, hookimpl(implementation))
    manager = new_manager()
    manager.add(HERE, lambda: plugin)
    registry = build_registry(manager)
    kind = next(k for k in KINDS if hook == f"register_{PLURALS[k]}")
    assert registry.names(kind) == ["mine"]
    assert type(registry.get(kind, "mine")) is KINDS[kind]
    assert registry.get(kind, "mine").provenance == HERE
    assert not any(registry.names(other) for other in KINDS if other != kind)


@pytest.mark.parametrize("hook", SPECS)
def test_a_hook_takes_the_registrar_alone_and_is_documented(hook):
    function = getattr(hookspecs, hook)
    assert list(inspect.signature(function).parameters) == ["register"]
    assert function.__doc__
