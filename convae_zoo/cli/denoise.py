"""``convae-zoo denoise``."""

from typing import TYPE_CHECKING

import click

from convae_zoo.cli.output import print_line
from convae_zoo.cli.whole_pictures import restore, whole_picture_options

if TYPE_CHECKING:
    from convae_zoo.data.whole import WholePicture


@click.command(name="denoise")
@whole_picture_options
@click.option(
    "--sigma",
    type=float,
    help="Standard deviation of the noise in units of 255, for models that take it; by default "
    "estimated and printed for each picture.",
)
def command(
    *,
    model: str,
    images: tuple[str, ...],
    out: str,
    sigma: float | None,
    clean: str | None,
    overwrite: bool,
    max_pixels: int,
    device: str,
) -> None:
    """Remove the noise of whole image files, or of the images of folders.

    MODEL is the name of trained weights, a .safetensors file or a run folder, trained with a
    corruption. Pictures keep their size, format and transparency. Files that cannot be read are
    skipped and reported. An interrupted command goes on when it is run again.

    \b
    Example: convae-zoo denoise runs/denoiser my_images --out denoised
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.runtime.device import choose_device
    from convae_zoo.tasks.pictures.apply import check_denoiser, check_sigma, sigma_for
    from convae_zoo.weights.load import load_model

    check_sigma(sigma)
    trained = load_model(model, device=choose_device(device))
    check_denoiser(trained, sigma)

    def sigma_of(name: str, picture: "WholePicture") -> float | None:
        found = sigma_for(trained, picture, sigma)
        if found is not None and sigma is None:
            print_line(f"{name}: estimated sigma {found:.1f}")
        return found

    restore(
        trained,
        model,
        images,
        out,
        clean=clean,
        overwrite=overwrite,
        max_pixels=max_pixels,
        plan={"task": "denoise", "sigma": sigma},
        sigma_of=sigma_of,
    )
