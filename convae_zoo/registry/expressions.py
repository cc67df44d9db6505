"""Entries named in strings, with their configs: ``0.8*l1 + 0.2*ssim(window=7)``.

The syntax is the same wherever a string names entries::

    expression := term "+" term "+" ...
    term       := [weight "*"] name ["(" field "=" value "," ... ")"]
    value      := number | "text" | word | true | false | None | (value, ...) | [value, ...]
                | low ":" high

A range ``5:55`` is the tuple ``(5, 55)``, a list is read as a tuple, and a bare word is a string.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from convae_zoo.errors import ConfigError, UnknownNameError
from convae_zoo.registry.expression_parser import ENTRY, SUM, Parser, place_of, shorten
from convae_zoo.registry.expression_terms import FIELD, Expression, Term
from convae_zoo.registry.factories import make_config
from convae_zoo.registry.registry import get_registry
from convae_zoo.registry.specs import BuiltSpec, Spec


def parse_expression(text: str, kind: str) -> Expression:
    """Parse a sum of entries, such as ``"mse"`` or ``"0.8*l1 + 0.2*ssim(window=7)"``.

    Args:
        text: the expression.
        kind: the kind of entry, for errors: ``loss``.

    Raises:
        ConfigError: it cannot be parsed; the error names the place.
    """
    return Parser(text, kind, SUM).parse()


def parse_entry(text: str, kind: str) -> Term:
    """Parse one entry, such as ``"photos"`` or ``"image-folder(val_fraction=0.2)"``.

    Raises:
        ConfigError: it cannot be parsed, or it is a sum or has a weight.
    """
    terms = Parser(text, kind, ENTRY).parse().terms
    if len(terms) > 1 or terms[0].weight != 1:
        raise ConfigError(f"{kind} {shorten(text)!r} must be one entry, without a sum or a weight")
    return terms[0]


def find_spec(term: Term, kind: str) -> Spec:
    """Return the registered spec that a term names.

    Raises:
        UnknownNameError: no entry of that kind has the name; the error names the place.
    """
    with _placed(term, term.position):
        return get_registry().get(kind, term.name)


def term_config(term: Term, spec: BuiltSpec, more: Mapping[str, Any] | None = None) -> Any:
    """Create the config of the entry that a term names.

    Args:
        term: the term.
        spec: the spec that `find_spec` returned for it.
        more: further values, by field.

    Raises:
        UnknownNameError: the config has no such field.
        ConfigError: a value of the wrong type or out of range, or different values for one field
            in the term and in `more`. The error names the place.
    """
    for field, value in (more or {}).items():
        if term.config.get(field, value) != value:
            with _placed(term, term.places.get(field, term.position)):
                raise ConfigError(f"{field} of {spec.name!r} is already set to {value!r:.60}")
    with _placed(term, _first_invalid(term, spec)):
        return make_config(spec, {**(more or {}), **term.config})


def _first_invalid(term: Term, spec: BuiltSpec) -> int:
    """Return the position of the first field that is invalid on its own, else the term's."""
    for field, value in term.config.items():
        try:
            make_config(spec, {field: value})
        except (ConfigError, UnknownNameError):
            return term.places.get(field, term.position)
    return term.position


def with_fields(text: str, kind: str, values: Mapping[str, Any]) -> str:
    """Add config values to the entry that a string names; return the new string.

    Raises:
        ConfigError: the string cannot be parsed, it already sets one of the fields, or the syntax
            cannot express a field or a value.
    """
    term = parse_entry(text, kind)
    for field in values:
        if not FIELD.fullmatch(field):
            raise ConfigError(f"{field!r:.60} is not a valid field name of {kind} {term.name!r}")
        if field in term.config:
            raise ConfigError(f"field {field!r} of {kind} {term.name!r} is given twice")
    return str(attrs.evolve(term, config={**term.config, **values}))


@contextlib.contextmanager
def _placed(term: Term, position: int) -> Iterator[None]:
    """Add the position to errors, unless the text is just a name."""
    try:
        yield
    except (ConfigError, UnknownNameError) as error:
        if term.text in {"", term.name}:
            raise
        raise type(error)(f"{error} ({place_of(term.text, position)})") from error
