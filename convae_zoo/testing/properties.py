"""The table of properties: what the kit checks for which kinds of entry."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from convae_zoo.registry.kinds import KINDS
from convae_zoo.testing import (
    compiled,
    corruptions,
    datasets,
    declared,
    forward,
    losses,
    precision,
    repeat,
    scores,
    weights,
)
from convae_zoo.testing.entry import BUILT, PARTS, Entry

MODEL, LOSS, DATASET = ("model",), ("loss",), ("dataset",)
CORRUPTION, SCORE = ("corruption",), ("score",)
CONFIGURED = tuple(kind.name for kind in KINDS.values() if kind.built or kind.name in MODEL)
"""The kinds whose entries have a config: a new one is a row in the table of kinds."""


@attrs.frozen
class Property:
    """What must hold for every entry of some kinds.

    Attributes:
        check: returns where it holds, else raises `ConformanceFailure`, or `Skip` with a reason.
        kinds: the kinds of entry that it applies to.
    """

    check: Callable[[Entry], None]
    kinds: tuple[str, ...]

    @property
    def summary(self) -> str:
        """What must hold, in a sentence."""
        return (self.check.__doc__ or "").splitlines()[0]


PROPERTIES: Mapping[str, Property] = MappingProxyType(
    {
        "listing": Property(declared.listing, tuple(KINDS)),
        "config-json": Property(declared.config_json, CONFIGURED),
        "bad-config": Property(declared.bad_config, CONFIGURED),
        "forward": Property(forward.forward, BUILT),
        "latent": Property(forward.latent, BUILT),
        "image-sizes": Property(forward.image_sizes, PARTS),
        "gradients": Property(forward.gradients, PARTS),
        "terms": Property(forward.terms, PARTS),
        "seed": Property(repeat.seed, PARTS),
        "batch": Property(repeat.batch, PARTS),
        "state-dict": Property(repeat.state_dict, PARTS),
        "weights-file": Property(repeat.weights_file, BUILT),
        "channels-last": Property(precision.channels_last, PARTS),
        "bf16": Property(precision.bf16, PARTS),
        "compile": Property(compiled.compile_, PARTS),
        "torch-export": Property(compiled.torch_export, PARTS),
        "onnx": Property(compiled.onnx, PARTS),
        "numbers": Property(declared.numbers, MODEL),
        "weights": Property(weights.weights, ("weights",)),
        "loss-scalar": Property(losses.scalar, LOSS),
        "loss-minimum": Property(losses.minimum, LOSS),
        "loss-gradients": Property(losses.gradients, LOSS),
        "loss-symmetric": Property(losses.symmetric, LOSS),
        "loss-float64": Property(losses.float64, LOSS),
        "dataset-images": Property(datasets.images, DATASET),
        "dataset-repeats": Property(datasets.repeats, DATASET),
        "dataset-splits": Property(datasets.splits, DATASET),
        "dataset-pictures": Property(datasets.pictures, DATASET),
        "corruption-images": Property(corruptions.images, CORRUPTION),
        "corruption-clean": Property(corruptions.clean, CORRUPTION),
        "corruption-seed": Property(corruptions.seed, CORRUPTION),
        "corruption-sigma": Property(corruptions.sigma, CORRUPTION),
        "score-values": Property(scores.values, SCORE),
        "score-map": Property(scores.maps, SCORE),
        "score-batch": Property(scores.batch, SCORE),
        "score-state": Property(scores.state, SCORE),
        "score-refit": Property(scores.refit, SCORE),
        "score-sign": Property(scores.sign, SCORE),
    }
)
"""Every property by its name."""
