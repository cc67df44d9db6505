"""``convae-zoo train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convae_zoo.cli.options import dataset_options, device_option, read_settings
from convae_zoo.errors import TrainingError

if TYPE_CHECKING:
    from convae_zoo.training.run_folder import RunFolder


@click.command(name="train")
@click.argument("model")
@dataset_options
@click.option("--out", required=True, type=click.Path(), help="Folder for the run.")
@click.option("--resume", is_flag=True, help="Go on with the run that is in the folder.")
@click.option("--checkpoint-every", type=int, default=1000, show_default=True, help="In steps.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is in the folder.")
@click.option("--epochs", type=int, help="Passes over the train split.")
@click.option("--batch-size", type=int, help="Images an optimiser step.")
@click.option("--learning-rate", type=float, help="Of the optimiser.")
@click.option("--schedule", help="constant or cosine.")
@click.option("--warmup-steps", type=int, help="Steps over which the rate rises.")
@click.option("--optimizer", help="adam, adamw or sgd.")
@click.option("--loss", help="A loss, or a sum such as '0.8*l1 + 0.2*ssim(window=7)'.")
@click.option("--shuffle/--no-shuffle", default=None, help="A fresh order an epoch.")
@click.option("--augment", help="none, flip or dihedral: training images mirrored and turned.")
@click.option("--precision", help="auto (the fastest), fp32 (a plain loop's) or bf16.")
@device_option
@click.option("--seed", type=int, help="Of the start weights and the order.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Set a config value of the model.",
)
def command(settings: tuple[str, ...], out: str, **options: Any) -> None:
    """Train MODEL with its recipe, changed by the options.

    MODEL is a model's name, or ENCODER+DECODER.

    \b
    Example: convae-zoo train convae-200 --dataset photos --epochs 3 --out runs/first
    """  # noqa: D301 - \b keeps click from wrapping
    overrides = read_settings(settings)

    from convae_zoo.runtime.distributed import speaks
    from convae_zoo.training import train
    from convae_zoo.training.run_folder import RunFolder

    folder = RunFolder(Path(out))
    try:
        train(options.pop("model"), out=out, overrides=overrides, progress=True, **options)
    except KeyboardInterrupt:
        raise TrainingError(f"interrupted; {what_is_kept(folder)}") from None
    except TrainingError as error:
        raise TrainingError(f"{error}; {what_is_kept(folder)}") from error
    if speaks():
        click.echo(f"model     {folder.model}")
        click.echo(f"pictures  {folder.pictures}")
        click.echo(f"curves    {folder.curves}")
        click.echo(f"history   {folder.history}")


def what_is_kept(folder: "RunFolder") -> str:
    """Say where the last finished epoch of a run is, and that the run can go on."""
    done = folder.read()["epochs_done"] if folder.record.exists() else 0
    kept = f"epoch {done} is kept in {folder.model}" if done else "no epoch was finished"
    return f"{kept}; --resume goes on"
