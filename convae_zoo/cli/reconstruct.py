"""``convae-zoo reconstruct``."""

import click

from convae_zoo.cli.picture_notes import (
    compare_with_clean,
    compare_with_original,
    compare_with_pca,
)
from convae_zoo.cli.whole_pictures import restore, whole_picture_options
from convae_zoo.errors import UsageError


@click.command(name="reconstruct")
@whole_picture_options
@click.option(
    "--pca",
    metavar="DATASET",
    help="Compare with PCA of as many numbers as the latent, fitted on this dataset: print the "
    "PSNR and SSIM of both, and write side-by-sides.",
)
def command(
    *,
    model: str,
    images: tuple[str, ...],
    out: str,
    clean: str | None,
    pca: str | None,
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

    if clean is not None and pca is not None:
        raise UsageError("--pca compares pictures with their originals; leave out --clean")
    loaded = load_model(model, device=choose_device(device))
    if clean is not None:
        note = compare_with_clean(clean, out, model, max_pixels)
    elif pca is not None:
        note = compare_with_pca(loaded, pca, model, max_pixels)
    else:
        note = compare_with_original(max_pixels)
    restore(
        PictureModel(loaded),
        model,
        images,
        out,
        overwrite=overwrite,
        max_pixels=max_pixels,
        plan={"task": "reconstruct"},
        note=note,
        side_by_side=clean is not None or pca is not None,
        also_read=() if clean is None else (clean,),
    )
