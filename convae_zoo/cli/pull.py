"""``convae-zoo pull``."""

import shutil

import click

from convae_zoo.cli.options import json_option, overwrite_option
from convae_zoo.cli.output import print_fields, print_json
from convae_zoo.cli.outputs import claimed


@click.command(name="pull")
@click.argument("name")
@click.option("--revision", help="Branch, tag or commit of a repository.")
@click.option("--out", type=click.Path(), help="Also copy the file to this path.")
@overwrite_option
@json_option
def command(
    name: str, revision: str | None, out: str | None, *, overwrite: bool, as_json: bool
) -> None:
    """Download weights, check them, and print their path and sha256.

    NAME is the name of trained weights, or a repository on the Hugging Face Hub: org/name, or
    org/name/file.safetensors. A cached file is not downloaded again.

    \b
    Example: convae-zoo pull convae-200.photos
    Example: convae-zoo pull someone/convae-faces --out faces.safetensors
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.files import atomic_path
    from convae_zoo.weights.download.cache import digest
    from convae_zoo.weights.pull import pull

    with claimed(out, overwrite=overwrite):
        path = pull(name, revision=revision)
        if out is not None:
            with atomic_path(out) as temporary:
                shutil.copyfile(path, temporary)
    found = {"path": out or str(path), "sha256": digest(path)}
    if as_json:
        print_json(found)
    else:
        print_fields(list(found.items()), indent=0)
