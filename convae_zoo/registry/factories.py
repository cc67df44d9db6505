"""Building entries from their configs; errors in a plugin's code name the plugin."""

import importlib
import re
from collections.abc import Mapping
from typing import Any

import attrs

from convae_zoo.errors import ConfigError, PluginError, ZooError, is_out_of_memory, reason, unknown
from convae_zoo.registry.kinds import kind_of
from convae_zoo.registry.plugin_code import call_plugin
from convae_zoo.registry.specs import BuiltSpec, Factory, Provenance


def resolve(factory: Factory) -> Any:
    """Import the object that a factory string ``"package.module:Attribute"`` names.

    Raises:
        PluginError: the module cannot be imported, or has no such attribute.
    """
    if not isinstance(factory, str):
        return factory
    module, _, name = factory.partition(":")
    try:
        return call_plugin(lambda: getattr(importlib.import_module(module), name))
    except PluginError as error:
        raise PluginError(f"factory {factory!r} cannot be imported: {error}") from error


def field_names(spec: BuiltSpec) -> list[str]:
    """Return the names of an entry's config fields."""
    return [f.name for f in attrs.fields(spec.config)]


def make_config(spec: BuiltSpec, values: Mapping[str, Any]) -> Any:
    """Create an entry's config from the values that differ from its defaults.

    Raises:
        UnknownNameError: the config has no such field.
        ConfigError: a value of the wrong type or out of range.
    """
    return create_config(spec.config, values, f"{kind_of(spec)} {spec.name!r}")


def create_config(kind: type, values: Mapping[str, Any], owner: str) -> Any:
    """Create a config from the values that differ from its defaults.

    Args:
        kind: its attrs class.
        values: by field.
        owner: whose config it is, for errors: ``loss 'ssim'``.

    Raises:
        UnknownNameError: the config has no such field.
        ConfigError: a value of the wrong type or out of range.
    """
    names = [field.name for field in attrs.fields(kind)]
    for name in values:
        if name not in names:
            raise unknown(f"field of {owner}:", name, names)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{owner}: {error}") from error


def config_values(config: Any) -> dict[str, Any]:
    """Return a config's values by field; all are JSON values."""
    return {f.name: getattr(config, f.name) for f in attrs.fields(type(config))}


def build(spec: BuiltSpec, config: Any, **more: Any) -> Any:
    """Call an entry's factory with its config's fields as keyword arguments.

    Raises:
        PluginError: the factory is missing, does not accept the config's fields, or fails.
        ConfigError: the config needs more memory than the machine has.
    """
    try:
        return resolve(spec.factory)(**config_values(config), **more)
    except PluginError as error:
        raise plugin_error(spec, str(error)) from error
    except (ZooError, OSError):
        raise  # missing data or weights
    except Exception as error:
        if _too_large(error):
            raise _size_error(spec, config, error) from error
        raise plugin_error(spec, f"its factory failed: {reason(error)}") from error


def _too_large(error: Exception) -> bool:
    """Return whether a size is too large; torch raises a plain RuntimeError for that."""
    return is_out_of_memory(error) or "overflow" in str(error).lower()


def _size_error(spec: BuiltSpec, config: Any, error: Exception) -> ConfigError:
    """Create the error that names the config's largest size and the memory it needs."""
    sizes = [(v, n) for n, v in config_values(config).items() if type(v) is int]
    size, name = max(sizes, default=(0, "its config"))
    needed = re.search(r"allocate ([\d.]+ ?\w+)", str(error))
    needs = f"{needed[1]} of memory at once" if needed else "more memory than can be addressed"
    return ConfigError(
        f"{kind_of(spec)} {spec.name!r}: {name}={size} is too large: it needs {needs}; choose a "
        "smaller one"
    )


def plugin_error(spec: BuiltSpec, what: str) -> PluginError:
    """Create the error for an entry that breaks its contract: entry, plugin and what to do."""
    source = spec.provenance or Provenance("?", "an unknown distribution", "?")
    return PluginError(
        f"{kind_of(spec)} {spec.name!r} of plugin {source.plugin!r} ({source.distribution} "
        f"{source.version}): {what}; report the output of 'convae-zoo verify {spec.name}' to its "
        "author"
    )
