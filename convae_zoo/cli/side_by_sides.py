"""The paths of side-by-sides, which are written next to a command's pictures."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from convae_zoo import files
from convae_zoo.errors import UsageError

FOLDER = "comparison"
"""The folder of side-by-sides, in the output folder."""


def side_by_side_paths(pictures: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return the path of each written picture's side-by-side, a PNG file.

    It has the picture's name, and keeps its suffix before ``.png`` if two would have one path.

    Args:
        pictures: all pictures that the command writes.
        out: their folder; or the only picture.
    """
    root = out.parent if list(pictures) == [out] else out
    places = [path.relative_to(root) for path in pictures]
    names = [place.with_suffix(".png") for place in places]
    if len(set(names)) < len(names):
        names = [place.with_name(f"{place.name}.png") for place in places]
    return {path: root / FOLDER / name for path, name in zip(pictures, names, strict=True)}


def check_side_by_sides(
    paths: Mapping[Path, Path], inputs: Iterable[str | Path], *, overwrite: bool
) -> None:
    """Refuse side-by-sides that would overwrite inputs, pictures or, unasked, existing files.

    Args:
        paths: what `side_by_side_paths` returns.
        inputs: files and folders that the command reads.
        overwrite: allow existing files.

    Raises:
        UsageError: one would.
    """
    inputs = list(inputs)
    for path in paths.values():
        if path in paths:
            raise UsageError(
                f"{path} would be both a picture and a side-by-side; move the images of the "
                f"folder {FOLDER} to one of another name"
            )
        files.check_output(path, inputs)
    files.check_new(paths.values(), overwrite=overwrite)
