"""Patches of the photographs in the wheels of scikit-image, scikit-learn and convae-zoo-weights.

The rule, for patches of S×S pixels:

- A window of kS×kS pixels, k = 1, 2, 3, 4, 6, lies at every 12th row and column of a
  photograph. The patch is the mean of each k×k block, in whole numbers, rounded.
- A patch is flat where the standard deviation of its grey levels is below 4 of 255. One flat
  patch in eight is a candidate; the others are left out.
- Of each photograph's candidates, at most 3,000 (1,000 for val) and at most 32 MiB are taken.
  Which ones, and their order, comes from a hash of their number: neighbours are not in sequence.
- No patch is taken twice. Train and val come from different photographs.

Everything is integer arithmetic on decoded pixels, without a random generator. The patches are cut
once and cached.
"""

import hashlib
import io
import zlib
from importlib.resources import files
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL
import torch
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from torch import Tensor

from convae_datasets.cache import cached
from convae_zoo.data import ImageSet, PictureSet
from convae_zoo.errors import DataError

Array: TypeAlias = "np.ndarray[Any, Any]"

Photograph: TypeAlias = tuple[str, str, str]
"""Name, package, and file in the package."""

TRAIN: tuple[Photograph, ...] = (
    ("astronaut", "skimage", "data/astronaut.png"),
    ("china", "sklearn", "datasets/images/china.jpg"),
    ("flower", "sklearn", "datasets/images/flower.jpg"),
    ("hubble", "skimage", "data/hubble_deep_field.jpg"),
    ("ihc", "skimage", "data/ihc.png"),
    ("motorcycle", "skimage", "data/motorcycle_left.png"),
    ("retina", "skimage", "data/retina.jpg"),
    ("rocket", "skimage", "data/rocket.jpg"),
)
"""Of the stereo pair motorcycle, only the left picture is used."""

CHELSEA_COFFEE: tuple[Photograph, ...] = (
    ("chelsea", "skimage", "data/chelsea.png"),
    ("coffee", "skimage", "data/coffee.png"),
)

WALLPAPERS: tuple[Photograph, ...] = tuple(
    (name, "convae_weights", f"photographs/{name}.jpg")
    for name in (
        "cold-ripple",
        "colorful-cups",
        "evening-glow",
        "fallen-leaf",
        "kite",
        "summer-1am",
    )
)
"""Reduced copies; their authors are in ``ATTRIBUTION.md`` beside them."""

VAL = CHELSEA_COFFEE + WALLPAPERS
"""Animal, still life, landscape, sky and water, sharp and blurred."""

DISTRIBUTIONS = {
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "convae_weights": "convae-zoo-weights",
}
"""What to install for a package."""

SCALES = (1, 2, 3, 4, 6)
STRIDE = 12
MOST, MOST_VAL = 3000, 1000
MOST_BYTES = 32 * 2**20
FLAT = 4
FLAT_KEPT = 8


def photos(*, split: str, image_size: int = 32) -> ImageSet:
    """Cut the patches of a split: uint8 N×3×S×S, one class per photograph.

    Raises:
        DataError: a photograph is missing from its package.
    """
    photographs, most = (TRAIN, MOST) if split == "train" else (VAL, MOST_VAL)
    return _load("photos", split, photographs, most, image_size)


def whole_photos(*, split: str, image_size: int = 32) -> PictureSet:  # noqa: ARG001 - a config field
    """Read the whole photographs of a split of `photos`.

    Raises:
        DataError: a photograph is missing from its package.
    """
    photographs = TRAIN if split == "train" else VAL
    read = (_read(package, file) for _, package, file in photographs)
    pictures = tuple(torch.from_numpy(photograph).permute(2, 0, 1) for photograph in read)
    return PictureSet(name="photos", split=split, pictures=pictures)


def photos_chelsea_coffee(*, split: str, image_size: int = 32) -> ImageSet:
    """Cut the patches of a split as `photos` did when val was chelsea and coffee alone.

    Figures of that split are checked with it. Train is that of `photos`.

    Raises:
        DataError: a photograph is missing from its package.
    """
    photographs = TRAIN if split == "train" else CHELSEA_COFFEE
    return _load("photos-chelsea-coffee", split, photographs, MOST, image_size)


def _load(
    dataset: str, split: str, photographs: tuple[Photograph, ...], most: int, image_size: int
) -> ImageSet:
    """Take the patches from the cache, or cut them."""
    contents = {name: _content(package, file) for name, package, file in photographs}
    rule = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    digests = [(name, hashlib.sha256(data).hexdigest()) for name, data in contents.items()]
    patches = cached(
        f"{dataset}-{split}-{image_size}",
        repr((rule, PIL.__version__, most, image_size, digests)),
        lambda: _cut(photographs, contents, most, image_size),
    )
    return ImageSet(
        name=dataset,
        split=split,
        images=patches["images"],
        labels=patches["labels"],
        class_names=tuple(contents),
    )


