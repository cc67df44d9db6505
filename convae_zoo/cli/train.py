"""``convae-zoo train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from convae_zoo.cli.options import (
    dataset_options,
    device_option,
    model_settings_option,
    read_settings,
    recipe_option,
)
from convae_zoo.errors import TrainingError
from convae_zoo.registry import fields
from convae_zoo.registry.specs import Recipe

if TYPE_CHECKING:
    from convae_zoo.runs.run_folder import RunFolder

F = TypeVar("F")


def recipe_options(command: F) -> F:
    """Add an option for each field of `Recipe`, with the field's own help."""
    for field in reversed(attrs.fields(Recipe)):
        name = field.name.replace("_", "-")
        flags = f"--{name}/--no-{name}" if field.type is bool else f"--{name}"
        text, accepted = fields.help_of(field), fields.accepted(field)
        if field.type in {int, float}:
            text = f"{text.removesuffix('.')}; {accepted}."
        option = click.option(flags, type=field.type, default=None, help=text)
        command = option(command)  # type: ignore[type-var]  # click types what it decorates loosely
    return command


@click.command(name="train")
@click.argument("model")
@dataset_options
@click.option("--out", required=True, type=click.Path(), help="Folder for the run.")
@click.option("--resume", is_flag=True, help="Resume the run in the folder.")
@click.option(
    "--checkpoint-every",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Steps between checkpoints.",
)
@click.option("--overwrite", is_flag=True, help="Replace the run in the folder.")
@click.option("--fresh", is_flag=True, help="Start from fresh weights instead of MODEL's.")
@recipe_option
@recipe_options
@device_option
@model_settings_option
def command(settings: tuple[str, ...], out: str, **options: Any) -> None:
    """Train MODEL with its recipe; options override the recipe's fields.

    MODEL is a model's name or ENCODER+DECODER, to start from fresh weights; or trained weights to
    start from: NAME.TAG, a run folder or a .safetensors file.

    \b
    Example: convae-zoo train convae-200 --dataset photos --epochs 3 --out runs/first
    """  # noqa: D301 - \b keeps click from wrapping
    overrides = read_settings(settings)

    from convae_zoo.runs.run_folder import RunFolder
    from convae_zoo.runtime.distributed import is_main_process
    from convae_zoo.training import train

    folder = RunFolder(Path(out))
    try:
        train(options.pop("model"), out=out, overrides=overrides, progress=True, **options)
    except KeyboardInterrupt:
        raise TrainingError(f"interrupted; {what_is_kept(folder)}") from None
    except TrainingError as error:
        raise TrainingError(f"{error}; {what_is_kept(folder)}") from error
    if is_main_process():
        click.echo(f"model     {folder.model}")
        if folder.best.exists():  # or the best epoch is one of an earlier release
            click.echo(f"best      {folder.best}  ({_best_epoch(folder)})")
        click.echo(f"pictures  {folder.pictures}")
        click.echo(f"curves    {folder.curves}")
        click.echo(f"history   {folder.history}")


def _best_epoch(folder: "RunFolder") -> str:
    from convae_zoo.runs.history import read_history

    epochs = read_history(folder.history).epochs
    best = min(epochs, key=lambda epoch: epoch.val_loss)
    return f"epoch {best.epoch} of {len(epochs)}, validation loss {best.val_loss:.5f}"


def what_is_kept(folder: "RunFolder") -> str:
    """Describe which epoch of a run is kept, and how to continue the run."""
    try:
        done = folder.read().epochs_done
    except TrainingError:
        return "nothing was trained"
    kept = f"epoch {done} is kept in {folder.model}" if done else "no epoch was finished"
    return f"{kept}; --resume continues"
