"""Registries built for a test."""

import types

from convae_zoo import hookimpl
from convae_zoo.registry.discovery import new_manager
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import Provenance


def registry_of(**plugins):
    """Build a registry from plugins, each a mapping of hook to the specs that it registers."""
    manager = new_manager()
    for name, hooks in plugins.items():
        module = types.ModuleType(name)
        for hook, specs in hooks.items():

            def implementation(register, specs=specs):
                for spec in specs:
                    register(spec)

            # pluggy takes arguments with a default for no part of the hook
            setattr(module, f"register_{hook}", hookimpl(implementation))
        manager.add(Provenance(name, f"{name}-dist", "1"), lambda module=module: module)
    return build_registry(manager)
