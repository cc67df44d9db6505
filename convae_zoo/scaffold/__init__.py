"""Packages with a plugin to start from."""

from convae_zoo.scaffold.contents import KINDS_WITH_TEMPLATE
from convae_zoo.scaffold.new_plugin import DEFAULT_KINDS, new_plugin

__all__ = ["DEFAULT_KINDS", "KINDS_WITH_TEMPLATE", "new_plugin"]
