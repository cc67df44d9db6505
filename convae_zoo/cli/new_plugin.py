"""``convae-zoo new-plugin``."""

import click

from convae_zoo.scaffold import DEFAULT_KINDS, KINDS_WITH_TEMPLATE, new_plugin


@click.command(name="new-plugin")
@click.argument("name")
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS_WITH_TEMPLATE),
    help="What the plugin registers; repeatable. By default an encoder, a decoder and a model.",
)
def command(name: str, folder: str, kinds: tuple[str, ...]) -> None:
    """Create a complete plugin package in DIR, to start from.

    NAME is the name of the distribution, of the plugin and of its entries. The package can be
    installed as it is; it then passes its own tests, and its model can be trained.

    \b
    Example: convae-zoo new-plugin tiny-ae tiny-ae --kind encoder --kind decoder
    """  # noqa: D301 - \b keeps click from wrapping
    for path in new_plugin(name, folder, kinds or DEFAULT_KINDS):
        click.echo(path)
    click.echo(
        f"install it with \"pip install -e '{folder}[test]'\", "
        f"then check it with 'convae-zoo verify --plugin {name}'"
    )
