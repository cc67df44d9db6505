"""Properties of datasets; one whose data is not on this machine is skipped."""

import functools
import hashlib
from typing import Any, cast

import attrs
import torch

from convae_zoo.data import ImageSet, PictureSet
from convae_zoo.errors import DataError, UsageError
from convae_zoo.registry.factories import build, make_config
from convae_zoo.registry.specs import DatasetSpec
from convae_zoo.testing.entry import Entry
from convae_zoo.testing.result import ConformanceFailure, Skip


def images(entry: Entry) -> None:
    """Each split returns uint8 images N×C×H×W, and labels that have a name."""
    for split in _spec(entry).splits:
        found = _load(_spec(entry), split)
        if not isinstance(found, ImageSet):
            raise ConformanceFailure(f"split {split!r} gives {found!r:.80}, not an ImageSet")
        if found.split != split or found.name != entry.name:
            raise ConformanceFailure(
                f"split {split!r} calls itself {found.split!r} of {found.name!r}"
            )
        if found.labels is None:
            continue
        if found.labels.dtype != torch.int64 or found.labels.ndim != 1:
            raise ConformanceFailure(f"labels of {split!r} must be int64, one per image")
        low, high = int(found.labels.min()), int(found.labels.max())
        if low < 0 or (found.class_names and high >= len(found.class_names)):
            raise ConformanceFailure(
                f"labels of {split!r} go from {low} to {high} for {len(found.class_names)} classes"
            )


def repeats(entry: Entry) -> None:
    """Loaded again, each split is the same, byte for byte."""
    for split in _spec(entry).splits:
        first, again = _load(_spec(entry), split), _fresh(_spec(entry), split)
        if first.fingerprint != again.fingerprint:
            raise ConformanceFailure(f"split {split!r} loaded twice gives other images")
        if (first.labels is None) != (again.labels is None) or (
            first.labels is not None
            and again.labels is not None
            and not torch.equal(first.labels, again.labels)
        ):
            raise ConformanceFailure(f"split {split!r} loaded twice gives other labels")


def splits(entry: Entry) -> None:
    """No image is in two splits; an image of a single colour says nothing."""
    seen: dict[bytes, str] = {}
    for split in _spec(entry).splits:
        found = _load(_spec(entry), split).images
        flat = found.flatten(1)
        for index in (flat != flat[:, :1]).any(1).nonzero().flatten().tolist():
            digest = hashlib.sha256(found[index].numpy().tobytes()).digest()
            other = seen.setdefault(digest, split)
            if other != split:
                raise ConformanceFailure(f"image {index} of {split!r} is in {other!r} too")


def pictures(entry: Entry) -> None:
    """The whole pictures of each split, if there are any, are a `PictureSet`, and stay the same."""
    spec = _spec(entry)
    if spec.pictures is None:
        raise Skip("it declares no whole pictures")
    whole = attrs.evolve(spec, factory=spec.pictures)
    for split in spec.splits:
        found, again = _fresh(whole, split), _fresh(whole, split)
        if not isinstance(found, PictureSet):
            raise ConformanceFailure(f"pictures of {split!r} are {found!r:.80}, not a PictureSet")
        if found.split != split or found.name != entry.name:
            raise ConformanceFailure(
                f"pictures of {split!r} call themselves {found.split!r} of {found.name!r}"
            )
        if found.fingerprint != again.fingerprint:
            raise ConformanceFailure(f"pictures of {split!r} loaded twice are different")


def _spec(entry: Entry) -> DatasetSpec:
    return cast("DatasetSpec", entry.spec)


@functools.lru_cache(maxsize=4)
def _load(spec: DatasetSpec, split: str) -> ImageSet:
    return cast("ImageSet", _fresh(spec, split))


def _fresh(spec: DatasetSpec, split: str) -> Any:
    try:
        return build(spec, make_config(spec, {}), split=split)
    except (DataError, UsageError) as error:
        raise Skip(str(error)) from error
