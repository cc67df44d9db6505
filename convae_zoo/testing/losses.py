"""Properties of losses, at images in their value range."""

from typing import Any, cast

import attrs
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from convae_zoo.errors import ConfigError, DataError, WeightsError
from convae_zoo.registry.factories import build, make_config
from convae_zoo.registry.specs import LossSpec, shape_text
from convae_zoo.testing.configs import for_examples
from convae_zoo.testing.entry import Entry
from convae_zoo.testing.result import ConformanceFailure, Skip

EQUAL = 1e-5
FLOAT64 = 1e-4
SIZES = (32, 40, 48)


@attrs.frozen(eq=False)
class Pair:
    """A loss and two batches of images, reconstruction and target."""

    entry: Entry
    count: int = 2
    size: int = SIZES[0]

    @property
    def spec(self) -> LossSpec:
        """The loss's spec."""
        return cast("LossSpec", self.entry.spec)

    def loss(self) -> nn.Module:
        """Build the loss; skip where it needs what is not here."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            try:
                loss = build(self.spec, make_config(self.spec, {}))
            except (DataError, WeightsError, ConfigError) as error:
                raise Skip(str(error)) from error
        if not isinstance(loss, nn.Module):
            raise ConformanceFailure(
                f"its factory returns {loss!r:.80}; it must return an nn.Module"
            )
        return loss.eval()

    def images(self, seed: int) -> Tensor:
        """Make a batch in the loss's value range."""
        low, high = getattr(make_config(self.spec, {}), "value_range", (-1.0, 1.0))
        generator = torch.Generator().manual_seed(seed)
        shape = (self.count, 3, self.size, self.size)
        return cast("Tensor", low + (high - low) * torch.rand(shape, generator=generator))

    def failure(self, what: str) -> ConformanceFailure:
        """Return the failure at this pair."""
        shape = shape_text((self.count, 3, self.size, self.size))
        return ConformanceFailure(f"{what} (smallest input: two batches {shape})")


def _pairs(entry: Entry) -> "st.SearchStrategy[Pair]":
    return st.builds(
        lambda count, size: Pair(entry, count, size), st.integers(1, 3), st.sampled_from(SIZES)
    )


def scalar(entry: Entry) -> None:
    """It returns one finite number for any batch and size."""

    def check(pair: Pair) -> None:
        value = pair.loss()(pair.images(1), pair.images(2))
        if not isinstance(value, Tensor) or value.shape != ():
            shown = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise pair.failure(f"it must return a scalar tensor, got {shown:.60}")
        if not value.isfinite():
            raise pair.failure(f"it gives {value.item()}")

    for_examples(_pairs(entry), check, entry.examples)


def minimum(entry: Entry) -> None:
    """It takes its declared minimum for equal images, and is never below it."""
    minimum = cast("LossSpec", entry.spec).minimum
    if minimum is None:
        raise Skip("its minimum depends on the images")

    def check(pair: Pair) -> None:
        loss, x, y = pair.loss(), pair.images(1), pair.images(2)
        if abs(_value(loss, x, x) - minimum) > EQUAL:
            raise pair.failure(f"equal images give {_value(loss, x, x):.6g}, not {minimum}")
        if _value(loss, y, x) < minimum - EQUAL:
            raise pair.failure(f"it gives {_value(loss, y, x):.6g}, below its minimum {minimum}")

    for_examples(_pairs(entry), check, entry.examples)


def gradients(entry: Entry) -> None:
    """Its gradients are finite, at equal images too, and not all zero where images differ."""

    def check(pair: Pair) -> None:
        loss, target = pair.loss(), pair.images(2)
        for what, start in (("different", pair.images(1)), ("equal", target)):
            x = start.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(x, target), x, allow_unused=True)
            if gradient is None:
                raise pair.failure("no gradient reaches the reconstruction")
            if not gradient.isfinite().all():
                raise pair.failure(f"the gradient at {what} images holds NaN or infinity")
            if what == "different" and not gradient.any():
                raise pair.failure("the gradient at different images is zero")

    for_examples(_pairs(entry), check, entry.examples)


def symmetric(entry: Entry) -> None:
    """Where it claims so, swapping reconstruction and target changes nothing."""
    if not cast("LossSpec", entry.spec).symmetric:
        raise Skip("it does not claim to be symmetric")

    def check(pair: Pair) -> None:
        loss, x, y = pair.loss(), pair.images(1), pair.images(2)
        there, back = _value(loss, x, y), _value(loss, y, x)
        if abs(there - back) > EQUAL * max(1.0, abs(there)):
            raise pair.failure(f"it claims to be symmetric but gives {there:.6g} and {back:.6g}")

    for_examples(_pairs(entry), check, entry.examples)


def float64(entry: Entry) -> None:
    """In float32 it gives what it gives in float64."""

    def check(pair: Pair) -> None:
        single, double = pair.loss(), pair.loss().double()
        x, y = pair.images(1), pair.images(2)
        value, exact = _value(single, x, y), _value(double, x.double(), y.double())
        if not abs(value - exact) <= FLOAT64 * max(1e-3, abs(exact)):
            raise pair.failure(f"float32 gives {value:.8g} but float64 {exact:.8g}")

    for_examples(_pairs(entry), check, entry.examples)


def _value(loss: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        value: Any = loss(x, y)
    return float(value)
