"""``convae-zoo decode``."""

import click

from convae_zoo.cli.options import device_option


@click.command(name="decode")
@click.argument("model")
@click.argument("latents", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder for the images.")
@click.option("--overwrite", is_flag=True, help="Replace files from other sources.")
@device_option
def command(*, model: str, latents: str, out: str, overwrite: bool, device: str) -> None:
    """Decode a file of latents into PNG files, with the model that encoded it.

    Each has the name of its image with .png behind it, as in cat.jpg.png.

    Pictures already decoded from the same latents are kept, so an interrupted command resumes when
    it is run again. A file of another origin in the place of a picture is an error, or is replaced
    with --overwrite.

    \b
    Example: convae-zoo decode runs/first latents.safetensors --out decoded
    """  # noqa: D301 - \b keeps click from wrapping
    from pathlib import Path

    from convae_zoo.runtime.device import choose_device
    from convae_zoo.runtime.progress import image_progress
    from convae_zoo.tasks.compress import decode_file
    from convae_zoo.tasks.compress.latents import count_latents
    from convae_zoo.weights.load import load_model, read_metadata

    trained = load_model(model, device=choose_device(device))
    with image_progress("decode", count_latents(Path(latents))) as advance:
        count = decode_file(
            trained,
            latents,
            out,
            weights=read_metadata(model)["sha256"],
            overwrite=overwrite,
            progress=advance,
        )
    click.echo(f"{count:,} images  {out}")
