"""Fields for config classes: a default, a validator, and an error that names the valid values.

A config is an attrs class whose fields all have defaults::

    @attrs.frozen(kw_only=True)
    class TinyConfig:
        latent_dim: int = fields.integer(64)
        activation: str = fields.choice("relu", ("relu", "gelu"))

The validators raise `ValueError`; the zoo turns it into a `ConfigError` that names the entry. Each
field describes what it accepts: in words, and as a domain if values can be generated from one.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast

import attrs

T = TypeVar("T", str, int)

_SMALLEST, _LARGEST = 1e-6, 1e6
"""Bounds on the larger end of a value range."""

_BITS = 64  # of a seed, the largest whole number that torch accepts

ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh")
"""The names that `activation` takes."""

_ACCEPTED = "convae_zoo.accepted"
_DOMAIN = "convae_zoo.domain"
_HELP = "convae_zoo.help"


@attrs.frozen
class Integers:
    """The whole numbers from `minimum` upwards that are multiples of `multiple_of`."""

    minimum: int
    multiple_of: int


@attrs.frozen
class Numbers:
    """The finite numbers from `minimum` to `maximum`."""

    minimum: float
    maximum: float


@attrs.frozen
class Choices:
    """A few values."""

    options: tuple[Any, ...]


Domain: TypeAlias = Integers | Numbers | Choices


def accepted(attribute: "attrs.Attribute[Any]") -> str:
    """Return what a config's field accepts, in a few words; empty if it is not declared."""
    return cast("str", attribute.metadata.get(_ACCEPTED, ""))


def domain_of(attribute: "attrs.Attribute[Any]") -> Domain | None:
    """Return the values that a config's field accepts, or None if it is not declared."""
    return cast("Domain | None", attribute.metadata.get(_DOMAIN))


def help_of(attribute: "attrs.Attribute[Any]") -> str:
    """Return a config field's help, one sentence; empty if it has none."""
    return cast("str", attribute.metadata.get(_HELP, ""))


def _field(
    default: object,
    expected: str,
    accepts: Callable[[Any], bool],
    domain: Domain | None = None,
    convert: Callable[[Any], Any] | None = None,
    help: str = "",  # noqa: A002 - click's and argparse's word for it
) -> Any:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if isinstance(domain, Integers) and isinstance(value, int) and value.bit_length() > _BITS:
            raise ValueError(
                f"{attribute.name} must be {expected}, below 2^{_BITS}; got a number of "
                f"{value.bit_length():,} bits"
            )
        if not accepts(value):
            raise ValueError(f"{attribute.name} must be {expected}, got {value!r:.80}")

    metadata = {_ACCEPTED: expected, _DOMAIN: domain, _HELP: help}
    return attrs.field(default=default, validator=check, converter=convert, metadata=metadata)


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def integer(
    default: int,
    *,
    minimum: int = 1,
    multiple_of: int = 1,
    help: str = "",  # noqa: A002 - as in `_field`
) -> int:
    """Declare a whole number of at least `minimum` that is a multiple of `multiple_of`.

    Whatever `operator.index` accepts is accepted, such as NumPy's integers, and stored as an int.
    """
    expected = f"a whole number of at least {minimum}"
    if multiple_of != 1:
        expected += f" that is divisible by {multiple_of}"

    def accepts(value: object) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and cast("int", value) >= minimum and cast("int", value) % multiple_of == 0

    domain = Integers(minimum, multiple_of)
    return cast("int", _field(default, expected, accepts, domain, _whole, help))


def _whole(value: Any) -> Any:
    """Convert to int what `operator.index` accepts; leave the rest to the validator."""
    if isinstance(value, bool):
        return value
    try:
        return operator.index(value)
    except TypeError:
        return value


def number(
    default: float,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    help: str = "",  # noqa: A002 - as in `_field`
) -> float:
    """Declare a finite number between `minimum` and `maximum`, both included."""
    expected = "a number"
    if minimum > -math.inf:
        expected += f" from {minimum:g}"
    if maximum < math.inf:
        expected += f" to {maximum:g}"

    def accepts(value: object) -> bool:
        return _is_number(value) and minimum <= value <= maximum

    domain = Numbers(minimum, maximum)
    return cast("float", _field(default, expected, accepts, domain, help=help))


def span(
    default: float | tuple[float, float],
    *,
    minimum: float,
    maximum: float,
    help: str = "",  # noqa: A002 - as in `_field`
) -> float | tuple[float, float]:
    """Declare a number between `minimum` and `maximum`, or a range (low, high) of such numbers."""
    expected = f"a number from {minimum:g} to {maximum:g} or a range LOW:HIGH of such numbers"

    def accepts(value: object) -> bool:
        ends = value if isinstance(value, tuple) else (value, value)
        if len(ends) != 2 or not all(map(_is_number, ends)):  # noqa: PLR2004 - low and high
            return False
        low, high = ends
        return bool(minimum <= low <= high <= maximum)

    domain = Numbers(minimum, maximum)
    return cast("float", _field(default, expected, accepts, domain, _as_tuple, help))


def _as_tuple(value: Any) -> Any:
    """Convert a list, which JSON has in place of a tuple."""
    return tuple(value) if isinstance(value, list) else value


def choice(default: T, options: Sequence[T], *, help: str = "") -> T:  # noqa: A002 - as in `_field`
    """Declare one value out of `options`: strings or whole numbers."""
    allowed = tuple(options)
    expected = f"one of {', '.join(map(str, allowed))}"

    def accepts(value: object) -> bool:
        return type(value) is type(default) and value in allowed  # 7.0 equals 7, and True 1

    return cast("T", _field(default, expected, accepts, Choices(allowed), help=help))


def activation(default: str = "relu") -> str:
    """Declare the name of an activation, for `convae_zoo.layers.make_activation`."""
    return choice(default, ACTIVATIONS)


def flag(*, default: bool, help: str = "") -> bool:  # noqa: A002 - as in `_field`
    """Declare a boolean."""
    expected, domain = "true or false", Choices((False, True))
    return cast("bool", _field(default, expected, lambda v: isinstance(v, bool), domain, help=help))


def text(default: str | None = None, *, help: str = "") -> Any:  # noqa: A002 - as in `_field`
    """Declare a string; None is accepted if it is the default."""
    optional = default is None
    expected = "a string or nothing" if optional else "a string"
    return _field(
        default,
        expected,
        lambda v: isinstance(v, str) or (v is None and optional),
        help=help,
    )


def value_range(default: tuple[float, float] = (-1.0, 1.0)) -> tuple[float, float]:
    """Declare the (low, high) range of a model's pixel values.

    The 256 levels of a pixel must differ in float32: the range spans at least a thousandth of its
    larger end.
    """

    def accepts(value: Any) -> bool:
        pair = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 - low and high
        if not pair or not all(map(_is_number, value)):
            return False
        low, high = value
        largest = max(abs(low), abs(high))
        return _SMALLEST <= largest <= _LARGEST and bool(high - low >= largest / 1000)

    domain = Choices(((-1.0, 1.0), (0.0, 1.0)))
    expected = "(low, high) with low < high, far enough apart for float32"
    return cast("tuple[float, float]", _field(default, expected, accepts, domain, _as_tuple))
