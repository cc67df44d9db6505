"""A folder in the layout of MVTec AD: normal images to train on, and defects with their masks.

- ``train/good``: normal images. Those whose name's hash is below `val_fraction` are the split val,
  the others train.
- ``test/good`` and ``test/<defect>``: the split test, with a class per folder.
- ``ground_truth/<defect>/<name>_mask.png`` (or ``<name>.png``): a mask for each defective image,
  of the image's size, not black where the defect is. Without the folder ``ground_truth`` the set
  has no masks.

VisA has this layout after its own preparation. Source: Bergmann et al., "MVTec AD", 2019.
"""

from pathlib import Path

import torch
from torch import Tensor

from convae_datasets.reading import Files, check_any, hashed_splits, read_files
from convae_zoo.data import MAX_PIXELS, ImageSet, fit, fit_masks, list_images, read_image
from convae_zoo.errors import DataError, UsageError

NAME = "anomaly-folder"
GOOD = "good"
RGB = 3


def anomaly_folder(
    *,
    split: str,
    path: str | None = None,
    image_size: int = 0,
    val_fraction: float = 0.1,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """Read a split: uint8 N×3×H×W with classes, in test with masks where the folder has them.

    Raises:
        UsageError: no folder was given.
        DataError: a folder is missing or has no images; images differ in size and no `image_size`
            was given; a mask is missing, empty, or not of its image's size.
    """
    if path is None:
        raise UsageError(f"{NAME} needs a folder of images: give --data PATH (data=...)")
    root = Path(path).expanduser()
    defects = _defects(root)
    files = (
        _test_files(root, defects) if split == "test" else _train_files(root, val_fraction)[split]
    )
    if not files:
        raise DataError(
            f"folder {root / 'train' / GOOD} has no image for the split {split!r}; "
            "choose a val_fraction between 0 and 1"
        )
    size = (image_size, image_size) if image_size else _size_of(files, max_pixels)

    def read(file: Path) -> Tensor:
        image = read_image(file, max_pixels=max_pixels)
        if image_size:
            return fit(image[None], (RGB, *size))[0]
        _check_size(image, size, file)
        return image

    images, kept, skipped = read_files(files, read, (RGB, *size))
    check_any(kept, skipped, f"split {split!r} in folder {root}")
    names = (GOOD, *defects)
    labels = [names.index(name.partition("/")[0]) for name in kept]
    masks = None
    if split == "test" and (root / "ground_truth").is_dir():
        paths = dict(files)
        masks = torch.stack([_mask(root, name, paths[name], size, max_pixels) for name in kept])
    return ImageSet(
        name=NAME,
        split=split,
        images=images,
        labels=torch.tensor(labels),
        class_names=names,
        masks=masks,
        skipped=tuple(skipped),
    )


def _defects(root: Path) -> tuple[str, ...]:
    """List the kinds of defect: the folders of test, without good."""
    if not (root / "train" / GOOD).is_dir():
        raise DataError(
            f"folder {root} has no train/{GOOD}, the normal images; {NAME} reads the layout of "
            "MVTec AD: train/good, test/good, test/<defect>, ground_truth/<defect>"
        )
    test = root / "test"
    folders = sorted(p.name for p in test.iterdir() if p.is_dir()) if test.is_dir() else []
    return tuple(name for name in folders if name != GOOD and not name.startswith("."))


def _train_files(root: Path, val_fraction: float) -> dict[str, Files]:
    files = [(f"{GOOD}/{name}", path) for name, path in list_images(root / "train" / GOOD)]
    return hashed_splits(files, val_fraction)


def _test_files(root: Path, defects: tuple[str, ...]) -> Files:
    return [
        (f"{kind}/{name}", path)
        for kind in (GOOD, *defects)
        for name, path in list_images(root / "test" / kind)
    ]


def _size_of(files: Files, max_pixels: int) -> tuple[int, int]:
    """Return height and width of the first image that can be read."""
    first = ""
    for _, path in files:
        try:
            _, height, width = read_image(path, max_pixels=max_pixels).shape
        except DataError as error:
            first = first or str(error)
        else:
            return height, width
    raise DataError(f"none of the {len(files)} images can be read; the first: {first}")


def _check_size(image: Tensor, size: tuple[int, int], file: Path) -> None:
    height, width = image.shape[1:]
    if (height, width) != size:
        raise UsageError(
            f"{file} has {height}×{width} pixels, the first image {size[0]}×{size[1]}; give "
            "image_size (--data-set image_size=256) to scale all to one size"
        )


def _mask(root: Path, name: str, image: Path, size: tuple[int, int], max_pixels: int) -> Tensor:
    """Read the mask of an image, bool H×W, fitted as the image is; of a normal one it is empty."""
    kind, _, inside = name.partition("/")
    if kind == GOOD:
        return torch.zeros(size, dtype=torch.bool)
    stem = root / "ground_truth" / kind / Path(inside).with_suffix("")
    candidates = [stem.with_name(f"{stem.name}{end}") for end in ("_mask.png", ".png")]
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        raise DataError(f"{image} has no mask at {candidates[0]}")
    mask = (read_image(file, max_pixels=max_pixels) > 0).any(0)
    if not mask.any():
        raise DataError(f"mask {file} of a defective image is empty")
    _, height, width = read_image(image, max_pixels=max_pixels).shape
    if tuple(mask.shape) != (height, width):
        raise DataError(
            f"mask {file} has {mask.shape[0]}×{mask.shape[1]} pixels, its image {height}×{width}"
        )
    return fit_masks(mask[None], size)[0]
