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
    from convae_zoo.models.autoencoder import Autoencoder
    from convae_zoo.tasks.pictures.files import Restored, SigmaOf, Written

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
    model: "Autoencoder",
    name: str,
    images: tuple[str, ...],
    out: str,
    *,
    clean: str | None,
    overwrite: bool,
    max_pixels: int,
    plan: Mapping[str, Any],
    sigma_of: "SigmaOf" = lambda _name, _picture: None,
    compare_input: bool = False,
) -> None:
    """Apply a model to image files and folders, and print what was written.

    Args:
        model: the model.
        name: the MODEL argument that it was loaded from.
        images: the IMAGE arguments.
        out: a folder or a picture.
        clean: folder of clean pictures; None without.
        overwrite: replace existing pictures.
        max_pixels: image files with more pixels are skipped.
        plan: what the pictures depend on beside model and images.
        sigma_of: see `SigmaOf`.
        compare_input: without `clean`, compare each picture with its own image.
    """
    from convae_zoo.cli.progress import stage_progress
    from convae_zoo.data.listing import find_images
    from convae_zoo.tasks.pictures import PictureModel, restore_files
    from convae_zoo.weights.load import read_metadata

    files.check_output(out, [*model_files([name]), *images, *([clean] if clean else [])])
    if clean is not None and not Path(clean).is_dir():
        raise DataError(f"no folder of clean pictures at {clean}")
    weights = read_metadata(name)["sha256"]
    with stage_progress() as progress:
        done = restore_files(
            PictureModel(model),
            find_images(images),
            out,
            plan={"weights_sha256": weights, **plan},
            sigma_of=sigma_of,
            max_pixels=max_pixels,
            overwrite=overwrite,
            progress=progress,
        )
    _print(done, Path(out), clean, max_pixels, compare_input=compare_input)


def _print(
    done: "Restored", out: Path, clean: str | None, max_pixels: int, *, compare_input: bool
) -> None:
    for line in done.skipped:
        print_line(f"skipped: {line}", err=True)
    for each in done.written:
        notes = ""
        if clean is not None:
            notes = _compare(each, out, Path(clean), max_pixels)
        elif compare_input:
            from convae_zoo.tasks.pictures.quality import quality, read_values

            ours, theirs = (read_values(p, max_pixels) for p in (each.path, each.source))
            notes = f"  {quality(ours, theirs)} to its original"
        print_line(f"{each.path}{notes}")


def _compare(each: "Written", out: Path, clean: Path, max_pixels: int) -> str:
    """Compare a picture and its image with the clean one, and write the three side by side."""
    from convae_zoo.tasks.pictures.quality import quality, read_values, save_side_by_side

    place = each.path.relative_to(out) if each.path != out else Path(each.source.name)
    original = clean / place
    if not original.is_file():
        return f"  no clean picture at {original}"
    target, before, after = (read_values(p, max_pixels) for p in (original, each.source, each.path))
    try:
        found, was = quality(after, target), quality(before, target)
    except DataError as error:
        return f"  {error}"
    folder = out if each.path != out else out.parent
    path = folder / COMPARISONS / place.with_suffix(".png")
    save_side_by_side(path, [before, after, target])
    return f"  {found} (before: {was})  {path}"
