"""Datasets by name."""

from pathlib import Path
from typing import Any, TypeVar, cast

import attrs

from convae_zoo.data.augment import Augmentation
from convae_zoo.data.image_set import NOT_STATED, ImageSet
from convae_zoo.data.picture_set import PictureSet
from convae_zoo.errors import ConfigError, UsageError, unknown
from convae_zoo.registry.expression_terms import Term
from convae_zoo.registry.expressions import find_spec, parse_entry, term_config
from convae_zoo.registry.factories import build, config_values, field_names, plugin_error
from convae_zoo.registry.specs import DatasetSpec

T = TypeVar("T", ImageSet, PictureSet)

_OF_MACHINE = ("path", "download")
"""Config fields that say where the images are, not which."""


def load_dataset(
    name: str,
    split: str | None = None,
    *,
    data: str | Path | None = None,
    download: bool = False,
    **options: Any,
) -> ImageSet:
    """Load one split of a registered dataset.

    Args:
        name: a dataset's name, as `list_datasets` returns it, optionally with config values:
            ``image-folder(val_fraction=0.2)``.
        split: one of the dataset's splits; by default the first, which models are trained on.
        data: the folder that holds the data, for datasets that read one.
        download: download missing data, for datasets that can.
        options: further config values of the dataset.

    Raises:
        UnknownNameError: no such dataset, split or field.
        ConfigError: a value of the wrong type or out of range, or a string that cannot be read.
        UsageError: a folder or a download for a dataset that takes none.
        DataError: the data is missing or cannot be read.
    """
    term, spec = _find(name)
    return _load(term, spec, ImageSet, split, data=data, download=download, **options)


def load_pictures(
    name: str,
    split: str | None = None,
    *,
    data: str | Path | None = None,
    download: bool = False,
    **options: Any,
) -> PictureSet:
    """Load the whole pictures of one split of a registered dataset.

    Args:
        name: as `load_dataset` takes it, as are the others.
        split: one of the dataset's splits; by default the first, which models are trained on.
        data: the folder that holds the data, for datasets that read one.
        download: download missing data, for datasets that can.
        options: further config values of the dataset.

    Raises:
        UsageError: the dataset has no whole pictures.
        ZooError: as `load_dataset` does.
    """
    term, spec = _find(name)
    if spec.pictures is None:
        raise UsageError(
            f"dataset {spec.name!r} has no whole pictures to crop; use image-folder, or another "
            "augment"
        )
    spec = attrs.evolve(spec, factory=spec.pictures)
    return _load(term, spec, PictureSet, split, data=data, download=download, **options)


def _load(
    term: Term,
    spec: DatasetSpec,
    kind: type[T],
    split: str | None,
    *,
    data: str | Path | None,
    download: bool,
    **options: Any,
) -> T:
    """Call a dataset's factory for one split, and complete the set that it returns."""
    split = spec.splits[0] if split is None else split
    if split not in spec.splits:
        raise unknown(f"split of dataset {spec.name!r}:", split, spec.splits)
    fields = field_names(spec)
    if data is not None:
        if "path" not in fields:
            raise UsageError(f"dataset {spec.name!r} reads no folder; leave out data (--data)")
        options["path"] = str(data)
    if download and "download" not in fields:
        raise UsageError(
            f"dataset {spec.name!r} cannot be downloaded; leave out download (--download)"
        )
    if download:
        options["download"] = True
    config = term_config(term, spec, options)
    found = build(spec, config, split=split)
    if not isinstance(found, kind):
        raise plugin_error(
            spec, f"its factory must return a value of class {kind.__name__}, got {found!r:.80}"
        )
    terms = spec.license if found.license == NOT_STATED else found.license
    return attrs.evolve(found, license=terms, expression=_expression(spec, config))


def _expression(spec: DatasetSpec, config: Any) -> str:
    """Name a dataset with the config values that differ from the defaults, but not its folder."""
    default = config_values(spec.config())
    values = {
        name: value
        for name, value in config_values(config).items()
        if name not in _OF_MACHINE and value != default[name]
    }
    try:
        return str(Term(name=spec.name, config=values))
    except ConfigError:  # a plugin's value that has no text
        return spec.name


