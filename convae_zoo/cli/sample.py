"""``convae-zoo sample``."""

import click

from convae_zoo.cli.options import device_option, overwrite_option
from convae_zoo.cli.outputs import claimed


@click.command(name="sample")
@click.argument("model")
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=16,
    show_default=True,
    help="Number of images.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    help="Seed of the random latents.",
)
@click.option("--out", required=True, metavar="FILE", help="The picture to write, a PNG file.")
@overwrite_option
@device_option
def command(*, model: str, count: int, seed: int, out: str, overwrite: bool, device: str) -> None:
    """Sample new images from MODEL: sample latents from its prior and decode them.

    MODEL is the name of trained weights, a .safetensors file or a run folder. Its encoder must have
    a prior, as a variational encoder does. Missing folders of the picture are created.

    \b
    Example: convae-zoo sample runs/variational --count 16 --out samples.png
    """  # noqa: D301 - \b keeps click from wrapping
    import torch

    from convae_zoo import visuals
    from convae_zoo.runtime.device import choose_device
    from convae_zoo.weights.load import load_model

    visuals.check_picture_path(out)
    with claimed(out, models=[model], overwrite=overwrite):
        trained = load_model(model, device=choose_device(device))
        generator = torch.Generator(trained.device).manual_seed(seed)
        images = trained.postprocess(trained.sample(count, generator=generator))
        visuals.save_images(out, images, title=f"{trained.name}: {count} samples, seed {seed}")
    click.echo(f"picture  {out}")
