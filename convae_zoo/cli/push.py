"""``convae-zoo push``."""

import json

import click


@click.command(name="push")
@click.argument("file", type=click.Path())
@click.argument("repo")
@click.option("--private", is_flag=True, help="Make the repository private.")
@click.option("--revision", help="The branch; made where there is none.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(file: str, repo: str, *, private: bool, revision: str | None, as_json: bool) -> None:
    """Upload a weights FILE to REPO (org/name) on the Hugging Face Hub, with a model card.

    The repository is made where there is none; a README.md that is there stays. Needs a login:
    'hf auth login', or HF_TOKEN. Prints what a plugin's WeightsSpec names.

    \b
    Example: convae-zoo push runs/faces/model.safetensors someone/convae-faces --private
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.remote.hub import push

    commit, sha256 = push(file, repo, private=private, revision=revision)
    pushed = {"hub": repo, "revision": commit, "sha256": sha256}
    if as_json:
        click.echo(json.dumps(pushed))
    else:
        click.echo("\n".join(f"{key:8}  {value}" for key, value in pushed.items()))
