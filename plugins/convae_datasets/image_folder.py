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
- A file that cannot be read, or has more than `max_pixels`, is left out and named in
  `ImageSet.skipped`.
"""

from pathlib import Path

import torch
from torch import Tensor

from convae_datasets.reading import Files, hashed_splits, read_files
from convae_zoo.data import MAX_PIXELS, ImageSet, list_images, read_fitted
from convae_zoo.errors import DataError, UsageError

NAME = "image-folder"
NO_CLASS = "."
RGB = 3


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
    if path is None:
        raise UsageError(f"{NAME} needs a folder of images: give --data PATH (data=...)")
    splits = _split(Path(path).expanduser(), val_fraction)
    files = splits[split]
    if not files:
        raise DataError(
            f"folder {path} has no image for the split {split!r}: {NAME} needs one in each split, "
            "and a val_fraction between 0 and 1"
        )
    shape = (RGB, image_size, image_size)

    def read(path: Path) -> Tensor:
        return read_fitted(path, shape, max_pixels=max_pixels)[0]

    images, kept, skipped = read_files(files, read, shape)
    if not kept:
        raise DataError(
            f"none of the {len(files)} images of split {split!r} in folder {path} can be read; "
            f"the first: {skipped[0]}"
        )
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


def _split(root: Path, val_fraction: float) -> dict[str, Files]:
    for val in ("val", "test"):
        if (root / "train").is_dir() and (root / val).is_dir():
            return {"train": list_images(root / "train"), "val": list_images(root / val)}
    return hashed_splits(list_images(root), val_fraction)


def _class(name: str) -> str:
    folder, slash, _ = name.partition("/")
    return folder if slash else NO_CLASS
