"""What a plugin registers: attrs classes that describe an entry without importing torch.

`convae_zoo.registry.protocols` says what a config must declare and what a factory must return.
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
"""A shape without the batch: ``(C, H, W)`` for images and spatial latents, ``(D,)`` for vectors."""


def shape_text(shape: Shape) -> str:
    """Write a shape for people: ``3×32×32``."""
    return "×".join(str(n) for n in shape)


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@attrs.frozen
class EmptyConfig:
    """The config of an entry without settings."""


@attrs.frozen
class Provenance:
    """Where an entry comes from: the plugin, and the distribution that installed it."""

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
    """What every entry has: a name, a line of summary, and where it comes from."""

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
    """An encoder: images N×C×H×W to latents. Its config is an `EncoderConfig`."""


@attrs.frozen(kw_only=True)
class DecoderSpec(BuiltSpec):
    """A decoder: latents to images N×C×H×W. Its config is a `DecoderConfig`."""


@attrs.frozen(kw_only=True)
class LossSpec(BuiltSpec):
    """A loss: an ``nn.Module`` that maps (reconstruction, target) to a scalar.

    In training, config fields named ``value_range`` and ``in_channels`` are set to the model's. A
    loss that has parameters of its own is trained as `convae_zoo.training.trainable_losses` says.

    Attributes:
        minimum: the value for equal images, or None where it depends on the images.
        symmetric: whether swapping the two arguments leaves the value unchanged.
    """

    minimum: float | None = 0.0
    symmetric: bool = True


@attrs.frozen(kw_only=True)
class DatasetSpec(BuiltSpec):
    """A dataset: the factory is called with ``split`` and the config's fields.

    Two config fields are set where the class has them: ``path`` to the user's folder and
    ``image_size`` to the model's. A field ``download`` means that the data can be downloaded.

    Attributes:
        splits: the names of the splits; the first is for training, the second for validation.
        license: the licence of the images, as the source states it.
        source: where the images come from.
    """

    splits: tuple[str, ...] = ("train", "val")
    license: str = "not stated"
    source: str = ""


@attrs.frozen(kw_only=True)
class CorruptionSpec(BuiltSpec):
    """A corruption: clean images to what a model is given; the factory returns a `Corruption`.

    The clean images stay the target.
    """


@attrs.frozen(kw_only=True)
class ScoreSpec(BuiltSpec):
    """A score: how unlike normal images an image is; the factory returns a `Score`.

    Attributes:
        needs_fit: whether it must be fitted to normal images before it is called.
        gives_map: whether it returns a map N×H×W besides the score of each image.
    """

    needs_fit: bool = False
    gives_map: bool = False


@attrs.frozen(kw_only=True)
class Recipe:
    """How a model is trained; each field says what it is.

    The help of ``convae-zoo train`` is made of these fields.
    """

    loss: str = fields.text(
        "mse", help="A loss, or a weighted sum such as '0.8*l1 + 0.2*ssim(window=7)'."
    )
    epochs: int = fields.integer(10, help="Passes over the train split.")
    batch_size: int = fields.integer(64, help="Images per optimiser step.")
    learning_rate: float = fields.number(
        1e-3, minimum=1e-12, maximum=1e3, help="Highest learning rate of the optimiser."
    )
    schedule: str = fields.choice(
        "constant", ("constant", "cosine"), help="constant, or cosine: falls to zero at the end."
    )
    warmup_steps: int = fields.integer(
        0, minimum=0, help="Optimiser steps over which the learning rate rises."
    )
    optimizer: str = fields.choice(
        "adam", ("adam", "adamw", "sgd"), help="adam, adamw or sgd, otherwise as PyTorch has it."
    )
    shuffle: bool = fields.flag(
        default=False, help="Draw a new order each epoch, or keep the data's own."
    )
    augment: str = fields.choice(
        "none",
        ("none", "flip", "dihedral"),
        help="none, flip (left and right) or dihedral (flips and quarter turns), at random.",
    )
    precision: str = fields.choice(
        "auto",
        ("auto", "fp32", "bf16"),
        help="auto (the fastest), fp32 (on a CPU a plain loop's, bit for bit) or bf16.",
    )
    seed: int = fields.integer(0, minimum=0, help="Seed of the initial weights and of the order.")


@attrs.frozen(kw_only=True)
class WeightsSpec(Spec):
    """Trained weights of a model, found under the name ``model.tag``.

    They are registered by ``register_weights``, from any distribution, or belong to a `ModelSpec`.

    Attributes:
        model: the model's name; in a `ModelSpec` it may be left out.
        tag: the part of the name after the dot.
        name: ``model.tag``; not set, it follows from the two.
        model_distribution: what to install for the model, such as ``convae-backbones``.
        dataset: the dataset that they were trained on: a name, or with config values as in
            ``image-folder(val_fraction=0.2)``.
        file: the file in an installed package, ``"package:folder/name.safetensors"``; None where
            it is stored elsewhere, or where nobody has trained the weights yet.
        hub: instead, the repository on the Hugging Face Hub that holds them, ``"org/name"``.
        filename: the safetensors file in that repository.
        revision: branch, tag or commit of that repository; None for its main branch.
        url: instead, an https address (http only on localhost).
        sha256: 64 hex digits, of the file; always checked before the file is used.
        recipe: how they were trained, where it differs from the model's recipe.
        metrics: what `evaluate` measured on the validation split.
        license: of the weights.
        card: what else is worth knowing: the data's fingerprints and licence, how the weights are
            stored and what that costs, what training took.
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
    def trained(self) -> bool:
        """Whether there is a file, in a package or elsewhere."""
        return self.file is not None or self.remote

    @property
    def remote(self) -> bool:
        """Whether the file is stored elsewhere and must be downloaded once."""
        return self.hub is not None or self.url is not None


