"""The registry: specs by kind and name, built once from the plugins and then frozen."""

import contextlib
import fnmatch
import functools
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar

import attrs

from convae_zoo.errors import PluginError, UnknownNameError, unknown
from convae_zoo.registry.collect import collect
from convae_zoo.registry.discovery import Plugin, PluginManager, load_entry_points
from convae_zoo.registry.specs import Provenance, Spec


@attrs.frozen
class Registry:
    """Everything that the plugins registered, by kind and name; frozen."""

    entries: Mapping[str, Mapping[str, Spec]]
    plugins: tuple[Plugin, ...] = ()

    def get(self, kind: str, name: str) -> Spec:
        """Return the spec of that kind and name.

        Raises:
            UnknownNameError: no entry has that name; the nearest names are suggested.
        """
        known = self.entries[kind]
        if name not in known:
            raise self.unknown(kind, name, known)
        return known[name]

    def names(self, kind: str, pattern: str = "*") -> list[str]:
        """Return the sorted names of a kind that match a wildcard pattern."""
        return sorted(fnmatch.filter(self.entries[kind], pattern))

    def unknown(self, what: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Create the error for an unknown name; it names the broken plugins too."""
        error = unknown(what, name, known, "; 'convae-zoo list' prints all")
        return UnknownNameError(f"{error}{self.broken_note()}")

    def broken_note(self) -> str:
        """Name the broken plugins, as the end of an error message; empty if there are none."""
        broken = ", ".join(p.name for p in self.plugins if p.status == "broken")
        return f" (broken plugins: {broken}; see 'convae-zoo plugins')" if broken else ""


def build_registry(manager: PluginManager) -> Registry:
    """Call every plugin's hooks and freeze what they register.

    A plugin with a hook that raises is left out entirely.

    Raises:
        PluginError: a hook raises and the mode is strict.
    """
    return Registry(collect(manager), tuple(manager.found.values()))


_LOCK = threading.Lock()
_BUILDING = ContextVar("building", default=False)
_overrides: list[Registry] = []


def get_registry() -> Registry:
    """Return the registry of everything installed; the first call builds it.

    Raises:
        PluginError: a plugin is broken and the mode is strict, or a plugin calls this while the
            registry is being built.
    """
    if _BUILDING.get():
        raise PluginError(
            "the registry is not available while plugins are loading; "
            "use it in a factory, not at import or in a hook"
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
    """Make `get_registry` return another registry within the block, in all threads; for tests.

    Args:
        registry: the registry; by default, the installed plugins are discovered again.
        plugins: modules or objects with hooks, loaded after the installed plugins. The plugin and
            its distribution get the object's name.

    Raises:
        PluginError: a plugin is broken and the mode is strict.
    """
    chosen = _discover(plugins) if registry is None else registry
    _overrides.append(chosen)
    try:
        yield chosen
    finally:
        _overrides.remove(chosen)