def describe_sets(train: ImageSet | PictureSet, val: ImageSet) -> dict[str, Any]:
    """Return what a run and a weights file record of the images of a training, as JSON values.

    The expression is among them only if it says more than the name.
    """
    known = train.expression in {"", train.name}
    return {
        "name": train.name,
        **({} if known else {"expression": train.expression}),
        "fingerprint": train.fingerprint,
        "val_fingerprint": val.fingerprint,
        "images": len(train),
        "val_images": len(val),
        "license": train.license,
    }


def dataset_for(
    name: str,
    split: str | None,
    image_shape: tuple[int, int, int],
    *,
    data: str | Path | None = None,
    download: bool = False,
) -> ImageSet:
    """Load one split of a dataset, fitted to a model's image shape.

    A dataset that cuts or reads its images at a size of choice is asked for the model's.

    Args:
        name: as `load_dataset` takes it.
        split: one of the dataset's splits; by default the one that models are validated on.
        image_shape: (C, H, W).
        data: as `load_dataset` takes it.
        download: as `load_dataset` takes it.

    Raises:
        DataError: the channels do not fit.
        ZooError: as `load_dataset` does.
    """
    split = _find(name)[1].splits[:2][-1] if split is None else split
    size: dict[str, Any] = _size(name, image_shape)
    images = load_dataset(name, split, data=data, download=download, **size)
    return images.fitted(image_shape)


def _size(name: str, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Return the size to ask a dataset for; nothing if it has one of its own."""
    term, spec = _find(name)
    sized = "image_size" in field_names(spec) and "image_size" not in term.config
    return {"image_size": image_shape[1]} if sized else {}


def train_and_val(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    data: str | Path | None = None,
    download: bool = False,
) -> tuple[ImageSet, ImageSet]:
    """Load the split to train on and the one to validate on, fitted to a model's image shape.

    Raises:
        UsageError: the dataset has one split only.
        ZooError: as `dataset_for` does.
    """
    train, val = (
        dataset_for(name, split, image_shape, data=data, download=download)
        for split in _two_splits(name)
    )
    return train, val


def training_sets(
    name: str,
    augment: str,
    image_shape: tuple[int, int, int],
    *,
    data: str | Path | None = None,
    download: bool = False,
) -> tuple[ImageSet | PictureSet, ImageSet]:
    """Load what a recipe trains and validates on: `train_and_val`, or for crops whole pictures.

    The images to validate on are fitted to the model's image shape in any case; of a whole picture
    that is one fixed crop, its middle.

    Args:
        name: as `load_dataset` takes it.
        augment: the recipe's augmentation.
        image_shape: the model's, (C, H, W).
        data: as `load_dataset` takes it.
        download: as `load_dataset` takes it.

    Raises:
        UsageError: the dataset has one split only, or no whole pictures to crop.
        ZooError: as `dataset_for` does.
    """
    if Augmentation.parse(augment).crop is None:
        return train_and_val(name, image_shape, data=data, download=download)
    first, second = _two_splits(name)
    size: dict[str, Any] = _size(name, image_shape)
    pictures = load_pictures(name, first, data=data, download=download, **size)
    return pictures, dataset_for(name, second, image_shape, data=data, download=download)


def _two_splits(name: str) -> tuple[str, str]:
    splits = _find(name)[1].splits
    if len(splits) == 1:
        raise UsageError(
            f"dataset {name!r} has the split {splits[0]!r} only; training needs a second one to "
            "validate on"
        )
    return splits[0], splits[1]


def training_split(name: str) -> str:
    """Return the split of a dataset that models are trained on: its first."""
    return splits_of(name)[0]


def splits_of(name: str) -> tuple[str, ...]:
    """Return the names of a dataset's splits."""
    return _find(name)[1].splits


def _find(name: str) -> tuple[Term, DatasetSpec]:
    term = parse_entry(name, "dataset")
    return term, cast("DatasetSpec", find_spec(term, "dataset"))
