"""The one-class view of a labelled dataset: one class is normal, every other one anomalous."""

import attrs
from torch import Tensor

from convae_zoo.data.image_set import ImageSet
from convae_zoo.errors import DataError, UsageError, unknown

GOOD = "good"
"""The name of the normal class, as in MVTec AD's folders."""


def one_class(images: ImageSet, normal: str | int | None = None) -> ImageSet:
    """Return the normal images of a set.

    Args:
        images: the set; without labels all its images are normal.
        normal: the normal class, by name or number; by default the one called ``good``.

    Raises:
        UsageError: the set has no such class, or no labels for a class that is named.
        DataError: the set has no image of the class.
    """
    if images.labels is None and normal is None:
        return images
    chosen = ~anomalous(images, normal)
    if not chosen.any():
        raise DataError(
            f"split {images.split!r} of {images.name} has no image of the normal class "
            f"{_name(images, normal)!r}"
        )
    return attrs.evolve(
        images,
        images=images.images[chosen],
        labels=None if images.labels is None else images.labels[chosen],
        masks=None if images.masks is None else images.masks[chosen],
    )


def anomalous(images: ImageSet, normal: str | int | None = None) -> Tensor:
    """Return which images of a labelled set are anomalous: bool, N.

    Args:
        images: the set.
        normal: the normal class, by name or number; by default the one called ``good``.

    Raises:
        UsageError: the set has no such class, or no labels.
    """
    if images.labels is None:
        raise UsageError(
            f"dataset {images.name!r} has no labels, which tell normal from anomalous images"
        )
    return images.labels != _label(images, normal)


def _name(images: ImageSet, normal: str | int | None) -> str:
    label = _label(images, normal)
    return images.class_names[label] if label < len(images.class_names) else str(label)


def _label(images: ImageSet, normal: str | int | None) -> int:
    """Return the number of the normal class."""
    names = images.class_names
    wanted = GOOD if normal is None else str(normal)
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and (int(wanted) < len(names) or _has_label(images, int(wanted))):
        return int(wanted)
    if normal is None:
        raise UsageError(
            f"dataset {images.name!r} has no class {GOOD!r}; name its normal class with "
            f"--normal-class (normal_class=...): {', '.join(names) or 'a number'}"
        )
    raise unknown(f"class of dataset {images.name!r}:", wanted, names)


def _has_label(images: ImageSet, label: int) -> bool:
    return images.labels is not None and bool((images.labels == label).any())