def _cut(
    photographs: tuple[Photograph, ...], contents: dict[str, bytes], most: int, image_size: int
) -> dict[str, Tensor]:
    patches: list[Array] = []
    labels: list[int] = []
    seen: set[bytes] = set()
    for label, (name, package, file) in enumerate(photographs):
        salt = zlib.crc32(name.encode())
        photograph = _decode(contents[name], package, file)
        taken = _take(photograph, image_size, salt, most, seen)
        patches += taken
        labels += [label] * len(taken)
    order = np.argsort(_hashes(len(patches), salt=0))
    images = np.empty((len(patches), 3, image_size, image_size), np.uint8)
    for place, index in enumerate(order):
        images[place] = patches[index]
    return {
        "images": torch.from_numpy(images),
        "labels": torch.from_numpy(np.array(labels, np.int64)[order]),
    }


def _read(package: str, file: str) -> Array:
    """Read a photograph as H×W×3."""
    return _decode(_content(package, file), package, file)


def _content(package: str, file: str) -> bytes:
    """Read a file from inside a package, without running the package."""
    spec, distribution = find_spec(package), DISTRIBUTIONS.get(package, package)
    if spec is None:
        raise DataError(
            f"photos needs {file} of {distribution}, which is not "
            f"installed: pip install {distribution}"
        )
    try:
        return (files(module_from_spec(spec)) / file).read_bytes()
    except OSError as error:
        raise _unreadable(package, file, error) from error


def _decode(data: bytes, package: str, file: str) -> Array:
    """Decode a photograph to H×W×3."""
    try:
        return np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise _unreadable(package, file, error) from error


def _unreadable(package: str, file: str, error: Exception) -> DataError:
    distribution = DISTRIBUTIONS.get(package, package)
    return DataError(
        f"photos needs {file}, which {distribution} ships in its wheel, but it cannot be read "
        f"({error}); reinstall {distribution}"
    )


def _hashes(count: int, salt: int) -> Array:
    """Hash 0 … count-1 to distinct uint64 (the finaliser of splitmix64)."""
    z = (np.arange(count, dtype=np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: Array = z ^ (z >> np.uint64(31))
    return hashed


def _shrink(photograph: Array, scale: int) -> Array:
    """Shrink H×W×3 to 3×H/k×W/k: each pixel is the rounded mean of a k×k block."""
    height, width = (n // scale * scale for n in photograph.shape[:2])
    rows = photograph[:height, :width].reshape(height // scale, scale, width, 3)
    bands = rows.sum(axis=1, dtype=np.uint16).reshape(height // scale, width // scale, scale, 3)
    means = (bands.sum(axis=2, dtype=np.uint16) + scale**2 // 2) // scale**2
    return np.ascontiguousarray(means.transpose(2, 0, 1).astype(np.uint8))


def _take(photograph: Array, size: int, salt: int, most: int, seen: set[bytes]) -> list[Array]:
    """Take a photograph's patches, 3×S×S each, by the rule at the head of this file."""
    # Each scale's windows, rows×columns×3×S×S, and every patch are views: nothing is copied here.
    windows = [
        sliding_window_view(_shrink(photograph, scale), (3, size, size))[
            0, :: STRIDE // scale, :: STRIDE // scale
        ]
        for scale in SCALES
        if size * scale <= min(photograph.shape[:2])
    ]
    where = np.array([(s, y, x) for s, w in enumerate(windows) for y, x in np.ndindex(w.shape[:2])])
    hashes = _hashes(len(where), salt)
    most = min(most, MOST_BYTES // (3 * size * size))
    taken: list[Array] = []
    for index in np.argsort(hashes):
        scale, row, column = where[index]
        patch = windows[scale][row, column]
        if _is_flat(patch) and hashes[index] % np.uint64(FLAT_KEPT):
            continue
        digest = hashlib.blake2b(patch.tobytes(), digest_size=16).digest()
        if digest in seen:
            continue
        seen.add(digest)
        taken.append(patch)
        if len(taken) == most:
            break
    return taken


def _is_flat(patch: Array) -> bool:
    """Tell whether a patch has nearly one grey level; grey is the sum of the channels."""
    # Whole numbers below 2^53, so that floats are exact in whatever order they are added.
    grey = patch.sum(axis=0, dtype=np.uint16).ravel().astype(np.float64)
    return bool(grey.size * (grey @ grey) - grey.sum() ** 2 < (3 * FLAT * grey.size) ** 2)
