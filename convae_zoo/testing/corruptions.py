"""Properties of corruptions, on grey and colour images of odd sizes."""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from hypothesis import strategies as st
from torch import Tensor

from convae_zoo.errors import DataError, UsageError, WeightsError
from convae_zoo.registry.factories import build, make_config
from convae_zoo.registry.specs import shape_text
from convae_zoo.testing.configs import cases, for_examples
from convae_zoo.testing.entry import Entry
from convae_zoo.testing.result import ConformanceFailure, Skip

SIZES = ((32, 32), (33, 47), (17, 8))
"""Heights and widths: even, odd, and narrow."""

_TOLERANCE = 0.35
"""Relative error of a measured standard deviation: of 136 values, the fewest, it is 6% itself."""


@attrs.frozen(eq=False)
class Batch:
    """A corruption at one config, and a batch of images.

    Attributes:
        values: the config's fields that differ from the defaults.
    """

    entry: Entry
    values: Mapping[str, Any] = attrs.field(factory=dict)
    count: int = 2
    channels: int = 3
    size: tuple[int, int] = SIZES[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the images, N×C×H×W."""
        return (self.count, self.channels, *self.size)

    def images(self, seed: int = 1) -> Tensor:
        """Make clean images, uint8."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, self.shape, dtype=torch.uint8, generator=generator)

    def built(self) -> Any:
        """Build the corruption; skip where it needs what is not installed."""
        try:
            corruption = build(self.entry.built, make_config(self.entry.built, self.values))
        except (DataError, WeightsError, UsageError) as error:
            raise Skip(str(error)) from error
        if not callable(corruption):
            raise ConformanceFailure(
                f"its factory returns {corruption!r:.80}; it must return a function or a module"
            )
        return corruption

    def corrupt(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Corrupt images."""
        corruption = self.built()
        with torch.no_grad():
            corrupted: Tensor = corruption(images, generator)
        return corrupted

    def from_seed(self, seed: int) -> Tensor:
        """Corrupt the images with random numbers from a seed."""
        return self.corrupt(self.images(), torch.Generator().manual_seed(seed))

    def failure(self, what: str) -> ConformanceFailure:
        """Return the failure at this batch."""
        config = ", ".join(f"{k}={v!r}" for k, v in self.values.items()) or "its defaults"
        return ConformanceFailure(
            f"{what} (smallest input: {config}, images {shape_text(self.shape)})"
        )


def _batches(entry: Entry) -> "st.SearchStrategy[Batch]":
    return st.builds(
        lambda case, count, channels, size: Batch(entry, case.values, count, channels, size),
        cases(entry),
        st.integers(1, 3),
        st.sampled_from((3, 1)),
        st.sampled_from(SIZES),
    )


def images(entry: Entry) -> None:
    """It returns the images' shape, uint8 or float32 and finite, grey and colour, at odd sizes.

    So it does for float images beyond 0 to 255, which another corruption of a sum returns.
    """

    def check_output(batch: Batch, output: object) -> None:
        if not isinstance(output, Tensor):
            raise batch.failure(f"it returns {type(output).__name__}, not a tensor")
        if tuple(output.shape) != batch.shape:
            raise batch.failure(f"it returns images {shape_text(output.shape)}")
        if output.dtype not in {torch.uint8, torch.float32}:
            raise batch.failure(f"it returns {output.dtype}; it must return uint8 or float32")
        if not output.isfinite().all():
            raise batch.failure("its images hold NaN or infinity")

    def check(batch: Batch) -> None:
        check_output(batch, batch.from_seed(0))
        noisy = 1.4 * batch.images().float() - 50
        check_output(batch, batch.corrupt(noisy, torch.Generator().manual_seed(0)))

    for_examples(_batches(entry), check, entry.examples)


def clean(entry: Entry) -> None:
    """The clean images, which stay the target, are not changed."""

    def check(batch: Batch) -> None:
        given = batch.images()
        batch.corrupt(given, torch.Generator().manual_seed(0))
        if not torch.equal(given, batch.images()):
            raise batch.failure("it changes the clean images")

    for_examples(_batches(entry), check, entry.examples)


def seed(entry: Entry) -> None:
    """Equal seeds give equal images; where it is random, other seeds and other images differ."""

    def check(batch: Batch) -> None:
        if not torch.equal(batch.from_seed(0), batch.from_seed(0)):
            raise batch.failure(
                "equal seeds give different images; draw every random number from the generator"
            )

    for_examples(_batches(entry), check, entry.examples)
    _check_randomness(Batch(entry, size=(48, 48)))


def _check_randomness(batch: Batch) -> None:
    """Fail where random numbers are drawn that make no difference, or are shared by images."""
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    twins = batch.images()[:1].expand(batch.count, -1, -1, -1).clone()
    first, second = batch.corrupt(twins, generator)
    if torch.equal(before, generator.get_state()):
        return  # it is not random
    if torch.equal(batch.from_seed(0), batch.from_seed(1)):
        raise batch.failure("it draws random numbers but another seed gives the same images")
    if torch.equal(first, second):
        raise batch.failure("two equal images of a batch are corrupted alike")


def sigma(entry: Entry) -> None:
    """Its ``with_sigma``, if it has one, returns the same images and their noise's strength."""

    def check(batch: Batch) -> None:
        method = getattr(batch.built(), "with_sigma", None)
        if method is None:
            raise Skip("it has no with_sigma")
        corrupted, stated = method(batch.images(), torch.Generator().manual_seed(0))
        if not torch.equal(corrupted, batch.from_seed(0)):
            raise batch.failure("its with_sigma returns other images than a call")
        if tuple(stated.shape) != (batch.count,) or stated.dtype != torch.float32:
            raise batch.failure(
                f"its with_sigma returns sigma {stated.dtype} of shape {tuple(stated.shape)}; it "
                f"must be float32 of shape ({batch.count},)"
            )
        measured = (corrupted.float() - batch.images().float()).flatten(1).std(1)
        if ((measured - stated).abs() > _TOLERANCE * stated.clamp(min=1)).any():
            raise batch.failure(
                f"its with_sigma states sigma {stated[0]:.3g} but its noise has {measured[0]:.3g}"
            )

    for_examples(_batches(entry), check, entry.examples)
