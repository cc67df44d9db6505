"""A set of uint8 images in memory, with labels and masks of anomalies if it has any."""

import attrs
import torch
from torch import Tensor

from convae_zoo.data import pixels
from convae_zoo.data.fingerprint import fingerprint
from convae_zoo.errors import DataError
from convae_zoo.registry.specs import shape_text

NOT_STATED = "not stated"

EXEMPLARS, MOST_EXEMPLARS = 10, 64
"""How many images represent a set with few classes, and at most with many."""


@attrs.define(kw_only=True, eq=False, slots=False)
class ImageSet:
    """Images of one split of a dataset.

    Attributes:
        name: the dataset's name.
        split: ``train``, ``val``, …
        images: uint8, N×C×H×W, on the CPU.
        labels: int64, N; None if the set has none.
        class_names: one per label.
        masks: bool, N×H×W, true where an image is anomalous; None if the set has none.
        skipped: files that could not be read, each with the reason.
        license: of the images.
        expression: what `load_dataset` was called with: the dataset's name, and the config values
            that differ from the defaults; empty for other sets.
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    masks: Tensor | None = None
    skipped: tuple[str, ...] = ()
    license: str = NOT_STATED
    expression: str = ""

    def __attrs_post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:  # noqa: PLR2004 - N×C×H×W
            raise DataError(
                f"dataset {self.name!r} must give uint8 images N×C×H×W, got "
                f"{self.images.dtype} of shape {tuple(self.images.shape)}"
            )
        if len(self.images) == 0:
            raise DataError(f"dataset {self.name!r} has no images in split {self.split!r}")
        if self.labels is not None and (
            self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]
        ):
            raise DataError(
                f"dataset {self.name!r} must give int64 labels, one for each of its "
                f"{len(self.images)} images, got {self.labels.dtype} of shape "
                f"{tuple(self.labels.shape)}"
            )
        size = (len(self.images), *self.images.shape[2:])
        if self.masks is not None and (
            self.masks.dtype != torch.bool or tuple(self.masks.shape) != size
        ):
            raise DataError(
                f"dataset {self.name!r} must give bool masks of shape {size}, got "
                f"{self.masks.dtype} of shape {tuple(self.masks.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        """Return the set's name, split, size and classes."""
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        shape = shape_text(self.image_shape)
        return f"ImageSet({self.name}, split {self.split}: {len(self):,} images {shape}{classes})"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image, (C, H, W)."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def fingerprint(self) -> str:
        """Sha256 of the images' shape and bytes, in hex."""
        return fingerprint(self.images)

    def exemplars(self, count: int | None = None) -> Tensor:
        """Choose the images that represent the set in pictures: indices, int64.

        The first image of each class, then evenly spaced others up to `count`. Without `count`
        there are ten, or one per class if there are more classes, at most 64.
        """
        labels = self.labels.tolist() if self.labels is not None else []
        first = {label: index for index, label in reversed(list(enumerate(labels)))}
        wanted = min(count or min(max(EXEMPLARS, len(first)), MOST_EXEMPLARS), len(self))
        chosen = [first[label] for label in sorted(first)][:wanted]
        others = [index for index in range(len(self)) if index not in chosen]
        missing = wanted - len(chosen)
        chosen += [others[i * len(others) // missing] for i in range(missing)]
        return torch.tensor(chosen, device="cpu")

    def label_name(self, index: int) -> str:
        """Name the class of one image; empty if there are no labels."""
        if self.labels is None:
            return ""
        label = int(self.labels[index])
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)

    def fitted(self, image_shape: tuple[int, int, int]) -> "ImageSet":
        """Return the set with every image, and its mask, fitted to a shape as in `pixels.fit`.

        Raises:
            DataError: the channels cannot be fitted.
        """
        if self.image_shape == image_shape:
            return self
        masks = None if self.masks is None else pixels.fit_masks(self.masks, image_shape[1:])
        return attrs.evolve(self, images=pixels.fit(self.images, image_shape), masks=masks)
