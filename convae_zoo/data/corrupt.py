"""Corruptions by name, sums of them, and the random numbers that they are given."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import attrs
import torch
from torch import Generator, Tensor

from convae_zoo.errors import ConfigError, ZooError, is_of_machine, reason
from convae_zoo.registry.expressions import find_spec, parse_expression, term_config
from convae_zoo.registry.factories import build, plugin_error
from convae_zoo.registry.specs import CorruptionSpec, shape_text


@attrs.frozen(eq=False)
class Corrupted:
    """Corrupted images.

    Attributes:
        images: N×C×H×W in units of 255; float32, with values below 0 and above 255, or uint8.
        sigma: standard deviation of each image's noise in units of 255, float32 N; None if no term
            of the corruption states one.
    """

    images: Tensor
    sigma: Tensor | None = None


@attrs.frozen(eq=False)
class _Part:
    """One term of a corruption: its entry and what the entry's factory returned."""

    spec: CorruptionSpec
    corrupt: Callable[[Tensor, Generator], Tensor]

    @property
    def with_sigma(self) -> Callable[[Tensor, Generator], tuple[Tensor, Tensor]] | None:
        return getattr(self.corrupt, "with_sigma", None)

    def __call__(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor | None]:
        """Corrupt images; an exception, or a result of another shape, names the plugin."""
        sigma = None
        try:
            if self.with_sigma is None:
                corrupted = self.corrupt(images, generator)
            else:
                corrupted, sigma = self.with_sigma(images, generator)
        except ZooError:
            raise
        except Exception as error:
            if is_of_machine(error):
                raise
            shape = shape_text(tuple(images.shape))
            raise plugin_error(
                self.spec, f"it fails on a batch {shape}: {reason(error)}"
            ) from error
        if not isinstance(corrupted, Tensor) or corrupted.shape != images.shape:
            form = shape_text(tuple(getattr(corrupted, "shape", ()))) or type(corrupted).__name__
            raise plugin_error(
                self.spec, f"it returns {form} for a batch {shape_text(tuple(images.shape))}"
            )
        return corrupted, sigma


class Corruption:
    """A corruption, or several applied in order, as in ``"blur(sigma=1) + gaussian(sigma=10)"``.

    Args:
        text: a corruption's name, with config values where they differ from the defaults, or a sum.

    Raises:
        UnknownNameError: no such corruption or field.
        ConfigError: a value of the wrong type or out of range, a weight, or a string that cannot
            be parsed. The error names the place in the string.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = [_Part(spec, _build(spec, config)) for spec, config in _terms(text)]

    @property
    def states_sigma(self) -> bool:
        """Whether `Corrupted.sigma` is given."""
        return any(part.with_sigma is not None for part in self._parts)

    def __call__(self, images: Tensor, generator: Generator) -> Corrupted:
        """Corrupt images.

        Args:
            images: N×C×H×W in units of 255, uint8 in training; not modified.
            generator: on the images' device; all random numbers come from it.

        Raises:
            PluginError: a corruption fails or returns images of another shape.
        """
        variances = []
        for part in self._parts:
            images, sigma = part(images, generator)
            if sigma is not None:
                variances.append(sigma.float().square())
        total = functools.reduce(torch.add, variances).sqrt() if variances else None
        return Corrupted(images.float(), total)  # one dtype for a captured step

    def fixed(self, images: Tensor, keys: Sequence[int | str]) -> Corrupted:
        """Corrupt images: the noise of each depends on its key alone.

        It depends neither on the batch nor on the device.

        Args:
            images: N×C×H×W in units of 255.
            keys: of each image: its index in its set, or its name.

        Raises:
            PluginError: as a call does.
        """
        single = [
            self(image[None], keyed_generator("evaluation", key))
            for key, image in zip(keys, images.cpu(), strict=True)
        ]
        sigmas = [one.sigma for one in single if one.sigma is not None]
        return Corrupted(
            torch.cat([one.images for one in single]).to(images.device),
            torch.cat(sigmas).to(images.device) if sigmas else None,
        )


def keyed_generator(*key: object, device: torch.device | str = "cpu") -> Generator:
    """Return a random generator whose numbers depend on a key alone, different for each."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=7).digest()
    return Generator(device).manual_seed(int.from_bytes(digest, "little"))


def _terms(text: str) -> list[tuple[CorruptionSpec, Any]]:
    found = []
    for term in parse_expression(text, "corruption").terms:
        if term.weight != 1:
            raise ConfigError(
                f"corruption {term.name!r} has a weight, {term.weight:g}; corruptions are applied "
                "in order: set its strength in its config, as in 'gaussian(sigma=10)'"
            )
        spec = cast("CorruptionSpec", find_spec(term, "corruption"))
        found.append((spec, term_config(term, spec)))
    return found


def _build(spec: CorruptionSpec, config: Any) -> Callable[[Tensor, Generator], Tensor]:
    corruption = build(spec, config)
    if not callable(corruption):
        raise plugin_error(
            spec, f"its factory must return a function or a module, got {corruption!r:.80}"
        )
    return cast("Callable[[Tensor, Generator], Tensor]", corruption)
