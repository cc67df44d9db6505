"""``convae-zoo gallery``."""

from pathlib import Path

import click

from convae_zoo.cli.options import device_option, overwrite_option
from convae_zoo.cli.outputs import claimed


@click.command(name="gallery")
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--out", required=True, metavar="FOLDER", help="Folder for the page.")
@overwrite_option
@click.option(
    "--measure/--no-measure",
    default=True,
    show_default=True,
    help="Measure the leaderboards, or take the figures that the weights' cards state.",
)
@device_option
def command(
    *, images: tuple[str, ...], out: str, overwrite: bool, measure: bool, device: str
) -> None:
    """Write a page that shows every installed model at work.

    One HTML file without any external address: pictures through all trained models side by side,
    leaderboards next to PCA, a map of latents, samples, all models and plugins. IMAGE is a picture
    to show; by default photographs that come with scikit-image.

    \b
    Example: convae-zoo gallery --out gallery
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.runtime.progress import stage_progress
    from convae_zoo.tasks.gallery import PAGE, Settings, build_gallery, write_gallery

    settings = Settings(pictures=images, measure=measure, device=device)
    with claimed(str(Path(out) / PAGE), images=images, overwrite=overwrite):
        with stage_progress() as progress:
            gallery = build_gallery(settings, progress)
        path = write_gallery(out, gallery)
    for line in gallery.left_out:
        click.echo(f"left out  {line}", err=True)
    click.echo(f"page  {path}")
