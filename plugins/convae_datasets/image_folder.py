"""Any folder of images.

The rule:

- Files with an ending that `list_images` knows, in the folder and those in it, in the
  order of their names; hidden files are skipped and links to folders are not followed.
- The name of the first folder below is the class. Images beside such folders have the class ``.``;
  where there are no folders, there are no labels.
- Splits: with a folder ``train`` and one ``val`` (or ``test``), these. Otherwise an image is in val
  where a hash of its name below the folder, as a fraction, is less than `val_fraction`: more files
  do not move the others. Where that leaves a split empty, the nearest image goes there.
- Images that do not fit in memory are kept in a temporary file; see `empty_images`.
- For random crops (``augment="crop"``) the pictures of ``train`` are read whole, scaled down where
  their shorter side is more than eight times `image_size`. Those of ``val`` are fitted as above,
  so each is one fixed crop, its middle.
- A file that cannot be read, or has more than `max_pixels`, is left out and named in
  `ImageSet.skipped`.
"""

from pathlib import Path

import torch
from torch import Tensor

from convae_datasets.reading import Files, check_any, hashed_splits, read_each, read_files
from convae_zoo.data import (
    MAX_PIXELS,
    ImageSet,
    PictureSet,
    list_images,
    read_fitted,
    read_image,
    resize,
    store_pictures,
)
from convae_zoo.errors import DataError, UsageError

NAME = "image-folder"
NO_CLASS = "."
RGB = 3
WHOLE_SIZE = 8
"""The shorter side of a whole picture, divided by the size of the crops taken from it."""


def image_folder(
    *,
    split: str,
    path: str | None = None,
    image_size: int = 32,
    val_fraction: float = 0.1,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """Read a split of a folder of images: uint8 N×3×S×S, each fitted as `read_fitted` does.

    Raises:
        UsageError: no folder was given.
        DataError: the folder is missing, it has no images, none can be read, or the split is empty.
    """
    splits = _files(path, split, val_fraction)
    shape = (RGB, image_size, image_size)

    def read(path: Path) -> Tensor:
        return read_fitted(path, shape, max_pixels=max_pixels)[0]

    images, kept, skipped = read_files(splits[split], read, shape)
    check_any(kept, skipped, f"split {split!r} in folder {path}")
    classes = sorted({_class(name) for part in splits.values() for name, _ in part})
    labelled = classes != [NO_CLASS]
    labels = torch.tensor([classes.index(_class(name)) for name in kept]) if labelled else None
    return ImageSet(
        name=NAME,
        split=split,
        images=images,
        labels=labels,
        class_names=tuple(classes) if labelled else (),
        skipped=tuple(skipped),
    )


def whole_pictures(
    *,
    split: str,
    path: str | None = None,
    image_size: int = 32,
    val_fraction: float = 0.1,
    max_pixels: int = MAX_PIXELS,
) -> PictureSet:
    """Read the whole pictures of a split of a folder of images, uint8 3×H×W each.

    The shorter side is at most eight times `image_size`: larger ones are scaled down.

    Raises:
        UsageError: no folder was given.
        DataError: the folder is missing, it has no images, none can be read, or the split is empty.
    """
    longest = WHOLE_SIZE * image_size

    def read(file: Path) -> Tensor:
        picture = read_image(file, max_pixels=max_pixels, scaled_to=(longest, longest))
        ratio = min(1.0, longest / min(picture.shape[1:]))
        size = (round(picture.shape[1] * ratio), round(picture.shape[2] * ratio))
        return resize(picture[None], size)[0]

    skipped: list[str] = []
    files = _files(path, split, val_fraction)[split]
    pictures = tuple(store_pictures(p for _, p in read_each(files, read, skipped)))
    check_any(pictures, skipped, f"split {split!r} in folder {path}")
    return PictureSet(name=NAME, split=split, pictures=pictures, skipped=tuple(skipped))


def _files(path: str | None, split: str, val_fraction: float) -> dict[str, Files]:
    """Return the files of each split; the one that is asked for has some."""
    if path is None:
        raise UsageError(f"{NAME} needs a folder of images: give --data PATH (data=...)")
    splits = _split(Path(path).expanduser(), val_fraction)
    if not splits[split]:
        raise DataError(
            f"folder {path} has no image for the split {split!r}: {NAME} needs one in each split, "
            "and a val_fraction between 0 and 1"
        )
    return splits


def _split(root: Path, val_fraction: float) -> dict[str, Files]:
    for val in ("val", "test"):
        if (root / "train").is_dir() and (root / val).is_dir():
            return {"train": list_images(root / "train"), "val": list_images(root / val)}
    return hashed_splits(list_images(root), val_fraction)


def _class(name: str) -> str:
    folder, slash, _ = name.partition("/")
    return folder if slash else NO_CLASS
