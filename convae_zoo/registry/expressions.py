"""Entries named in a string with their configs: ``0.8*l1 + 0.2*ssim(window=7)``.

The syntax is the same wherever a string names entries::

    expression := term "+" term "+" ...
    term       := [weight "*"] name ["(" field "=" value "," ... ")"]
    value      := number | "text" | word | true | false | None | (value, ...) | [value, ...]
                | low ":" high

A range ``5:55`` is the tuple ``(5, 55)``, a list is read as a tuple, and a bare word is a string.

Names, numbers, words and strings are read by regular expressions and replaced by underscores of the
same length, since ``a-b`` and ``5:55`` are no Python. `ast` then parses the brackets, commas and
operators that are left, and its positions are positions in the text. Nothing is ever evaluated.
"""

import ast
import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import attrs

from convae_zoo.errors import ConfigError, UnknownNameError
from convae_zoo.registry.factories import make_config
from convae_zoo.registry.registry import get_registry
from convae_zoo.registry.specs import BuiltSpec, Spec

MAX_LENGTH = 10_000
_MAX_OPERATORS = 200
_MAX_DEPTH = 20
_MAX_DIGITS = 300
"""Within these limits the parser of Python cannot overflow, and every number is a finite float."""

_ENTRY = "a name, maybe with config values: NAME(FIELD=VALUE, ...)"
_SUM = "a name or a sum such as '0.8*l1 + 0.2*ssim(window=7)'"
_VALUE = "a number, a word, a string in quotes (with \\\\ for \\), true, false, None or a tuple"
_NUMBER = r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_ESCAPE = r"\\(?:[\\'\"nrt]|x[\da-f]{2}|u[\da-f]{4}|U000[\da-f]{5}|U0010[\da-f]{4})"
_PLAIN = r"\\\x00-\x1f\ud800-\udfff"
_SIGNS = r"(?P<open>[(\[])|(?P<close>[)\]])|(?P<operator>[-+*:])|(?P<sign>[,=])|(?P<space>\s+)"
_OUTSIDE = re.compile(rf"{_NUMBER}(?=\s*\*)|(?P<name>\w[\w-]*)|{_SIGNS}", re.ASCII)
_INSIDE = re.compile(
    rf"{_NUMBER}(?![\w.])|(?P<word>[A-Za-z_][\w-]*)"
    rf"|(?P<string>'(?:[^'{_PLAIN}]|{_ESCAPE})*'|\"(?:[^\"{_PLAIN}]|{_ESCAPE})*\")|{_SIGNS}",
    re.ASCII,
)
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "None": None}
_FIELD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _freeze(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))


@attrs.frozen(kw_only=True)
class Term:
    """One entry: its name, the config values that are given, and its weight in a sum.

    Attributes:
        name: the entry's name.
        config: numbers, strings, booleans, None and tuples of these, by field.
        weight: its factor; 1 where none is given.
        text: the string that it was read from.
        position: where in the text the name begins, from 0.
        places: where in the text each field begins.
    """

    name: str
    config: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze, hash=False)
    weight: float = 1.0
    text: str = attrs.field(default="", eq=False, repr=False)
    position: int = attrs.field(default=0, eq=False, repr=False)
    places: Mapping[str, int] = attrs.field(factory=dict, eq=False, repr=False)

    def __str__(self) -> str:
        """Write it so that it is read back equal.

        Raises:
            ConfigError: a value that the syntax cannot express.
        """
        weight = "" if self.weight == 1 else f"{float(self.weight)!r}*"
        fields = ", ".join(f"{name}={_write(value)}" for name, value in self.config.items())
        return f"{weight}{self.name}({fields})" if fields else f"{weight}{self.name}"


