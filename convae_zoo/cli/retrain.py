"""``convae-zoo retrain``."""

from typing import TYPE_CHECKING

import click

from convae_zoo.cli.options import data_options, device_option, json_option
from convae_zoo.cli.output import print_json, print_line, print_table
from convae_zoo.errors import UsageError

if TYPE_CHECKING:
    from convae_zoo.tasks.retrain import Comparison, Stored


@click.command(name="retrain")
@click.argument("name")
@data_options
@click.option("--out", type=click.Path(), help="Run folder; by default the run is not stored.")
@click.option("--resume", is_flag=True, help="Resume the run in --out.")
@click.option(
    "--store",
    "folder",
    type=click.Path(),
    metavar="FOLDER",
    help="Write the weights into this folder of a plugin's source.",
)
@device_option
@json_option
def command(
    *,
    name: str,
    data: str | None,
    download: bool,
    out: str | None,
    resume: bool,
    folder: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Retrain registered weights NAME (MODEL.TAG) and compare them with the stored ones.

    The recipe, the dataset and the seed are those registered for the weights. The exit status is 1
    if the MSE differs from the stored MSE by more than 1%.

    With --store, for maintainers of a plugin, the result replaces the stored weights: the file
    MODEL.TAG.safetensors, at most 16 MiB, and its entry in index.json are written to FOLDER, the
    folder "weights" of the plugin's package.

    \b
    Example: convae-zoo retrain convae-200.photos --out runs/retrained
    """  # noqa: D301 - \b keeps click from wrapping
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the run")

    from convae_zoo.registry.shipped_weights import open_folder
    from convae_zoo.tasks.retrain import check_reproduced, compare, retrain, store

    if folder is not None:  # fail before training starts
        open_folder(folder)
    retrained = retrain(name, out=out, resume=resume, data=data, download=download, device=device)
    rows = compare(retrained)
    stored = None if folder is None else store(retrained, folder)
    if as_json:
        print_json(
            {
                "name": name,
                "comparison": [row.to_json() for row in rows],
                "training": dict(retrained.training),
                "stored": None if stored is None else _document(stored),
            }
        )
    else:
        _print(name, rows, stored)
    if stored is None:
        check_reproduced(retrained)


def _document(stored: "Stored") -> dict[str, object]:
    return {
        "path": str(stored.path),
        "bytes": stored.bytes,
        "dtype": stored.dtype,
        "cost": stored.cost,
        "metrics": dict(stored.metrics),
    }


def _print(name: str, rows: "list[Comparison]", stored: "Stored | None") -> None:
    print_line(f"{name} retrained" + ("" if rows[0].stored else "; nothing is stored yet"))
    print_table(
        ("figure", "stored", "now", "ratio"),
        [[row.name, _number(row.stored), _number(row.now), _number(row.ratio)] for row in rows],
    )
    if stored is not None:
        click.echo(
            f"stored  {stored.path}: {stored.bytes / 2**20:.2f} MiB, {stored.dtype}, which costs "
            f"{stored.cost:.4%} of the mse"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"
