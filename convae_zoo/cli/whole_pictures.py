"""What ``reconstruct`` and ``denoise`` have in common: image files of any size, in and out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from convae_zoo import files
from convae_zoo.cli.options import device_option, max_pixels_option
from convae_zoo.cli.output import print_line
from convae_zoo.cli.outputs import model_files
from convae_zoo.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from convae_zoo.tasks.pictures.files import Prepare, Written
    from convae_zoo.tasks.pictures.picture_model import PictureModel

    Corrupt = Callable[[str, Tensor], Tensor]
    """Corrupts the values of a named picture, always in the same way."""

F = TypeVar("F", bound=Callable[..., Any])

COMPARISONS = "comparison"


def whole_picture_options(command: F) -> F:
    """Add the arguments MODEL and IMAGE, and the options that both commands have."""
    for decorate in (
        device_option,
        max_pixels_option,
        click.option("--overwrite", is_flag=True, help="Replace existing pictures."),
        click.option(
            "--clean",
            type=click.Path(),
            metavar="FOLDER",
            help="Folder of clean pictures with the images' names: print PSNR and SSIM, and write "
            "side-by-sides.",
        ),
        click.option(
            "--out",
            required=True,
            type=click.Path(),
            metavar="DIR|FILE",
            help="Folder for the pictures; or a picture, for one image.",
        ),
        click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path()),
        click.argument("model"),
    ):
        command = decorate(command)
    return command


def restore(
    run: "PictureModel",
    name: str,
    images: tuple[str, ...],
    out: str,
    *,
    clean: str | None,
    overwrite: bool,
    max_pixels: int,
    plan: Mapping[str, Any],
    prepare: "Prepare" = lambda _name, picture: (picture.values, None),
    corrupt: "Corrupt | None" = None,
    compare_input: bool = False,
) -> None:
    """Apply a model to image files and folders, and print what was written.

    Args:
        run: the model.
        name: the MODEL argument that it was loaded from.
        images: the IMAGE arguments.
        out: a folder or a picture.
        clean: folder of clean pictures; None without.
        overwrite: replace existing pictures.
        max_pixels: image files with more pixels are skipped.
        plan: what the pictures depend on beside model and images.
        prepare: see `Prepare`.
        corrupt: what `prepare` does to the images; each picture is compared with its own image.
        compare_input: without `clean`, compare each picture with its own image.
    """
    from convae_zoo.cli.progress import stage_progress
    from convae_zoo.data.listing import find_images
    from convae_zoo.tasks.pictures import restore_files
    from convae_zoo.tasks.pictures.quality import quality, read_values
    from convae_zoo.weights.load import read_metadata

    files.check_output(out, [*model_files([name]), *images, *([clean] if clean else [])])
    if clean is not None and not Path(clean).is_dir():
        raise DataError(f"no folder of clean pictures at {clean}")
    weights = read_metadata(name)["sha256"]
    with stage_progress() as progress:
        done = restore_files(
            run,
            find_images(images),
            out,
            plan={"weights_sha256": weights, **plan},
            prepare=prepare,
            max_pixels=max_pixels,
            overwrite=overwrite,
            progress=progress,
        )
    for line in done.skipped:
        print_line(f"skipped: {line}", err=True)
    for each in done.written:
        notes = ""
        if corrupt is not None:
            original = read_values(each.source, max_pixels)
            before = corrupt(each.name, original)
            notes = _compare(each, Path(out), before, original, max_pixels)
        elif clean is not None:
            notes = _compare_with_file(each, Path(out), Path(clean), max_pixels)
        elif compare_input:
            ours, theirs = (read_values(p, max_pixels) for p in (each.path, each.source))
            notes = f"{quality(ours, theirs)} to its original"
        print_line(f"{each.path}  {notes}".rstrip())


def _compare_with_file(each: "Written", out: Path, clean: Path, max_pixels: int) -> str:
    """Compare a picture and its image with the clean one of its name."""
    from convae_zoo.tasks.pictures.quality import read_values

    path = clean / _place(each, out)
    if not path.is_file():
        return f"no clean picture at {path}"
    try:
        before, target = (read_values(p, max_pixels) for p in (each.source, path))
        return _compare(each, out, before, target, max_pixels)
    except DataError as error:
        return str(error)


def _compare(
    each: "Written", out: Path, before: "Tensor", target: "Tensor", max_pixels: int
) -> str:
    """Compare a picture and what it was made of with the clean one; draw the three side by side."""
    from convae_zoo.tasks.pictures.quality import quality, read_values, save_side_by_side

    after = read_values(each.path, max_pixels)
    found, was = quality(after, target), quality(before, target)
    folder = out if each.path != out else out.parent
    path = folder / COMPARISONS / _place(each, out).with_suffix(".png")
    save_side_by_side(path, [before, after, target])
    return f"{found} (before: {was})  {path}"


def _place(each: "Written", out: Path) -> Path:
    """Return where a picture lies in the folder of all."""
    return each.path.relative_to(out) if each.path != out else Path(each.source.name)
