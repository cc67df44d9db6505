"""The registry: names to specs, built once from the plugins and then frozen."""

import contextlib
import fnmatch
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import cast

import attrs

from convae_zoo.errors import PluginError, UnknownNameError, unknown
from convae_zoo.registry.discovery import Plugin, PluginManager, load_entry_points
from convae_zoo.registry.kinds import KINDS, PLURALS, SHAPES
from convae_zoo.registry.specs import (
    ModelSpec,
    Provenance,
    Shape,
    Spec,
    WeightsSpec,
)


@attrs.frozen
class Registry:
    """What all plugins registered, by kind and name; frozen."""

    entries: Mapping[str, Mapping[str, Spec]]
    plugins: tuple[Plugin, ...] = ()

    def get(self, kind: str, name: str) -> Spec:
        """Return the spec of that kind and name.

        Raises:
            UnknownNameError: nothing has that name; the nearest names are suggested.
        """
        known = self.entries[kind]
        if name not in known:
            raise self.unknown(kind, name, known)
        return known[name]

    def names(self, kind: str, pattern: str = "*") -> list[str]:
        """Return the sorted names of a kind that match a wildcard pattern."""
        return sorted(fnmatch.filter(self.entries[kind], pattern))

    def unknown(self, what: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Make the error for an unknown name; it says which plugins are missing as well."""
        error = unknown(what, name, known)
        broken = ", ".join(p.name for p in self.plugins if p.status == "broken")
        if not broken:
            return error
        return UnknownNameError(f"{error} (broken plugins: {broken}; see 'convae-zoo plugins')")


@attrs.frozen
class _Registrar:
    """Takes one plugin's specs of one kind; a name that is taken is an error."""

    kind: str
    provenance: Provenance
    taken: Mapping[str, Spec]
    staged: dict[str, Spec]

    def __call__(self, spec: Spec) -> None:
        expected = KINDS[self.kind]
        if not isinstance(spec, expected):
            raise PluginError(
                f"register_{PLURALS[self.kind]} takes {expected.__name__}, got {spec!r:.80}"
            )
        _check_config(self.kind, spec)
        provenance = self.provenance
        other = self.taken.get(spec.name) or self.staged.get(spec.name)
        if other is not None:
            first = other.provenance or provenance
            raise PluginError(
                f"{self.kind} {spec.name!r} of {provenance.distribution} is already registered "
                f"by {first.distribution} (plugin {first.plugin!r}); rename one or uninstall one"
            )
        self.staged[spec.name] = attrs.evolve(spec, provenance=provenance)


def _check_config(kind: str, spec: Spec) -> None:
    """Refuse a config whose defaults break its own rules, or that declares no good shapes."""
    if isinstance(spec, ModelSpec):
        return
    config = spec.config()
    for name in SHAPES.get(kind, ()):
        shape = getattr(config, name, None)
        whole = isinstance(shape, tuple) and all(isinstance(n, int) and n > 0 for n in shape)
        lengths = (1, 3) if name == "latent_shape" else (3,)
        if not whole or len(cast("Shape", shape)) not in lengths:
            form = " or ".join("(D,)" if n == 1 else "(C, H, W)" for n in lengths)
            raise PluginError(
                f"config {spec.config.__name__} of {kind} {spec.name!r} must have a property "
                f"{name}, a tuple {form}, got {shape!r:.80}"
            )


def build_registry(manager: PluginManager) -> Registry:
    """Call every plugin's hooks and freeze what they register.

    A plugin whose hook raises is left out whole.

    Raises:
        PluginError: a hook raises and the mode is strict.
    """
    entries: dict[str, dict[str, Spec]] = {kind: {} for kind in KINDS}
    for plugin in manager.loaded():
        try:
            staged = _collect(manager, plugin, entries)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin's hook raises
            manager.leave_out(plugin.provenance, error)
            continue
        for kind, specs in staged.items():
            entries[kind].update(specs)
    frozen = {kind: MappingProxyType(specs) for kind, specs in entries.items()}
    return Registry(MappingProxyType(frozen), tuple(manager.found.values()))


def _collect(
    manager: PluginManager, plugin: Plugin, entries: dict[str, dict[str, Spec]]
) -> dict[str, dict[str, Spec]]:
    hooks = manager.hooks
    others = [p for name, p in hooks.list_name_plugin() if name != plugin.name]
    staged: dict[str, dict[str, Spec]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        register = _Registrar(kind, plugin.provenance, entries[kind], staged[kind])
        caller = hooks.subset_hook_caller(f"register_{PLURALS[kind]}", others)
        cast("Callable[..., object]", caller)(register=register)
    return staged


_LOCK = threading.Lock()
_BUILDING = ContextVar("building", default=False)
_overrides: list[Registry] = []


def get_registry() -> Registry:
    """Return the registry of everything that is installed; built once, at the first call.

    Raises:
        PluginError: a plugin is broken and the mode is strict; or a plugin asks for the registry
            while it is being built.
    """
    if _BUILDING.get():
        raise PluginError(
            "the registry was asked for while plugins are loading; "
            "ask when something is built, not at import or in a hook"
        )
    if _overrides:
        return _overrides[-1]
    with _LOCK:
        return _installed()


@functools.cache
def _installed() -> Registry:
    return _discover(())


def _discover(plugins: Iterable[object]) -> Registry:
    token = _BUILDING.set(True)
    try:
        manager = load_entry_points()
        for plugin in plugins:
            name = getattr(plugin, "__name__", type(plugin).__name__)
            manager.add(Provenance(name, name, "0"), functools.partial(_same, plugin))
        return build_registry(manager)
    finally:
        _BUILDING.reset(token)


def _same(plugin: object) -> object:
    return plugin


@contextlib.contextmanager
def override(
    registry: Registry | None = None, *, plugins: Iterable[object] = ()
) -> Iterator[Registry]:
    """Let `get_registry` return another registry for a while, in every thread; for tests.

    Args:
        registry: the registry; by default the installed plugins, discovered again.
        plugins: modules or objects with hooks, loaded after the installed plugins, each as a
            plugin and distribution of its own name.

    Raises:
        PluginError: a plugin is broken and the mode is strict.
    """
    chosen = _discover(plugins) if registry is None else registry
    _overrides.append(chosen)
    try:
        yield chosen
    finally:
        _overrides.remove(chosen)


def list_encoders(pattern: str = "*") -> list[str]:
    """List the encoders whose name matches a wildcard pattern."""
    return get_registry().names("encoder", pattern)


def list_decoders(pattern: str = "*") -> list[str]:
    """List the decoders whose name matches a wildcard pattern."""
    return get_registry().names("decoder", pattern)


def list_losses(pattern: str = "*") -> list[str]:
    """List the losses whose name matches a wildcard pattern."""
    return get_registry().names("loss", pattern)


def list_datasets(pattern: str = "*") -> list[str]:
    """List the datasets whose name matches a wildcard pattern."""
    return get_registry().names("dataset", pattern)


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """List the models whose name matches a wildcard pattern.

    With `pretrained`, list the names of trained weights instead, as in ``convae-200.photos``:
    those that are trained, also where `convae-zoo pull` has to fetch the file once. The pattern
    may match the whole name or the model's alone.
    """
    registry = get_registry()
    if not pretrained:
        return registry.names("model", pattern)
    models = cast("Mapping[str, ModelSpec]", registry.entries["model"])
    return sorted(
        full
        for name, spec in models.items()
        for full in (f"{name}.{weights.tag}" for weights in spec.weights if weights.trained)
        if fnmatch.filter([name, full], pattern)
    )


def model_info(name: str) -> ModelSpec:
    """Return the spec of a model, by its name with or without a weights tag.

    Raises:
        UnknownNameError: no model has that name, or the model has no such weights.
    """
    return find_model(name)[0]


def find_model(name: str) -> tuple[ModelSpec, WeightsSpec | None]:
    """Return the model of a name, and the weights where the name has a tag.

    Raises:
        UnknownNameError: no model has that name, or the model has no such weights.
    """
    base, dot, tag = name.partition(".")
    spec = cast("ModelSpec", get_registry().get("model", base))
    if not dot:
        return spec, None
    weights = spec.tag(tag)
    if weights is None:
        raise unknown(f"weights of model {base!r}:", tag, [w.tag for w in spec.weights])
    return spec, weights
