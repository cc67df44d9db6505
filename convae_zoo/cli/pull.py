"""``convae-zoo pull``."""

import json
import shutil

import click


@click.command(name="pull")
@click.argument("name")
@click.option("--revision", help="Branch, tag or commit of a repository.")
@click.option("--out", type=click.Path(), help="Also write the file here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, revision: str | None, out: str | None, *, as_json: bool) -> None:
    """Fetch weights, check them, and print where they are and their sha256.

    NAME is the name of trained weights, or a repository on the Hugging Face Hub: org/name, or
    org/name/file.safetensors. What is in the cache already is not fetched again.

    \b
    Example: convae-zoo pull convae-200.photos
    Example: convae-zoo pull someone/convae-faces --out faces.safetensors
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.files import atomic_path
    from convae_zoo.remote.cache import digest
    from convae_zoo.remote.pull import pull

    path = pull(name, revision=revision)
    if out is not None:
        with atomic_path(out) as temporary:
            shutil.copyfile(path, temporary)
    found = {"path": out or str(path), "sha256": digest(path)}
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo(f"path    {found['path']}\nsha256  {found['sha256']}")
