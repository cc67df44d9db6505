"""Parsed expressions: entries with config values and weights."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from convae_zoo.errors import ConfigError

FIELD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""The name of a config field."""


def _freeze(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))


@attrs.frozen(kw_only=True)
class Term:
    """One entry: its name, its config values, and its weight in a sum.

    Attributes:
        name: the entry's name.
        config: numbers, strings, booleans, None and tuples of these, by field.
        weight: its factor in the sum, 1 by default.
        text: the expression that it was parsed from.
        position: the index in `text` at which the name begins.
        places: the index in `text` at which each field begins.
    """

    name: str
    config: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze, hash=False)
    weight: float = 1.0
    text: str = attrs.field(default="", eq=False, repr=False)
    position: int = attrs.field(default=0, eq=False, repr=False)
    places: Mapping[str, int] = attrs.field(factory=dict, eq=False, repr=False)

    def __str__(self) -> str:
        """Return the term's text; parsing it returns an equal term.

        Raises:
            ConfigError: the syntax cannot express a value.
        """
        weight = "" if self.weight == 1 else f"{float(self.weight)!r}*"
        fields = ", ".join(f"{name}={_write(value)}" for name, value in self.config.items())
        return f"{weight}{self.name}({fields})" if fields else f"{weight}{self.name}"


@attrs.frozen
class Expression:
    """A sum of entries, one or more."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        """Return the expression's text; parsing it returns an equal expression."""
        return " + ".join(map(str, self.terms))


def _write(value: Any) -> str:
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_write, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if value is None or isinstance(value, bool | str | int):
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    raise ConfigError(
        f"a config value must be a finite number, a string, true, false, None or a list of these, "
        f"got {value!r:.60}"
    )