@attrs.frozen
class Expression:
    """A sum of entries, one or more."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        """Write it so that it is read back equal."""
        return " + ".join(map(str, self.terms))


def parse_expression(text: str, kind: str) -> Expression:
    """Read a sum of entries, as in ``"mse"`` or ``"0.8*l1 + 0.2*ssim(window=7)"``.

    Args:
        text: the expression.
        kind: what it names, for errors: ``loss``.

    Raises:
        ConfigError: it cannot be read; the error names the place.
    """
    return _Reader(text, kind, _SUM).read()


def parse_entry(text: str, kind: str) -> Term:
    """Read one entry, as in ``"photos"`` or ``"image-folder(val_fraction=0.2)"``.

    Raises:
        ConfigError: it cannot be read, or it is a sum or has a weight.
    """
    terms = _Reader(text, kind, _ENTRY).read().terms
    if len(terms) > 1 or terms[0].weight != 1:
        raise ConfigError(f"{kind} {_shorten(text)!r} must be one entry, without a sum or a weight")
    return terms[0]


def find_spec(term: Term, kind: str) -> Spec:
    """Return the registered spec that a term names.

    Raises:
        UnknownNameError: nothing of that kind has the name; the error names the place.
    """
    with _placed(term, term.position):
        return get_registry().get(kind, term.name)


def term_config(term: Term, spec: BuiltSpec, more: Mapping[str, Any] | None = None) -> Any:
    """Make the config of the entry that a term names.

    Args:
        term: the term.
        spec: what `find_spec` gave for it.
        more: further values, by field.

    Raises:
        UnknownNameError: a field that the config does not have.
        ConfigError: a value of the wrong type or out of range, or one that is given both in the
            term and in `more`, with another value. The error names the place.
    """
    for field, value in (more or {}).items():
        if term.config.get(field, value) != value:
            with _placed(term, term.places.get(field, term.position)):
                raise ConfigError(f"{field} of {spec.name!r} is set to {value!r:.60} already")
    with _placed(term, _first_wrong(term, spec)):
        return make_config(spec, {**(more or {}), **term.config})


def _first_wrong(term: Term, spec: BuiltSpec) -> int:
    """Return where the first field is that is wrong by itself, or where the term begins."""
    for field, value in term.config.items():
        try:
            make_config(spec, {field: value})
        except (ConfigError, UnknownNameError):
            return term.places.get(field, term.position)
    return term.position


def with_fields(text: str, kind: str, values: Mapping[str, Any]) -> str:
    """Add config values to the entry that a string names.

    Raises:
        ConfigError: the string cannot be read, it sets one of the fields already, or a field or a
            value that the syntax cannot express.
    """
    term = parse_entry(text, kind)
    for field in values:
        if not _FIELD.fullmatch(field):
            raise ConfigError(f"{field!r:.60} is no name of a field of {kind} {term.name!r}")
        if field in term.config:
            raise ConfigError(f"field {field!r} of {kind} {term.name!r} is given twice")
    return str(attrs.evolve(term, config={**term.config, **values}))


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


@contextlib.contextmanager
def _placed(term: Term, position: int) -> Iterator[None]:
    """Name the place in errors, unless the name is all that there is."""
    try:
        yield
    except (ConfigError, UnknownNameError) as error:
        if term.text in {"", term.name}:
            raise
        raise type(error)(f"{error} ({_place(term.text, position)})") from error


def _place(text: str, position: int) -> str:
    return f"character {position + 1} of {_shorten(text, position)!r}"


def _shorten(text: str, position: int = 0, width: int = 60) -> str:
    start = max(0, min(position - width // 3, len(text) - width))
    part = text[start : start + width]
    return ("…" if start else "") + part + ("…" if start + width < len(text) else "")


@attrs.frozen
class _Leaf:
    """A name, a number, a word or a string of the text, with its value."""

    kind: str
    value: Any


class _Reader:
    """Reads one text."""

    def __init__(self, text: str, kind: str, expected: str) -> None:
        if not isinstance(text, str):
            raise ConfigError(f"a {kind} is named by a string, got {text!r:.60}")
        self.text, self.kind, self.expected = text, kind, expected
        self.leaves: dict[int, _Leaf] = {}
        self.indent = 0

    def read(self) -> Expression:
        """Read the whole text."""
        if len(self.text) > MAX_LENGTH:
            raise ConfigError(
                f"{self.kind} {_shorten(self.text)!r} has {len(self.text):,} characters, more than "
                f"{MAX_LENGTH:,}"
            )
        if not self.text.strip():
            raise ConfigError(f"{self.kind} is an empty string; expected {self.expected}")
        masked = self._mask()
        self.indent = len(masked) - len(masked.lstrip())
        try:
            node = ast.parse(masked[self.indent :], mode="eval").body
        except SyntaxError as error:
            place = error.offset - 1 + self.indent if error.offset else len(self.text)
            self._fail(place, f"expected {self.expected}")
        sums: list[ast.expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sums.append(node.right)
            node = node.left
        return Expression(tuple(self._term(part) for part in (node, *reversed(sums))))

    def _mask(self) -> str:
        """Keep the leaves by their positions; return the text with underscores in their place."""
        position, operators, masked = 0, 0, ""
        opened: list[tuple[int, str]] = []
        while position < len(self.text):
            match = (_INSIDE if opened else _OUTSIDE).match(self.text, position)
            if match is None:
                self._fail(position, f"expected {_VALUE if opened else self.expected}")
            kind, token = str(match.lastgroup), match[0]
            if kind in {"open", "close", "operator", "sign"}:
                masked += token.replace(":", "@")  # an operator that binds as a range must
            else:
                masked += (" " if kind == "space" else "_") * len(token)
            if kind == "open":
                opened.append((position, token))
            elif kind == "close" and (not opened or opened.pop()[1] + token not in {"()", "[]"}):
                self._fail(position, f"{token!r} closes nothing that was opened")
            elif kind in {"number", "name", "word", "string"}:
                self.leaves[position] = _Leaf(kind, self._value(kind, token, position))
            operators += kind == "operator"
            if len(opened) > _MAX_DEPTH or operators > _MAX_OPERATORS:
                self._fail(position, "it is nested too deeply or has too many terms")
            position = match.end()
        if opened:
            position, token = opened[-1]
            self._fail(position, f"{token!r} is never closed")
        return masked

    def _value(self, kind: str, token: str, position: int) -> Any:
        if kind == "string":
            return ast.literal_eval(token)
        if kind != "number":
            return token
        if len(token) > _MAX_DIGITS:
            self._fail(position, f"a number of {len(token):,} digits is too long")
        value = int(token) if token.isdigit() else float(token)
        if not math.isfinite(value):
            self._fail(position, "the number is too large")
        return value

    def _term(self, node: ast.expr) -> Term:
        weight = 1.0
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            weight = float(self._number(node.left, "a number"))
            node = node.right
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            self._fail(
                self._at(node.right), "terms are joined by '+'; give a negative weight instead"
            )
        name = node.func if isinstance(node, ast.Call) else node
        leaf = self._leaf(name)
        if leaf is None or leaf.kind != "name":
            self._fail(self._at(name), f"expected {self.expected}")
        config, places = self._fields(node) if isinstance(node, ast.Call) else ({}, {})
        return Term(
            name=leaf.value,
            config=config,
            weight=weight,
            text=self.text,
            position=self._at(name),
            places=places,
        )

    def _fields(self, call: ast.Call) -> tuple[dict[str, Any], dict[str, int]]:
        for argument in call.args:
            self._fail(self._at(argument), "name the field, as in 'window=7'")
        config: dict[str, Any] = {}
        places: dict[str, int] = {}
        for keyword in call.keywords:
            place = self._at(keyword)
            field = self.leaves[place].value if place in self.leaves else ""
            if not isinstance(field, str) or not _FIELD.fullmatch(field):
                self._fail(place, "expected FIELD=VALUE")
            if field in config:
                self._fail(place, f"field {field!r} is given twice")
            config[field], places[field] = self._config_value(keyword.value), place
        return config, places

    def _config_value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Tuple | ast.List):
            return tuple(self._config_value(item) for item in node.elts)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return self._number(node.left, "a number"), self._number(node.right, "a number")
        leaf = self._leaf(node)
        if leaf is not None and leaf.kind == "word":
            return _CONSTANTS.get(leaf.value, leaf.value)
        return leaf.value if leaf is not None else self._number(node, _VALUE)

    def _number(self, node: ast.expr, expected: str) -> float:
        operand = node.operand if isinstance(node, ast.UnaryOp) else node
        leaf = self._leaf(operand)
        if leaf is None or leaf.kind != "number":
            self._fail(self._at(node), f"expected {expected}")
        value: float = leaf.value
        minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        return -value if minus else value

    def _leaf(self, node: ast.expr) -> _Leaf | None:
        return self.leaves.get(self._at(node)) if isinstance(node, ast.Name) else None

    def _at(self, node: ast.expr | ast.keyword) -> int:
        return node.col_offset + self.indent

    def _fail(self, position: int, what: str) -> NoReturn:
        position = min(max(position, 0), len(self.text))
        place = _place(self.text, position) if position < len(self.text) else ""
        place = place or f"the end of {_shorten(self.text, position)!r}"
        raise ConfigError(f"{self.kind} cannot be read at {place}: {what}")
