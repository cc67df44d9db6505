"""``convae-zoo app``."""

import click

from convae_zoo.cli.options import device_option
from convae_zoo.cli.output import print_line


@click.command(name="app")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 lets other machines in.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7860,
    show_default=True,
    help="Port to listen on; 0 for any that is free.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=2**24,
    show_default="16,777,216, 4096×4096",
    help="Refuse pictures with more pixels.",
)
@device_option
def command(*, models: tuple[str, ...], host: str, port: int, max_pixels: int, device: str) -> None:
    """Serve a page that runs your own pictures through every installed model.

    Reconstruct, compress, denoise, detect and sample, in a browser. MODEL is a run folder or a
    .safetensors file to offer, too. The page is for this machine only unless --host says otherwise,
    and needs no network. Needs the extra: pip install 'convae-zoo[app]'.

    \b
    Example: convae-zoo app runs/first
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.app.models import load_models
    from convae_zoo.app.server import create_server
    from convae_zoo.runtime.progress import stage_progress

    with stage_progress() as progress:
        loaded = load_models(models, device, progress)
    for line in loaded.left_out:
        print_line(f"left out  {line}", err=True)
    with create_server(loaded, host=host, port=port, max_pixels=max_pixels) as server:
        print_line(f"page  {server.url}  (Ctrl-C ends it)")
        server.run()
