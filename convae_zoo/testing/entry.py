"""Entries of the registry as the kit sees them, and cases: an entry at one config."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs
import torch
from torch import Tensor, nn

from convae_zoo.errors import DataError, UsageError, WeightsError, unknown
from convae_zoo.models.create import build_plan
from convae_zoo.models.plan import Plan, plan_model
from convae_zoo.registry import get_registry
from convae_zoo.registry.factories import build, make_config
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.specs import (
    BuiltSpec,
    DecoderSpec,
    EncoderSpec,
    ModelSpec,
    Provenance,
    Shape,
    Spec,
    shape_text,
)
from convae_zoo.testing.result import ConformanceFailure, Skip
from convae_zoo.testing.tolerances import difference

UNKNOWN = Provenance("?", "?", "?")
PARTS = ("encoder", "decoder")
BUILT = ("encoder", "decoder", "model")
"""The kinds whose entries are built into modules that map tensors to tensors."""

EXAMPLES = 6
BACKENDS = ("aot_eager", "inductor")


@attrs.frozen
class Entry:
    """One entry of the registry.

    Attributes:
        kind: of the entry, as in the table of kinds.
        spec: what the plugin registered.
        examples: how many configs and batches a property draws.
        backend: of ``torch.compile``: ``aot_eager`` traces forward and backward; ``inductor`` also
            compiles the kernels, which takes up to a minute per entry.
    """

    kind: str
    spec: Spec
    examples: int = EXAMPLES
    backend: str = BACKENDS[0]

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.spec.name

    @property
    def built(self) -> BuiltSpec:
        """The spec of an entry that has a factory and a config."""
        return cast("BuiltSpec", self.spec)

    @property
    def provenance(self) -> Provenance:
        """The plugin and distribution that it comes from."""
        return self.spec.provenance or UNKNOWN

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def entries(
    name: str | None = None,
    *,
    plugin: str | None = None,
    examples: int = EXAMPLES,
    backend: str = BACKENDS[0],
) -> list[Entry]:
    """List the registered entries, of a name or a plugin where one is given.

    Args:
        name: an entry's name, or ``kind:name``; a model's name stands for its weights too.
        plugin: a plugin's name.
        examples: how many configs and batches a property draws.
        backend: of ``torch.compile``, ``aot_eager`` or ``inductor``.

    Raises:
        UnknownNameError: another backend.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    kind, _, plain = (name or "").rpartition(":")
    return [
        Entry(k, spec, examples, backend)
        for k in KINDS
        for spec in get_registry().entries[k].values()
        if (not plain or plain in {spec.name, getattr(spec, "model", None)})
        and (not kind or k == kind)
        and (plugin is None or (spec.provenance is not None and spec.provenance.plugin == plugin))
    ]


@attrs.frozen(eq=False)
class Case:
    """An encoder, decoder or model at one config: its config, its inputs and its declared shapes.

    Attributes:
        values: the config's fields that differ from the defaults.
    """

    entry: Entry
    values: Mapping[str, Any] = attrs.field(factory=dict)

    @functools.cached_property
    def config(self) -> Any:
        """The config, or a model's plan."""
        if isinstance(self.entry.spec, ModelSpec):
            return plan_model(self.entry.name, **self.values)
        return make_config(self.entry.built, self.values)

    @property
    def input_shape(self) -> Shape:
        """Shape of one input, as it is declared."""
        if isinstance(self.entry.spec, DecoderSpec):
            return cast("Shape", tuple(self.config.latent_shape))
        if isinstance(self.entry.spec, EncoderSpec):
            return cast("Shape", tuple(self.config.input_shape))
        return cast("Shape", tuple(self.config.image_shape))

    @property
    def output_shape(self) -> Shape:
        """Shape of one output, as it is declared."""
        if isinstance(self.entry.spec, EncoderSpec):
            return cast("Shape", tuple(self.config.latent_shape))
        if isinstance(self.entry.spec, DecoderSpec):
            return cast("Shape", tuple(self.config.output_shape))
        return self.input_shape

    def build(self, seed: int = 0) -> nn.Module:
        """Build the module from a seed, in eval mode; skip where it needs what is not here."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            try:
                if isinstance(self.config, Plan):
                    return build_plan(self.config).eval()
                module = build(cast("Any", self.entry.spec), self.config)
            except (DataError, WeightsError, UsageError) as error:
                raise Skip(str(error)) from error
        if not isinstance(module, nn.Module):
            raise self.failure(f"its factory returns {module!r:.80}; it must return an nn.Module")
        return module.eval()

    def inputs(self, count: int = 2, seed: int = 1) -> Tensor:
        """Make inputs, float32: images between -1 and 1, or normally distributed latents."""
        generator = torch.Generator().manual_seed(seed)
        shape = (count, *self.input_shape)
        if self.entry.kind == "decoder":
            return torch.randn(shape, generator=generator)
        low, high = self.config.value_range if isinstance(self.config, Plan) else (-1.0, 1.0)
        return low + (high - low) * torch.rand(shape, generator=generator)

    def failure(self, what: str, count: int | None = None) -> ConformanceFailure:
        """Return the failure at this case, with a batch of `count`."""
        config = ", ".join(f"{k}={v!r}" for k, v in self.values.items()) or "its defaults"
        batch = f", input {shape_text((count, *self.input_shape))}" if count else ""
        return ConformanceFailure(f"{what} (smallest input: {config}{batch})")

    def check_near(self, result: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
        """Fail unless a result is within a tolerance of the expected one; NaN fails."""
        far = difference(result, expected)
        if not far <= tolerance:
            raise self.failure(f"{what} by {far:.1g}, more than {tolerance:g}", len(result))

    @property
    def json_values(self) -> dict[str, Any]:
        """The values after a round trip through JSON."""
        return cast("dict[str, Any]", json.loads(json.dumps(dict(self.values))))


def run(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Run a module without gradients."""
    with torch.no_grad():
        return module(x)
