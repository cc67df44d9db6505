"""``convae-zoo export``."""

import click

from convae_zoo.cli.output import print_line
from convae_zoo.cli.outputs import claimed
from convae_zoo.export import FORMATS, PARTS


@click.command(name="export")
@click.argument("model")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="onnx", show_default=True)
@click.option("--part", type=click.Choice(PARTS), default="all", show_default=True)
@click.option("--out", required=True, type=click.Path(), help="The file to write.")
def command(model: str, format_: str, part: str, out: str) -> None:
    """Write a trained model, or one part of it, for use without the zoo.

    MODEL is a name as in MODEL.TAG, a .safetensors file or a run folder. The file takes batches of
    any size; it is run and compared with the model before it is put in place.

    \b
    Example: convae-zoo export runs/first --part encoder --out encoder.onnx
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.export.export import export_model
    from convae_zoo.weights.load import load_model

    with claimed(out, models=[model]):
        loaded = load_model(model)
        difference = export_model(loaded, out, format=format_, part=part)
    print_line(f"{out}  {part} of {loaded.name}, within {difference:.1g} of the model")
