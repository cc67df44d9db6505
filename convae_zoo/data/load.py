"""A dataset by name."""

from pathlib import Path
from typing import Any, cast

import attrs

from convae_zoo.data.image_set import NOT_STATED, ImageSet
from convae_zoo.errors import UsageError, unknown
from convae_zoo.registry import get_registry
from convae_zoo.registry.factories import build, field_names, make_config, plugin_error
from convae_zoo.registry.specs import DatasetSpec


def load_dataset(
    name: str,
    split: str = "train",
    *,
    path: str | Path | None = None,
    download: bool = False,
    **options: Any,
) -> ImageSet:
    """Load one split of a registered dataset into memory.

    Args:
        name: a dataset's name, as `list_datasets` gives it.
        split: ``train`` or ``val``.
        path: the folder that holds the data, for datasets that read one.
        download: fetch the data if it is not there, for datasets that can.
        options: the dataset's own config fields.

    Raises:
        UnknownNameError: no such dataset, split or option.
        UsageError: a path or a download for a dataset that takes none.
        DataError: the data is missing or cannot be read.
    """
    spec = cast("DatasetSpec", get_registry().get("dataset", name))
    if split not in spec.splits:
        raise unknown(f"split of dataset {name!r}:", split, spec.splits)
    fields = field_names(spec)
    for field, value in (("path", None if path is None else str(path)), ("download", download)):
        if field in fields:
            options[field] = value
        elif value:
            raise UsageError(f"dataset {name!r} takes no {field}; leave it out")
    images = build(spec, make_config(spec, options), split=split)
    if not isinstance(images, ImageSet):
        raise plugin_error(spec, f"its factory must return an ImageSet, got {images!r:.80}")
    if images.license == NOT_STATED:
        images = attrs.evolve(images, license=spec.license)
    return images


def dataset_for(
    name: str,
    split: str,
    image_shape: tuple[int, int, int],
    *,
    path: str | Path | None = None,
    download: bool = False,
    options: dict[str, Any] | None = None,
) -> ImageSet:
    """Load one split of a dataset, fitted to a model's image shape.

    A dataset that cuts or reads its images at a size of choice is asked for the model's.

    Raises:
        UnknownNameError: no such dataset, split or option.
        UsageError: a path or a download for a dataset that takes none.
        DataError: the data is missing or cannot be read, or its channels do not fit.
    """
    spec = cast("DatasetSpec", get_registry().get("dataset", name))
    chosen = dict(options or {})
    if "image_size" in field_names(spec):
        chosen.setdefault("image_size", image_shape[1])
    images = load_dataset(name, split, path=path, download=download, **chosen)
    return images.fitted(image_shape)
