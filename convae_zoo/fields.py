"""Fields for config classes: a default, a check, and an error that says what was expected.

A config is an attrs class whose fields all have defaults::

    @attrs.frozen(kw_only=True)
    class TinyConfig:
        latent_dim: int = fields.integer(64)
        activation: str = fields.choice("relu", ("relu", "gelu"))

The checks raise `ValueError`; the zoo turns it into a `ConfigError` that names the part. Each field
carries its domain, so that `convae_zoo.testing` can draw configs from it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import attrs

Check = Callable[[Any, "attrs.Attribute[Any]", Any], None]

_DOMAIN = "convae_zoo.domain"


@attrs.frozen
class Integers:
    """The whole numbers from `minimum` that `multiple_of` divides."""

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


def domain_of(attribute: "attrs.Attribute[Any]") -> Domain | None:
    """Return the values that a config's field takes, or None where it does not say."""
    return cast("Domain | None", attribute.metadata.get(_DOMAIN))


def _field(
    default: object,
    check: Check,
    convert: Callable[[Any], Any] | None = None,
    domain: Domain | None = None,
) -> Any:
    metadata = {} if domain is None else {_DOMAIN: domain}
    return attrs.field(default=default, validator=check, converter=convert, metadata=metadata)


def integer(default: int, *, minimum: int = 1, multiple_of: int = 1) -> int:
    """Declare a whole number of at least `minimum` that `multiple_of` divides."""
    expected = f"a whole number of at least {minimum}"
    if multiple_of != 1:
        expected += f" that is divisible by {multiple_of}"

    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or cast("int", value) < minimum or cast("int", value) % multiple_of:
            raise ValueError(f"{attribute.name} must be {expected}, got {value!r}")

    return cast("int", _field(default, check, domain=Integers(minimum, multiple_of)))


def number(default: float, *, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Declare a finite number between `minimum` and `maximum`, both included."""

    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        if (
            not real
            or not math.isfinite(cast("float", value))
            or not (minimum <= cast("float", value) <= maximum)
        ):
            raise ValueError(
                f"{attribute.name} must be a number from {minimum} to {maximum}, got {value!r}"
            )

    return cast("float", _field(default, check, domain=Numbers(minimum, maximum)))


def choice(default: str, options: Sequence[str]) -> str:
    """Declare one string out of `options`."""

    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value not in options:
            listed = ", ".join(options)
            raise ValueError(f"{attribute.name} must be one of {listed}, got {value!r}")

    return cast("str", _field(default, check, domain=Choices(tuple(options))))


def flag(*, default: bool) -> bool:
    """Declare a yes or no."""

    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"{attribute.name} must be true or false, got {value!r}")

    return cast("bool", _field(default, check, domain=Choices((False, True))))


def text(default: str | None = None) -> Any:
    """Declare a string, or None where the default is None."""

    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, str) and not (value is None and default is None):
            raise ValueError(f"{attribute.name} must be a string, got {value!r}")

    return _field(default, check)


def value_range(default: tuple[float, float] = (-1.0, 1.0)) -> tuple[float, float]:
    """Declare the (low, high) range of a model's pixel values."""

    def convert(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def check(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        pair = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 - low and high
        if not pair or not all(isinstance(v, int | float) for v in value) or value[0] >= value[1]:
            raise ValueError(f"{attribute.name} must be (low, high) with low < high, got {value!r}")

    ranges = Choices(((-1.0, 1.0), (0.0, 1.0)))
    return cast("tuple[float, float]", _field(default, check, convert, ranges))
