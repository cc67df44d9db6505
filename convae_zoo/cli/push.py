"""``convae-zoo push``."""

import click

from convae_zoo.cli.options import json_option
from convae_zoo.cli.output import print_fields, print_json


@click.command(name="push")
@click.argument("file", type=click.Path())
@click.argument("repo")
@click.option("--private", is_flag=True, help="Make the repository private.")
@click.option("--revision", help="The branch; created if it does not exist.")
@json_option
def command(file: str, repo: str, *, private: bool, revision: str | None, as_json: bool) -> None:
    """Upload a weights FILE to REPO (org/name) on the Hugging Face Hub, with a model card.

    The repository is created if it does not exist; an existing README.md is kept. A login is
    required: 'hf auth login', or HF_TOKEN. The output is what a plugin's WeightsSpec needs.

    \b
    Example: convae-zoo push runs/faces/model.safetensors someone/convae-faces --private
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.weights.push import push

    commit, sha256 = push(file, repo, private=private, revision=revision)
    pushed = {"hub": repo, "revision": commit, "sha256": sha256}
    if as_json:
        print_json(pushed)
    else:
        print_fields(list(pushed.items()), indent=0)
