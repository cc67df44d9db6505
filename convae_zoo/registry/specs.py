"""Specs, which plugins register: attrs classes that describe an entry without importing torch.

`convae_zoo.registry.protocols` documents what configs must declare and factories must return.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import attrs

from convae_zoo.registry import fields
from convae_zoo.registry.addresses import is_allowed

DEFAULT_FILENAME = "model.safetensors"
"""The weights file of a run folder, and of a repository on the Hub."""

Factory: TypeAlias = str | Callable[..., Any]
"""An import string ``"package.module:Attribute"``, or the callable itself."""

Shape: TypeAlias = tuple[int, ...]
"""A shape without the batch axis: ``(C, H, W)`` of images and spatial latents, or ``(D,)``."""


def shape_text(shape: Shape) -> str:
    """Format a shape for messages: ``3×32×32``."""
    return "×".join(str(n) for n in shape)


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@attrs.frozen
class EmptyConfig:
    """The config of an entry without fields."""


@attrs.frozen
class Provenance:
    """The origin of an entry: the plugin, and the distribution that installed it."""

    plugin: str
    distribution: str
    version: str


def check_name(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Check a name: lower-case letters, digits, ``-`` and ``_``."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"{attribute.name} {value!r} must be lower-case letters, digits, '-' and '_'"
        )


def _check_model(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value != "":
        check_name(_, attribute, value)


def _check_factory(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    module, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not callable(value) and not (module and colon and name):
        raise ValueError(
            f"{attribute.name} must be 'package.module:Attribute' or a callable, got {value!r}"
        )


def _check_config(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, type) or not attrs.has(value):
        raise ValueError(f"{attribute.name} must be an attrs class, got {value!r}")
    bare = [f.name for f in attrs.fields(value) if f.default is attrs.NOTHING]
    if bare:
        raise ValueError(
            f"{attribute.name} {value.__name__} has fields without a default: {', '.join(bare)}"
        )


def _freeze(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))


@attrs.frozen(kw_only=True)
class Spec:
    """What every entry has: a name, a one-line summary and its provenance."""

    name: str = attrs.field(validator=check_name)
    summary: str = ""
    provenance: Provenance | None = None


@attrs.frozen(kw_only=True)
class BuiltSpec(Spec):
    """An entry with a factory, which is called with the fields of a config."""

    factory: Factory = attrs.field(validator=_check_factory)
    config: type = attrs.field(default=EmptyConfig, validator=_check_config)


@attrs.frozen(kw_only=True)
class EncoderSpec(BuiltSpec):
    """An encoder maps images N×C×H×W to latents. Its config is an `EncoderConfig`."""


@attrs.frozen(kw_only=True)
class DecoderSpec(BuiltSpec):
    """A decoder maps latents to images N×C×H×W. Its config is a `DecoderConfig`."""


@attrs.frozen(kw_only=True)
class LossSpec(BuiltSpec):
    """A loss: an ``nn.Module`` that maps (reconstruction, target) to a scalar.

    In training, config fields named ``value_range`` and ``in_channels`` are set to the model's. A
    loss with parameters of its own is trained as `convae_zoo.training.trainable_losses` describes.

    Attributes:
        minimum: the value for equal images, or None if it depends on the images.
        symmetric: whether swapping the two arguments leaves the value unchanged.
    """

    minimum: float | None = 0.0
    symmetric: bool = True


@attrs.frozen(kw_only=True)
class DatasetSpec(BuiltSpec):
    """A dataset: the factory is called with ``split`` and the config's fields.

    If the config has them, two fields are set: ``path`` to the user's folder and ``image_size`` to
    the model's. A field ``download`` means that the data can be downloaded.

    Attributes:
        pictures: called like the factory, it returns the whole pictures of a split as a
            `PictureSet`, for training on random crops; None if there are none.
        splits: the names of the splits; the first is for training, the second for validation.
        license: the licence of the images, as stated by the source.
        source: the origin of the images.
    """

    pictures: Factory | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_factory)
    )
    splits: tuple[str, ...] = ("train", "val")
    license: str = "not stated"
    source: str = ""


@attrs.frozen(kw_only=True)
class CorruptionSpec(BuiltSpec):
    """A corruption maps clean images to a model's input; the factory returns a `Corruption`.

    The clean images remain the target.
    """


@attrs.frozen(kw_only=True)
class ScoreSpec(BuiltSpec):
    """A score measures how anomalous an image is; the factory returns a `Score`.

    Attributes:
        needs_fit: whether it must be fitted to normal images before it is called.
        gives_map: whether it also returns an anomaly map N×H×W.
    """

    needs_fit: bool = False
    gives_map: bool = False


@attrs.frozen(kw_only=True)
class Recipe:
    """How a model is trained; each field has its help, which ``convae-zoo train --help`` prints."""

    loss: str = fields.text(
        "mse", help="A loss, or a weighted sum such as '0.8*l1 + 0.2*ssim(window=7)'."
    )
    epochs: int = fields.integer(10, help="Passes over the train split.")
    batch_size: int = fields.integer(64, help="Images per optimiser step.")
    learning_rate: float = fields.number(
        1e-3, minimum=1e-12, maximum=1e3, help="Highest learning rate of the optimiser."
    )
    schedule: str = fields.choice(
        "constant",
        ("constant", "cosine", "linear"),
        help="constant; or cosine or linear, which decay to zero.",
    )
    warmup_steps: int = fields.integer(
        0, minimum=0, help="Optimiser steps of linear learning-rate warm-up."
    )
    optimizer: str = fields.text(
        "adam", help="adam, adamw, sgd or muon, with settings as in 'muon(momentum=0.9)'."
    )
    shuffle: bool = fields.flag(
        default=False, help="Shuffle the images every epoch, or keep the data's order."
    )
    augment: str = fields.text(
        "none",
        help="none, or at random: flip (left-right), dihedral (flips and quarter turns), "
        "dihedral-colours (channels swapped and negatives, too), crop (crops of whole pictures), "
        "or a sum such as 'crop(scale=2:8) + flip'.",
    )
    corruption: str = fields.text(
        "",
        help="Corrupts the input, not the target: 'gaussian(sigma=5:55)', or a sum applied in "
        "order.",
    )
    precision: str = fields.choice(
        "auto",
        ("auto", "fp32", "bf16"),
        help="auto (the fastest), bf16, or fp32 (on a CPU bit-identical to a plain loop).",
    )
    seed: int = fields.integer(0, minimum=0, help="Seed of the initial weights and the shuffling.")


@attrs.frozen(kw_only=True)
class WeightsSpec(Spec):
    """Trained weights of a model, named ``model.tag``.

    They are registered by ``register_weights``, from any distribution, or belong to a `ModelSpec`.

    Attributes:
        model: the model's name; in a `ModelSpec` it may be left out.
        tag: the part of the name after the dot.
        name: ``model.tag``; derived from the two.
        model_distribution: the distribution to install for the model, such as
            ``convae-backbones``.
        dataset: the training dataset: a name, or with config values as in
            ``image-folder(val_fraction=0.2)``.
        file: the file in an installed package, ``"package:folder/name.safetensors"``; None if it
            is stored elsewhere or the weights are not trained yet.
        hub: instead of `file`, the repository on the Hugging Face Hub, ``"org/name"``.
        filename: the safetensors file in that repository.
        revision: branch, tag or commit of that repository; None for its main branch.
        url: instead of `file`, an https address (http only on localhost).
        sha256: of the file, 64 hex digits; always checked before the file is used.
        recipe: the training recipe, if it differs from the model's.
        metrics: what `evaluate` measured on the validation split.
        license: of the weights.
        card: further facts: the data's fingerprints and licence, the storage format and its loss
            of accuracy, the cost of training.
    """

    model: str = attrs.field(default="", validator=_check_model)
    tag: str = attrs.field(validator=check_name)
    name: str = attrs.field(init=False)
    model_distribution: str = ""
    dataset: str
    file: str | None = None
    hub: str | None = None
    filename: str = DEFAULT_FILENAME
    revision: str | None = None
    url: str | None = None
    sha256: str | None = None
    recipe: Recipe | None = None
    metrics: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze)
    license: str = "Apache-2.0"
    card: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze)

    @name.default
    def _full_name(self) -> str:
        return f"{self.model}.{self.tag}" if self.model else self.tag

    def __attrs_post_init__(self) -> None:
        sources = [s for s in ("file", "hub", "url") if getattr(self, s) is not None]
        if len(sources) > 1:
            raise ValueError(f"weights {self.tag!r} have {' and '.join(sources)}; name one source")
        if sources and self.sha256 is None:
            raise ValueError(f"weights {self.tag!r} have a {sources[0]} but no sha256")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 must be 64 lower-case hex digits, got {self.sha256!r}")
        if self.hub is not None and not _REPOSITORY.fullmatch(self.hub):
            raise ValueError(f"hub must be 'org/name', got {self.hub!r}")
        if not self.filename.endswith(".safetensors"):
            raise ValueError(f"filename must end in .safetensors, got {self.filename!r}")
        if self.url is not None and not is_allowed(self.url):
            raise ValueError(f"url must be an https address, got {self.url!r}")

    @property
    def dataset_name(self) -> str:
        """The dataset's name without config values."""
        return self.dataset.partition("(")[0].strip()

    @property
    def measured_on(self) -> str:
        """The dataset of its metrics, as its card names it: one may have changed its split."""
        described = self.card.get("dataset")
        name = described.get("name") if isinstance(described, Mapping) else None
        return self.dataset_name if name is None else str(name)

    @property
    def trained(self) -> bool:
        """Whether trained weights exist, in a package or elsewhere."""
        return self.file is not None or self.remote

    @property
    def remote(self) -> bool:
        """Whether the file must be downloaded once."""
        return self.hub is not None or self.url is not None


