"""Discovery of plugins: entry points one at a time, with provenance, broken ones isolated."""

import os
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import attrs
import pluggy

from convae_zoo import hookspecs
from convae_zoo.errors import PluginError, ZooWarning
from convae_zoo.specs import Provenance

OWN_DISTRIBUTION = "convae-zoo"

STRICT = "CONVAE_ZOO_PLUGINS_STRICT"
ALLOWED = "CONVAE_ZOO_LOAD_PLUGINS"
BLOCKED = "CONVAE_ZOO_DISABLED_PLUGINS"


@attrs.define
class Plugin:
    """A plugin that was found: where it comes from, and how loading it went.

    Attributes:
        status: ``loaded``, ``broken`` or ``blocked``.
        reason: why it is broken or blocked, in one line.
    """

    provenance: Provenance
    status: str = "loaded"
    reason: str = ""

    @property
    def name(self) -> str:
        """Name of the plugin: that of its entry point."""
        return self.provenance.plugin


@attrs.define
class PluginManager:
    """Pluggy's manager together with a record of every plugin that was found."""

    hooks: pluggy.PluginManager
    found: dict[str, Plugin] = attrs.field(factory=dict)

    def add(self, module: object, provenance: Provenance) -> None:
        """Register a plugin's module, checking its hooks' names and signatures.

        Raises:
            PluginError: a hook has a bad signature or a misspelled name.
        """
        record = self.found.setdefault(provenance.plugin, Plugin(provenance))
        try:
            self.hooks.register(module, name=provenance.plugin)
            self.hooks.check_pending()
        except Exception as error:
            self.mark_broken(record, error)
            raise PluginError(record.reason) from error
        if not self.hooks.get_hookcallers(module):
            self.mark_broken(record, "it implements no hook; mark a register_* function @hookimpl")
            raise PluginError(record.reason)

    def mark_broken(self, record: Plugin, error: BaseException | str) -> None:
        """Leave a plugin out whole and keep the reason."""
        if self.hooks.has_plugin(record.name):
            self.hooks.unregister(name=record.name)
        record.status, record.reason = "broken", describe(record.provenance, error)

    def loaded(self) -> Iterator[Plugin]:
        """Give the plugins that loaded, in the order of loading."""
        return (p for p in list(self.found.values()) if p.status == "loaded")


def describe(provenance: Provenance, error: BaseException | str) -> str:
    """Say in one line which plugin is broken and why."""
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    if isinstance(error, PluginError):
        reason = str(error)
    return (
        f"plugin {provenance.plugin!r} of {provenance.distribution} {provenance.version} "
        f"is left out: {' '.join(reason.split())}"
    )


def new_manager() -> PluginManager:
    """Make a manager that knows the hooks and has no plugins."""
    hooks = pluggy.PluginManager(hookspecs.PROJECT)
    hooks.add_hookspecs(hookspecs)
    return PluginManager(hooks)


def strict() -> bool:
    """Tell whether a broken plugin raises instead of being left out."""
    return os.environ.get(STRICT, "") not in {"", "0"}


def complain(message: str) -> None:
    """Raise for a broken plugin in strict mode, else warn of it."""
    if strict():
        raise PluginError(message)
    warnings.warn(message, ZooWarning, stacklevel=3)


def load_entry_points() -> PluginManager:
    """Load every installed plugin that is not blocked.

    The zoo's own distribution comes first and the others by name, so that which of two plugins
    keeps a disputed name depends on nothing but the names.
    """
    manager = new_manager()
    for entry_point in sorted(entry_points(group=hookspecs.PROJECT), key=_order):
        provenance = _provenance(entry_point)
        first = manager.found.get(entry_point.name)
        if first is not None:
            reason = f"{first.provenance.distribution} has a plugin of that name; uninstall one"
            record = Plugin(provenance, "broken", describe(provenance, reason))
            manager.found[f"{entry_point.name} ({provenance.distribution})"] = record
            complain(record.reason)
            continue
        record = manager.found[entry_point.name] = Plugin(provenance)
        if reason := _blocked(entry_point.name):
            record.status, record.reason = "blocked", reason
            continue
        try:
            manager.add(_import(entry_point), provenance)
        except PluginError:
            complain(record.reason)
        except Exception as error:  # noqa: BLE001 - whatever a plugin's import raises
            manager.mark_broken(record, error)
            complain(record.reason)
    return manager


def _import(entry_point: EntryPoint) -> object:
    module: ModuleType | object = entry_point.load()
    return module


def _order(entry_point: EntryPoint) -> tuple[bool, str, str]:
    distribution = _provenance(entry_point).distribution
    return distribution != OWN_DISTRIBUTION, distribution, entry_point.name


def _provenance(entry_point: EntryPoint) -> Provenance:
    dist = entry_point.dist
    if dist is None:
        return Provenance(entry_point.name, "an unknown distribution", "?")
    return Provenance(entry_point.name, dist.name, dist.version)


def _blocked(name: str) -> str:
    allowed, blocked = (
        {n.strip() for n in os.environ.get(v, "").split(",") if n.strip()}
        for v in (ALLOWED, BLOCKED)
    )
    if name in blocked:
        return f"{BLOCKED} names it"
    if allowed and name not in allowed:
        return f"{ALLOWED} does not name it"
    return ""
