"""Photographs of a texture, normal ones and ones with drawn defects, and masks of these.

The textures are the grey photographs brick, grass and gravel in scikit-image's wheel, 512×512
pixels. Pictures are windows of S×S pixels:

- train: from the left 5/8 of the photograph, at every fifth of S in rows and columns.
- test: from the rest, which no training picture shows, at every third of S. They take turns to be
  good or to have one of the defects.

The defects: ``blot``, a dark stain with a soft, uneven edge; ``foreign``, a patch of another of the
textures; ``hole``, a missing piece, nearly black; ``scratch``, a thin curved line, light or dark.
Place, size and shape are random, from the picture's number alone.
"""

import math
from collections.abc import Callable, Iterator
from importlib.resources import files
from importlib.util import find_spec, module_from_spec
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from convae_datasets.configs import TEXTURES
from convae_zoo.data import ImageSet
from convae_zoo.errors import DataError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Draw: TypeAlias = Callable[[Array, Array, np.random.Generator], tuple[Array, Array]]
"""Maps a picture, a photograph of another texture and a random generator to the picture with a
defect, and to where the defect is: float and bool H×W."""

TRAIN_SHARE = 5 / 8
CLASSES = ("good", "blot", "foreign", "hole", "scratch")


def defects(*, split: str, texture: str = "brick", image_size: int = 96) -> ImageSet:
    """Cut the pictures of a split: uint8 N×1×S×S, with classes, and masks in test.

    Raises:
        DataError: the photograph is missing from its package.
    """
    photograph = _read(texture)
    border = int(photograph.shape[1] * TRAIN_SHARE)
    if split == "train":
        images = np.stack(list(_windows(photograph[:, :border], image_size, image_size // 5)))
        labels, masks = np.zeros(len(images), np.int64), None
    else:
        cut = list(_windows(photograph[:, border:], image_size, image_size // 3))
        labels = np.arange(len(cut)) % len(CLASSES)
        other = _read(TEXTURES[TEXTURES.index(texture) - 1])
        drawn = [_draw(cut[i], other, int(labels[i]), i) for i in range(len(cut))]
        images = np.stack([image for image, _ in drawn])
        masks = torch.from_numpy(np.stack([mask for _, mask in drawn]))
    return ImageSet(
        name="defects",
        split=split,
        images=torch.from_numpy(images[:, None]),
        labels=torch.from_numpy(labels),
        class_names=CLASSES,
        masks=masks,
    )


def _read(texture: str) -> Array:
    """Read a photograph, uint8 H×W, from inside scikit-image, without running the package."""
    spec = find_spec("skimage")
    if spec is None:
        raise DataError("defects needs scikit-image, which is not installed; install it")
    file = f"data/{texture}.png"
    try:
        with (files(module_from_spec(spec)) / file).open("rb") as stream:
            return np.array(Image.open(stream).convert("L"))
    except (OSError, SyntaxError) as error:
        raise DataError(
            f"defects needs {file}, which scikit-image ships in its wheel, but it cannot be read "
            f"({error}); reinstall scikit-image"
        ) from error


def _windows(photograph: Array, size: int, step: int) -> Iterator[Array]:
    height, width = photograph.shape
    for top in range(0, height - size + 1, step):
        for left in range(0, width - size + 1, step):
            yield photograph[top : top + size, left : left + size]


def _draw(picture: Array, other: Array, label: int, number: int) -> tuple[Array, Array]:
    """Draw a defect into a picture: uint8 and bool H×W; none for label 0."""
    if label == 0:
        return picture, np.zeros(picture.shape, bool)
    draw = (_blot, _foreign, _hole, _scratch)[label - 1]
    random = np.random.Generator(np.random.PCG64(number))
    image, mask = draw(picture.astype(np.float64), other, random)
    return image.round().clip(0, 255).astype(np.uint8), mask


def _blot(picture: Array, _: Array, random: np.random.Generator) -> tuple[Array, Array]:
    inside = _blob(len(picture), random, radius=(0.09, 0.15))
    cover = np.clip((inside + 0.1) / 0.3, 0, 1)
    return picture * (1 - 0.75 * cover), cover > 0.3  # noqa: PLR2004 - fainter is not seen


def _foreign(picture: Array, other: Array, random: np.random.Generator) -> tuple[Array, Array]:
    side = int(_between(random, 0.2, 0.3) * len(picture))
    top, left = (int(random.random() * (len(picture) - side)) for _ in range(2))
    row, column = (int(random.random() * (n - side)) for n in other.shape)
    image, mask = picture.copy(), np.zeros(picture.shape, bool)
    image[top : top + side, left : left + side] = other[row : row + side, column : column + side]
    mask[top : top + side, left : left + side] = True
    return image, mask


def _hole(picture: Array, _: Array, random: np.random.Generator) -> tuple[Array, Array]:
    size = len(picture)
    height, width = (_between(random, 0.12, 0.25) * size for _ in range(2))
    top, left = (_between(random, 0.05, 0.95) * (size - side) for side in (height, width))
    rows, columns = np.mgrid[:size, :size]
    inside = (abs(rows - top - height / 2) < height / 2) & (
        abs(columns - left - width / 2) < width / 2
    )
    return np.where(inside, 12 + 6 * random.random(picture.shape), picture), inside


def _scratch(picture: Array, _: Array, random: np.random.Generator) -> tuple[Array, Array]:
    size = len(picture)
    start, bend, end = (random.random(2) * size for _ in range(3))
    while np.hypot(*(end - start)) < size / 2:
        start, end = (random.random(2) * size for _ in range(2))
    t = np.linspace(0, 1, 4 * size)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * (bend + (start + end)) / 3 + t**2 * end
    rows, columns = np.mgrid[:size, :size]
    distance = np.sqrt(
        ((rows[..., None] - curve[:, 0]) ** 2 + (columns[..., None] - curve[:, 1]) ** 2).min(-1)
    )
    cover = np.clip(_between(random, 1.2, 1.8) - distance + 0.5, 0, 1)
    tone = 250 if random.random() < 0.5 else 5  # noqa: PLR2004 - as often light as dark
    return picture * (1 - cover) + tone * cover, cover > 0.3  # noqa: PLR2004 - fainter is not seen


def _blob(size: int, random: np.random.Generator, radius: tuple[float, float]) -> Array:
    """Return 1 - distance / radius from a point, where the radius varies with the direction."""
    base = _between(random, *radius) * size
    centre = base * 1.3 + random.random(2) * (size - 2.6 * base)
    rows, columns = np.mgrid[:size, :size]
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    wobble = sum(
        0.15 * random.random() * np.cos(k * angle + 2 * math.pi * random.random())
        for k in (2, 3, 5)
    )
    blob: Array = 1 - np.hypot(rows - centre[0], columns - centre[1]) / (base * (1 + wobble))
    return blob


def _between(random: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * random.random()
