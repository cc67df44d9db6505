"""``convae-zoo encode``."""

import click

from convae_zoo import files
from convae_zoo.cli.options import device_option, max_pixels_option, overwrite_option
from convae_zoo.cli.output import print_line
from convae_zoo.cli.outputs import model_files


@click.command(name="encode")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="The latents file to write.")
@overwrite_option
@click.option(
    "--dtype",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "fp32", "fp16"]),
    help="Storage of latents; auto stores discrete latents as codes and others as fp32.",
)
@max_pixels_option
@device_option
def command(
    *,
    model: str,
    images: tuple[str, ...],
    out: str,
    overwrite: bool,
    dtype: str,
    max_pixels: int,
    device: str,
) -> None:
    """Encode image files, or the images of folders, into one file of latents.

    Files that cannot be read are skipped and reported. An interrupted command resumes when it is
    run again. Under torchrun the processes share the work.

    \b
    Example: convae-zoo encode runs/first my_images --out latents.safetensors
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.data.listing import find_images
    from convae_zoo.runtime.device import choose_device
    from convae_zoo.runtime.distributed import join_world
    from convae_zoo.runtime.progress import image_progress
    from convae_zoo.tasks.compress import encode_files
    from convae_zoo.weights.load import load_model, read_metadata

    files.check_output(out, model_files([model]))
    found = find_images(images)
    with join_world(choose_device(device)) as (world, chosen):
        trained = load_model(model, device=chosen)
        shard = len(found) if world.size == 1 else -(-len(found) // world.size)
        with image_progress("encode", shard, enabled=world.is_main) as advance:
            encoded = encode_files(
                trained,
                found,
                out,
                weights=read_metadata(model)["sha256"],
                dtype=dtype,
                max_pixels=max_pixels,
                overwrite=overwrite,
                world=world,
                progress=advance,
            )
    if world.is_main:
        for line in encoded.skipped:
            print_line(f"skipped: {line}", err=True)
        skipped = f", {len(encoded.skipped):,} skipped" if encoded.skipped else ""
        print_line(f"{encoded.count:,} latents{skipped}  {out}")
