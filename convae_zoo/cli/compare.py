"""``convae-zoo compare``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convae_zoo.cli.options import dataset_options, device_option, overwrite_option
from convae_zoo.cli.outputs import claimed

if TYPE_CHECKING:
    from convae_zoo.models.autoencoder import Autoencoder


@click.command(name="compare")
@click.argument("models", nargs=-1, required=True, metavar="RUN_OR_MODEL...")
@dataset_options
@click.option("--split", help="The split of the images; by default the validation split.")
@click.option(
    "--images",
    "count",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Number of images; one per class first.",
)
@click.option("--last", is_flag=True, help="Leave out the first epochs of the runs.")
@click.option("--out", required=True, metavar="FILE", help="The picture to write, a PNG file.")
@overwrite_option
@device_option
def command(
    *,
    models: tuple[str, ...],
    dataset: str,
    data: str | None,
    download: bool,
    split: str | None,
    count: int,
    last: bool,
    out: str,
    overwrite: bool,
    device: str,
) -> None:
    """Plot several models' reconstructions of the same images, one row per model.

    A run folder has two rows, for its first and its last epoch; a .safetensors file or the name of
    trained weights has one. Missing folders of the picture are created.

    Each row is labelled with its MSE, PSNR, SSIM and sharpness: the edge strength divided by that
    of the originals, below 1 for blurred images.

    \b
    Example: convae-zoo compare runs/200 runs/1000 --dataset photos --out compare.png
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo import visuals
    from convae_zoo.data.load import dataset_for
    from convae_zoo.models.autoencoder import common_image_shape
    from convae_zoo.runtime.device import choose_device
    from convae_zoo.tasks.batches import reconstruct_batches
    from convae_zoo.weights.load import load_model

    visuals.check_picture_path(out)
    with claimed(out, models=models, data=data, overwrite=overwrite):
        device_chosen = choose_device(device)
        stored = [entry for argument in models for entry in _stored(argument, last=last)]
        loaded = [load_model(source, device=device_chosen) for source, _, _ in stored]
        shape = common_image_shape((model.name, model) for model in loaded)
        images = dataset_for(dataset, split, shape, data=data, download=download)
        chosen = images.exemplars(count).tolist()
        originals = images.images[chosen]
        visuals.save_comparison(
            out,
            originals,
            [
                (_label(name, epoch, model), reconstruct_batches(model, originals))
                for (_, name, epoch), model in zip(stored, loaded, strict=True)
            ],
            names=[images.label_name(index) for index in chosen],
            title=f"The same images of {images.name}, split {images.split}, through each model",
        )
    click.echo(f"picture  {out}")


def _stored(argument: str, *, last: bool) -> list[tuple[str | Path, str, str]]:
    """List the weights that an argument names: the source, name and epoch of each."""
    from convae_zoo.runs.run_folder import RunFolder

    path = Path(argument)
    if not path.is_dir():
        return [(argument, path.name if path.is_file() else argument, "")]
    run, name = RunFolder(path), path.resolve().name
    record = run.read()
    loss, done = record.recipe.loss, record.epochs_done
    newest = (path, name, f"epoch {done} of {loss}")
    if done > 1 and run.first_epoch.exists() and not last:
        return [(run.first_epoch, name, f"epoch 1 of {loss}"), newest]
    return [newest]


def _label(name: str, epoch: str, model: "Autoencoder") -> str:
    from convae_zoo.registry.specs import shape_text

    details = ", ".join(t for t in ("" if model.name == name else model.name, epoch) if t)
    latent = f"bottleneck {shape_text(model.latent_shape)}"
    return "\n".join(line for line in (name, details, latent) if line)