def _as_tuple(weights: Iterable[WeightsSpec]) -> tuple[WeightsSpec, ...]:
    return tuple(weights)


@attrs.frozen(kw_only=True)
class ModelSpec(Spec):
    """A model: an encoder and a decoder by name, their configs, a recipe, trained weights.

    Attributes:
        value_range: the (low, high) that uint8 images are mapped to.
        recipe: how the model is trained by default.
        recipes: other recipes, by name.
        weights: the weights that the model's own plugin ships; in the registry, all weights
            registered for the model.
        weights_distribution: a distribution with more trained weights of the model, suggested if a
            tag is not found.
        parameters: the number of parameters, or None if it is not declared.
        flops: floating-point operations of a forward pass per image, a multiply-add counted as two,
            as ``torch.utils.flop_counter`` counts them; None if they are not declared.
    """

    encoder: str
    decoder: str
    encoder_config: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze)
    decoder_config: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze)
    value_range: tuple[float, float] = fields.value_range()
    recipe: Recipe = attrs.field(factory=Recipe)
    recipes: Mapping[str, Recipe] = attrs.field(factory=dict, converter=_freeze)
    weights: tuple[WeightsSpec, ...] = attrs.field(default=(), converter=_as_tuple)
    weights_distribution: str = ""
    parameters: int | None = None
    flops: int | None = None

    def __attrs_post_init__(self) -> None:
        tags = [w.tag for w in self.weights]
        if len(set(tags)) < len(tags):
            raise ValueError(
                f"model {self.name!r} has two weights with the same tag: {', '.join(tags)}"
            )
        for other in (w.model for w in self.weights if w.model not in {"", self.name}):
            raise ValueError(f"model {self.name!r} has weights of model {other!r}")
        owned = tuple(attrs.evolve(w, model=self.name) for w in self.weights)
        object.__setattr__(self, "weights", owned)  # the class is frozen

    def tag(self, tag: str) -> WeightsSpec | None:
        """Return the weights of that tag, or None."""
        return next((w for w in self.weights if w.tag == tag), None)
