"""What ``reconstruct`` and ``denoise`` have in common: image files of any size, in and out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from convae_zoo import files
from convae_zoo.cli.options import device_option, max_pixels_option, overwrite_option
from convae_zoo.cli.output import print_line
from convae_zoo.cli.outputs import model_files
from convae_zoo.cli.picture_notes import Note
from convae_zoo.cli.side_by_sides import check_side_by_sides, side_by_side_paths

if TYPE_CHECKING:
    from convae_zoo.tasks.pictures.files import Prepare
    from convae_zoo.tasks.pictures.picture_model import PictureModel

F = TypeVar("F", bound=Callable[..., Any])


def whole_picture_options(command: F) -> F:
    """Add the arguments MODEL and IMAGE, and the options that both commands have."""
    for decorate in (
        device_option,
        max_pixels_option,
        overwrite_option,
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
    overwrite: bool,
    max_pixels: int,
    plan: Mapping[str, Any],
    prepare: "Prepare" = lambda _name, picture: (picture.values, None),
    note: Note | None = None,
    side_by_side: bool = False,
    also_read: tuple[str, ...] = (),
) -> None:
    """Apply a model to image files and folders, and print what was written.

    Args:
        run: the model.
        name: the MODEL argument that it was loaded from.
        images: the IMAGE arguments.
        out: a folder or a picture.
        overwrite: replace existing pictures.
        max_pixels: image files with more pixels are skipped.
        plan: what the pictures depend on beside model and images.
        prepare: see `Prepare`.
        note: see `Note`.
        side_by_side: whether the note draws a side-by-side of each picture.
        also_read: further files and folders that must not be written to.
    """
    from convae_zoo.data.listing import find_images
    from convae_zoo.runtime.progress import stage_progress
    from convae_zoo.tasks.pictures import restore_files
    from convae_zoo.tasks.pictures.files import output_paths
    from convae_zoo.weights.load import read_metadata

    inputs: list[str | Path] = [*model_files([name]), *images, *also_read]
    files.check_output(out, inputs)
    found = find_images(images)
    drawn = side_by_side_paths(output_paths(found, Path(out)), Path(out))
    if side_by_side:
        check_side_by_sides(drawn, inputs, overwrite=overwrite)
    weights = read_metadata(name)["sha256"]
    with stage_progress() as progress:
        done = restore_files(
            run,
            found,
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
        print_line(f"{each.path}  {note(each, drawn[each.path])}" if note else f"{each.path}")
