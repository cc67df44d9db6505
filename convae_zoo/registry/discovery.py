"""Discovery of plugins: each entry point is loaded separately, and a broken one is left out."""

import functools
import os
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs
import pluggy

from convae_zoo.errors import PluginError, ZooWarning, nearest, reason
from convae_zoo.registry import hookspecs
from convae_zoo.registry.distributions import OWN_DISTRIBUTION, unmet_requirement, zoo_version
from convae_zoo.registry.plugin_code import call_plugin
from convae_zoo.registry.specs import Provenance

if TYPE_CHECKING:
    from convae_zoo.registry.entry_points import Found

STRICT = "CONVAE_ZOO_PLUGINS_STRICT"
ALLOWED = "CONVAE_ZOO_LOAD_PLUGINS"
BLOCKED = "CONVAE_ZOO_DISABLED_PLUGINS"


@attrs.frozen
class Plugin:
    """An installed plugin: its provenance, and whether it loaded.

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
    """Pluggy's manager with a record of every installed plugin."""

    hooks: pluggy.PluginManager
    found: dict[Provenance, Plugin] = attrs.field(factory=dict)

    def add(self, provenance: Provenance, load: Callable[[], object]) -> None:
        """Load a plugin and register its hooks, or leave it out entirely and warn once.

        Args:
            provenance: the plugin's name and its distribution.
            load: imports the plugin and returns its module or object.

        Raises:
            PluginError: it is broken and the mode is strict.
        """
        first = next((p for p in self.found if p.plugin == provenance.plugin), None)
        if first is not None:
            self.leave_out(
                provenance, f"{first.distribution} also has a plugin of that name; uninstall one"
            )
            return
        self.found[provenance] = Plugin(provenance)
        try:
            plugin = call_plugin(load)
            self._check_hooks(plugin)
            self.hooks.register(plugin, name=provenance.plugin)
        except Exception as error:  # noqa: BLE001 - whatever a plugin's object raises in pluggy
            self.leave_out(provenance, error)

    def _check_hooks(self, plugin: object) -> None:
        """Refuse what pluggy accepts or explains badly; pluggy checks the signatures."""
        hash(plugin)  # pluggy keeps plugins in a set: an unhashable one would break the others
        if self.hooks.is_registered(plugin):
            raise PluginError(f"it is the same object as plugin {self.hooks.get_name(plugin)!r}")
        known = [name for name in dir(hookspecs) if name.startswith("register_")]
        marked = [n for n in dir(plugin) if self.hooks.parse_hookimpl_opts(plugin, n) is not None]
        for name in marked:
            if name not in known:
                raise PluginError(f"there is no hook {name!r}; {nearest(name, known)}")
        if not marked:
            raise PluginError(
                f"it implements no hook; mark one of {', '.join(known)} with @hookimpl"
            )

    def leave_out(self, provenance: Provenance, error: BaseException | str) -> None:
        """Leave out a plugin, record the reason, and warn; in strict mode, raise.

        Raises:
            PluginError: the mode is strict.
        """
        before = self.found.get(provenance)
        if before is not None and before.status == "loaded":
            # Pluggy registers a plugin before it refuses a hook's signature.
            self.hooks.unregister(name=provenance.plugin)
        why = reason(error) if isinstance(error, BaseException) else error
        self.found[provenance] = Plugin(provenance, "broken", why)
        warn_or_raise(
            f"plugin {provenance.plugin!r} of {provenance.distribution} {provenance.version} "
            f"is left out: {why} ({BLOCKED}={provenance.plugin} silences this)"
        )

    def loaded(self) -> list[Plugin]:
        """Return the plugins that loaded, in the order of loading."""
        return [p for p in self.found.values() if p.status == "loaded"]


def new_manager() -> PluginManager:
    """Create a manager with the hooks and no plugins."""
    hooks = pluggy.PluginManager(hookspecs.PROJECT)
    hooks.add_hookspecs(hookspecs)
    return PluginManager(hooks)


def strict() -> bool:
    """Return whether a broken plugin raises an error instead of being left out."""
    return os.environ.get(STRICT, "") not in {"", "0"}


def warn_or_raise(message: str) -> None:
    """Raise in strict mode, else warn."""
    if strict():
        raise PluginError(message)
    warnings.warn(message, ZooWarning, stacklevel=3)


def load_entry_points() -> PluginManager:
    """Load every installed plugin that is not blocked; blocked plugins are never imported.

    The zoo's own distribution comes first, then the others in the order of their names. So which of
    two plugins keeps a name that both have depends on their distributions' names only.

    Raises:
        PluginError: a plugin is broken and the mode is strict.
    """
    from convae_zoo.registry.entry_points import find_entry_points  # a third of the time of `list`

    manager = new_manager()
    found = sorted(find_entry_points(hookspecs.PROJECT), key=lambda f: _order(f.provenance))
    _check_lists(f.provenance.plugin for f in found)
    for plugin in found:
        provenance = plugin.provenance
        if why := _blocked(provenance.plugin):
            manager.found[provenance] = Plugin(provenance, "blocked", why)
        else:
            manager.add(provenance, functools.partial(_load, plugin))
    return manager


def _load(plugin: "Found") -> object:
    """Import a plugin.

    Raises:
        PluginError: its distribution requires another version of the zoo, or the import fails.
    """
    own = plugin.provenance.distribution == OWN_DISTRIBUTION  # its extras require the zoo itself
    if not own and (unmet := unmet_requirement(plugin.requires)):
        raise PluginError(
            f"it requires {unmet} but {zoo_version()} is installed; pip install {unmet!r}"
        )
    return plugin.load()


def _order(provenance: Provenance) -> tuple[bool, str, str]:
    return (
        provenance.distribution != OWN_DISTRIBUTION,
        provenance.distribution,
        provenance.plugin,
    )


def _listed(variable: str) -> set[str]:
    return {name.strip() for name in os.environ.get(variable, "").split(",")} - {""}


def _check_lists(installed: Iterable[str]) -> None:
    """Warn about names on the allow and block lists that no installed plugin has."""
    names = set(installed)
    for variable in (ALLOWED, BLOCKED):
        for name in sorted(_listed(variable) - names):
            warn_or_raise(
                f"{variable} names {name!r}, which is not installed; {nearest(name, names)}"
            )


def _blocked(name: str) -> str:
    if name in _listed(BLOCKED):
        return f"{BLOCKED} names it"
    if (allowed := _listed(ALLOWED)) and name not in allowed:
        return f"{ALLOWED} does not name it"
    return ""
