"""What is printed of each whole picture that was written: its quality, next to others."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from convae_zoo.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from convae_zoo.models.autoencoder import Autoencoder
    from convae_zoo.tasks.pictures.files import Written

Note = Callable[["Written", Path], str]
"""Returns what is printed behind the path of a picture that was written.

The second argument is the path for its side-by-side.
"""


def compare_with_original(max_pixels: int) -> Note:
    """Print each picture's quality relative to the image that it was made from."""
    from convae_zoo.tasks.pictures.quality import quality, read_values

    def note(each: "Written", _: Path) -> str:
        ours, theirs = (read_values(p, max_pixels) for p in (each.path, each.source))
        return f"{quality(ours, theirs)} to its original"

    return note


def compare_with_clean(clean: str, out: str, name: str, max_pixels: int) -> Note:
    """Print each picture's quality relative to a clean one, and draw the three side by side.

    Args:
        clean: folder of clean pictures with the images' names.
        out: the argument ``--out``.
        name: of the model, below its pictures.
        max_pixels: image files with more pixels are refused.

    Raises:
        DataError: there is no such folder.
    """
    from convae_zoo.tasks.pictures.quality import read_values

    if not Path(clean).is_dir():
        raise DataError(f"no folder of clean pictures at {clean}")

    def note(each: "Written", drawn: Path) -> str:
        original = Path(clean) / _place(each, out)
        if not original.is_file():
            return f"no clean picture at {original}"
        try:
            before, target = (read_values(p, max_pixels) for p in (each.source, original))
            return _compare(each, drawn, name, before, target, max_pixels)
        except DataError as error:
            return str(error)

    return note


def compare_with_uncorrupted(
    corrupt: "Callable[[str, Tensor], Tensor]", name: str, max_pixels: int
) -> Note:
    """Print each picture's quality relative to its image, which was corrupted; draw the three.

    Args:
        corrupt: corrupts the values of a named picture, always in the same way.
        name: of the model, below its pictures.
        max_pixels: image files with more pixels are refused.
    """
    from convae_zoo.tasks.pictures.quality import read_values

    def note(each: "Written", drawn: Path) -> str:
        original = read_values(each.source, max_pixels)
        return _compare(each, drawn, name, corrupt(each.name, original), original, max_pixels)

    return note


def compare_with_pca(model: "Autoencoder", dataset: str, name: str, max_pixels: int) -> Note:
    """Print each picture's quality and that of PCA, and draw them beside the original.

    Args:
        model: PCA gets as many components as its latent has floats.
        dataset: PCA is fitted on its first split.
        name: of the model, below its pictures.
        max_pixels: image files with more pixels are refused.

    Raises:
        ZooError: the dataset cannot be loaded, or PCA cannot have so many components.
    """
    from convae_zoo.data.load import dataset_for, training_split
    from convae_zoo.tasks.pictures.pca import picture_pca
    from convae_zoo.tasks.pictures.quality import quality, read_values
    from convae_zoo.visuals.strip import save_strip

    pca = picture_pca(model, dataset_for(dataset, training_split(dataset), model.image_shape))
    label = f"PCA-{pca.components}"

    def note(each: "Written", drawn: Path) -> str:
        original, ours = (read_values(p, max_pixels) for p in (each.source, each.path))
        baseline = pca(original).round().clamp(0, 255)
        found, theirs = quality(ours, original), quality(baseline, original)
        save_strip(
            drawn,
            [
                ("original", original),
                (f"{label}, {theirs}", baseline),
                (f"{name}, {found}", ours),
            ],
        )
        return f"{found} to its original ({label}: {theirs})  {drawn}"

    return note


def _compare(
    each: "Written", drawn: Path, name: str, before: "Tensor", target: "Tensor", max_pixels: int
) -> str:
    """Compare a picture and what it was made of with the clean one; draw the three side by side."""
    from convae_zoo.tasks.pictures.quality import quality, read_values
    from convae_zoo.visuals.strip import save_strip

    after = read_values(each.path, max_pixels)
    found, was = quality(after, target), quality(before, target)
    save_strip(drawn, [(f"given, {was}", before), (f"{name}, {found}", after), ("clean", target)])
    return f"{found} (before: {was})  {drawn}"


def _place(each: "Written", out: str) -> Path:
    """Return a picture's path within the output folder; the name of its image for a single file."""
    return Path(each.source.name) if each.path == Path(out) else each.path.relative_to(out)
