"""``convae-zoo reconstruct``."""

import click

from convae_zoo.cli.whole_pictures import restore, whole_picture_options


@click.command(name="reconstruct")
@whole_picture_options
def command(
    *,
    model: str,
    images: tuple[str, ...],
    out: str,
    clean: str | None,
    overwrite: bool,
    max_pixels: int,
    device: str,
) -> None:
    """Reconstruct whole image files, or the images of folders, at their own size.

    MODEL is the name of trained weights, a .safetensors file or a run folder. Pictures keep their
    size, format and transparency. Each is printed with its PSNR and SSIM to its original, or to the
    clean picture with --clean. Files that cannot be read are skipped and reported. An interrupted
    command continues when it is run again.

    \b
    Example: convae-zoo reconstruct runs/first cat.jpg dog.png --out reconstructed
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.runtime.device import choose_device
    from convae_zoo.tasks.pictures import PictureModel
    from convae_zoo.weights.load import load_model

    restore(
        PictureModel(load_model(model, device=choose_device(device))),
        model,
        images,
        out,
        clean=clean,
        overwrite=overwrite,
        max_pixels=max_pixels,
        plan={"task": "reconstruct"},
        compare_input=True,
    )
