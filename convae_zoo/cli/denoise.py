"""``convae-zoo denoise``."""

from typing import TYPE_CHECKING

import click

from convae_zoo.cli.output import print_line
from convae_zoo.cli.picture_notes import compare_with_clean, compare_with_uncorrupted
from convae_zoo.cli.whole_pictures import restore, whole_picture_options
from convae_zoo.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from convae_zoo.data.whole import WholePicture


@click.command(name="denoise")
@whole_picture_options
@click.option(
    "--sigma",
    type=float,
    help="Standard deviation of the noise in units of 255, for models that take it and for noise "
    "without colour, as in grey pictures; by default estimated and printed for each picture.",
)
@click.option(
    "--corruption",
    metavar="EXPR",
    help="Corrupt the pictures first, as in 'gaussian(sigma=25)', and compare each result with its "
    "picture, as --clean does.",
)
def command(
    *,
    model: str,
    images: tuple[str, ...],
    out: str,
    sigma: float | None,
    clean: str | None,
    corruption: str | None,
    overwrite: bool,
    max_pixels: int,
    device: str,
) -> None:
    """Remove the noise of whole image files, or of the images of folders.

    MODEL is the name of trained weights, a .safetensors file or a run folder, trained with a
    corruption. Pictures keep their size, format and transparency. Files that cannot be read are
    skipped and reported. An interrupted command continues when it is run again.

    \b
    Example: convae-zoo denoise unet-denoiser.photographs my_images --out denoised
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.data.corrupt import Corruption
    from convae_zoo.runtime.device import choose_device
    from convae_zoo.tasks.pictures.apply import check_denoiser, check_sigma
    from convae_zoo.tasks.pictures.denoiser import Denoiser
    from convae_zoo.tasks.pictures.noise import estimate_sigma
    from convae_zoo.weights.load import load_model

    check_sigma(sigma)
    if clean is not None and corruption is not None:
        raise UsageError("--clean and --corruption exclude each other: --corruption compares too")
    noise = Corruption(corruption) if corruption is not None else None
    run = Denoiser(load_model(model, device=choose_device(device)))
    check_denoiser(run.model)

    def corrupt(name: str, values: "Tensor") -> "Tensor":
        return values if noise is None else noise.fixed(values[None], [name]).images[0]

    def prepare(name: str, picture: "WholePicture") -> "tuple[Tensor, float | None]":
        values = corrupt(name, picture.values)
        if sigma is not None or not run.needs_sigma(values):
            return values, sigma
        found = estimate_sigma(values)
        print_line(f"{name}: estimated sigma {found:.1f}")
        return values, found

    note = None
    if clean is not None:
        note = compare_with_clean(clean, out, model, max_pixels)
    elif noise is not None:
        note = compare_with_uncorrupted(corrupt, model, max_pixels)
    restore(
        run,
        model,
        images,
        out,
        overwrite=overwrite,
        max_pixels=max_pixels,
        plan={"task": "denoise", "sigma": sigma, "corruption": corruption},
        prepare=prepare,
        note=note,
        side_by_side=note is not None,
        also_read=() if clean is None else (clean,),
    )
