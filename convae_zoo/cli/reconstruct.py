"""``convae-zoo reconstruct``."""

from pathlib import Path

import click

from convae_zoo.cli.options import device_option, max_pixels_option
from convae_zoo.cli.outputs import claimed


@click.command(name="reconstruct")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", required=True, metavar="FILE", help="The picture to write, a PNG file.")
@max_pixels_option
@device_option
def command(*, model: str, images: tuple[str, ...], out: str, max_pixels: int, device: str) -> None:
    """Plot image files with MODEL's reconstructions below them.

    MODEL is the name of trained weights, a .safetensors file or a run folder. The images, of any
    size and mode, are fitted to the model. Missing folders of the picture are created.

    \b
    Example: convae-zoo reconstruct runs/first cat.jpg dog.png --out grid.png
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo import visuals
    from convae_zoo.data import pixels
    from convae_zoo.registry.specs import shape_text
    from convae_zoo.runtime.device import choose_device
    from convae_zoo.tasks.reconstruct import reconstruct
    from convae_zoo.weights.load import load_model

    visuals.check_picture_path(out)
    paths = [Path(image) for image in images]
    with claimed(out, models=[model], images=paths):
        trained = load_model(model, device=choose_device(device))
        originals = pixels.load_pictures(paths, trained.image_shape, max_pixels=max_pixels)
        visuals.save_grid(
            out,
            originals,
            reconstruct(trained, originals),
            names=[path.name for path in paths],
            title=f"{trained.name}: images of {shape_text(trained.image_shape)} through a latent "
            f"of {shape_text(trained.latent_shape)}",
        )
    click.echo(f"picture  {out}")
