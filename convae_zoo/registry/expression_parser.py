"""Parser of expressions: ``0.8*l1 + 0.2*ssim(window=7)``.

Names, numbers, words and strings are matched by regular expressions and replaced by underscores of
the same length, because ``a-b`` and ``5:55`` are not Python. `ast` then parses the remaining
brackets, commas and operators, and its positions are positions in the text. Nothing is evaluated.
"""

import ast
import math
import re
from typing import Any, NoReturn

import attrs

from convae_zoo.errors import ConfigError
from convae_zoo.registry.expression_terms import FIELD, Expression, Term

MAX_LENGTH = 10_000
_MAX_OPERATORS = 200
_MAX_DEPTH = 20
_MAX_DIGITS = 300
"""Within these limits Python's parser cannot overflow, and every number is a finite float."""

ENTRY = "a name, optionally with config values: NAME(FIELD=VALUE, ...)"
SUM = "a name or a sum such as '0.8*l1 + 0.2*ssim(window=7)'"
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


def place_of(text: str, position: int) -> str:
    """Name a position in a text, counted from 0, for an error message."""
    return f"character {position + 1} of {shorten(text, position)!r}"


def shorten(text: str, position: int = 0, width: int = 60) -> str:
    """Return the part of a text around a position, at most `width` characters of it."""
    start = max(0, min(position - width // 3, len(text) - width))
    part = text[start : start + width]
    return ("…" if start else "") + part + ("…" if start + width < len(text) else "")


@attrs.frozen
class _Token:
    """A name, number, word or string in the text, with its value."""

    kind: str
    value: Any


class Parser:
    """Parses one text.

    Args:
        text: the expression.
        kind: the kind of entry, for errors: ``loss``.
        expected: the accepted syntax, for errors: `ENTRY` or `SUM`.
    """

    def __init__(self, text: str, kind: str, expected: str) -> None:
        if not isinstance(text, str):
            raise ConfigError(f"a {kind} must be named by a string, got {text!r:.60}")
        self.text, self.kind, self.expected = text, kind, expected
        self.tokens: dict[int, _Token] = {}
        self.indent = 0

    def parse(self) -> Expression:
        """Parse the whole text.

        Raises:
            ConfigError: it cannot be parsed; the error names the place.
        """
        if len(self.text) > MAX_LENGTH:
            raise ConfigError(
                f"{self.kind} {shorten(self.text)!r} has {len(self.text):,} characters, more than "
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
        """Store the tokens by position; return the text with underscores in their place."""
        position, operators, masked = 0, 0, ""
        opened: list[tuple[int, str]] = []
        while position < len(self.text):
            match = (_INSIDE if opened else _OUTSIDE).match(self.text, position)
            if match is None:
                self._fail(position, f"expected {_VALUE if opened else self.expected}")
            kind, token = str(match.lastgroup), match[0]
            if kind in {"open", "close", "operator", "sign"}:
                masked += token.replace(":", "@")  # has the precedence that a range needs
            else:
                masked += (" " if kind == "space" else "_") * len(token)
            if kind == "open":
                opened.append((position, token))
            elif kind == "close" and (not opened or opened.pop()[1] + token not in {"()", "[]"}):
                self._fail(position, f"{token!r} has no matching opening bracket")
            elif kind in {"number", "name", "word", "string"}:
                self.tokens[position] = _Token(kind, self._value(kind, token, position))
            operators += kind == "operator"
            if len(opened) > _MAX_DEPTH or operators > _MAX_OPERATORS:
                self._fail(position, "the nesting is too deep or there are too many terms")
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
        found = self._token_at(name)
        if found is None or found.kind != "name":
            self._fail(self._at(name), f"expected {self.expected}")
        config, places = self._fields(node) if isinstance(node, ast.Call) else ({}, {})
        return Term(
            name=found.value,
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
            field = self.tokens[place].value if place in self.tokens else ""
            if not isinstance(field, str) or not FIELD.fullmatch(field):
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
        found = self._token_at(node)
        if found is not None and found.kind == "word":
            return _CONSTANTS.get(found.value, found.value)
        return found.value if found is not None else self._number(node, _VALUE)

    def _number(self, node: ast.expr, expected: str) -> float:
        operand = node.operand if isinstance(node, ast.UnaryOp) else node
        found = self._token_at(operand)
        if found is None or found.kind != "number":
            self._fail(self._at(node), f"expected {expected}")
        value: float = found.value
        minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        return -value if minus else value

    def _token_at(self, node: ast.expr) -> _Token | None:
        return self.tokens.get(self._at(node)) if isinstance(node, ast.Name) else None

    def _at(self, node: ast.expr | ast.keyword) -> int:
        return node.col_offset + self.indent

    def _fail(self, position: int, what: str) -> NoReturn:
        position = min(max(position, 0), len(self.text))
        place = place_of(self.text, position) if position < len(self.text) else ""
        place = place or f"the end of {shorten(self.text, position)!r}"
        raise ConfigError(f"{self.kind} cannot be read at {place}: {what}")