def _as_tuple(weights: Iterable[WeightsSpec]) -> tuple[WeightsSpec, ...]:
    return tuple(weights)


@attrs.frozen(kw_only=True)
class ModelSpec(Spec):
    """A model: an encoder and a decoder by name, their configs, a recipe, trained weights.

    Attributes:
        value_range: the (low, high) that uint8 images are mapped to.
        weights: those that the model's own plugin ships. In the registry, all that are registered
            for the model.
        weights_distribution: a distribution with more trained weights of the model, named where a
            tag is not found.
        parameters: how many numbers its parameters hold, or None where that is not declared.
        flops: floating-point operations of one forward pass per image, a multiply-add as two, as
            ``torch.utils.flop_counter`` counts; or None where that is not declared.
    """

    encoder: str
    decoder: str
    encoder_config: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze)
    decoder_config: Mapping[str, Any] = attrs.field(factory=dict, converter=_freeze)
    value_range: tuple[float, float] = fields.value_range()
    recipe: Recipe = attrs.field(factory=Recipe)
    weights: tuple[WeightsSpec, ...] = attrs.field(default=(), converter=_as_tuple)
    weights_distribution: str = ""
    parameters: int | None = None
    flops: int | None = None

    def __attrs_post_init__(self) -> None:
        tags = [w.tag for w in self.weights]
        if len(set(tags)) < len(tags):
            raise ValueError(f"model {self.name!r} has two weights of one tag: {', '.join(tags)}")
        for other in (w.model for w in self.weights if w.model not in {"", self.name}):
            raise ValueError(f"model {self.name!r} has weights of model {other!r}")
        owned = tuple(attrs.evolve(w, model=self.name) for w in self.weights)
        object.__setattr__(self, "weights", owned)  # the class is frozen

    def tag(self, tag: str) -> WeightsSpec | None:
        """Return the weights of that tag, or None."""
        return next((w for w in self.weights if w.tag == tag), None)
