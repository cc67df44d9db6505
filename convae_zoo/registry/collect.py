"""Collection of the specs that the plugins' hooks register, with their checks."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

import attrs

from convae_zoo.errors import PluginError
from convae_zoo.registry.discovery import Plugin, PluginManager
from convae_zoo.registry.kinds import KINDS, Kind, kind_of
from convae_zoo.registry.plugin_code import call_plugin
from convae_zoo.registry.specs import BuiltSpec, ModelSpec, Provenance, Shape, Spec, WeightsSpec

Entries = dict[str, dict[str, Spec]]
"""Specs by kind and name."""


def collect(manager: PluginManager) -> Mapping[str, Mapping[str, Spec]]:
    """Call every plugin's hooks and return what they register; a plugin that fails is left out.

    Raises:
        PluginError: a hook raises and the mode is strict.
    """
    entries = _no_entries()
    for plugin in manager.loaded():
        try:
            staged = call_plugin(functools.partial(_call_hooks, manager, plugin, entries))
        except PluginError as error:
            manager.leave_out(plugin.provenance, error)
            continue
        for kind, specs in staged.items():
            entries[kind].update(specs)
    _join_weights(entries)
    return MappingProxyType({kind: MappingProxyType(specs) for kind, specs in entries.items()})


def _no_entries() -> Entries:
    return {kind: {} for kind in KINDS}


def _call_hooks(manager: PluginManager, plugin: Plugin, taken: Entries) -> Entries:
    hooks = manager.hooks
    others = [p for name, p in hooks.list_name_plugin() if name != plugin.name]
    staged = _no_entries()
    for kind in KINDS.values():
        register = _Registrar(kind, plugin.provenance, taken, staged)
        caller = hooks.subset_hook_caller(kind.hook, others)
        cast("Callable[..., object]", caller)(register=register)
    return staged


@attrs.frozen
class _Registrar:
    """Registers one plugin's specs of one kind; a duplicate name is an error.

    Attributes:
        taken: what earlier plugins registered.
        staged: what this plugin registers.
    """

    kind: Kind
    provenance: Provenance
    taken: Entries
    staged: Entries

    def __call__(self, spec: Spec) -> None:
        if not isinstance(spec, self.kind.spec):
            raise PluginError(f"{self.kind.hook} takes {self.kind.spec.__name__}, got {spec!r:.80}")
        if isinstance(spec, BuiltSpec):
            _check_config(self.kind, spec)
        if isinstance(spec, WeightsSpec) and not spec.model:
            raise PluginError(f"weights {spec.tag!r} must name their model (model=...)")
        self._stage(spec)
        if isinstance(spec, ModelSpec):
            for weights in spec.weights:
                self._stage(weights)

    def _stage(self, spec: Spec) -> None:
        kind, provenance = kind_of(spec), self.provenance
        other = self.taken[kind].get(spec.name) or self.staged[kind].get(spec.name)
        if other is not None:
            first = other.provenance or provenance
            raise PluginError(
                f"{kind} {spec.name!r} of {provenance.distribution} is already registered "
                f"by {first.distribution} (plugin {first.plugin!r}); rename one or uninstall one"
            )
        self.staged[kind][spec.name] = attrs.evolve(spec, provenance=provenance)


def _check_config(kind: Kind, spec: BuiltSpec) -> None:
    """Refuse a config whose defaults fail its own checks, or whose shapes are invalid."""
    config = spec.config()
    for name in kind.shapes:
        shape = getattr(config, name, None)
        whole = isinstance(shape, tuple) and all(isinstance(n, int) and n > 0 for n in shape)
        lengths = (1, 3) if name == "latent_shape" else (3,)
        if not whole or len(cast("Shape", shape)) not in lengths:
            form = " or ".join("(D,)" if n == 1 else "(C, H, W)" for n in lengths)
            raise PluginError(
                f"config {spec.config.__name__} of {kind.name} {spec.name!r} must have a property "
                f"{name}, a tuple {form}, got {shape!r:.80}"
            )


def _join_weights(entries: Entries) -> None:
    """Attach to each model all weights registered for it, whichever plugin came first."""
    models = cast("dict[str, ModelSpec]", entries["model"])
    weights = cast("dict[str, WeightsSpec]", entries["weights"]).values()
    for name, model in models.items():
        models[name] = attrs.evolve(model, weights=[w for w in weights if w.model == name])
