"""Packages with a plugin to start from."""

from convae_zoo.scaffold.new_plugin import DEFAULT_KINDS, new_plugin

__all__ = ["DEFAULT_KINDS", "new_plugin"]
