"""``convae-zoo export``."""

from pathlib import Path

import click

from convae_zoo.cli.options import overwrite_option
from convae_zoo.cli.output import print_line
from convae_zoo.cli.outputs import claimed
from convae_zoo.errors import UsageError
from convae_zoo.export import FORMATS, PARTS
from convae_zoo.files import is_path


@click.command(name="export")
@click.argument("model")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="onnx",
    show_default=True,
    help="Format of the file.",
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    default="all",
    show_default=True,
    help="The part of the model to export.",
)
@click.option(
    "--size", metavar="HxW", help="Size of the pictures, for a detector that scores by tiles."
)
@click.option("--out", required=True, type=click.Path(), help="The file to write.")
@overwrite_option
def command(
    *, model: str, format_: str, part: str, size: str | None, out: str, overwrite: bool
) -> None:
    """Write a trained model, one part of it, or a detector for use without the zoo.

    MODEL is a name as in MODEL.TAG, a .safetensors file or a run folder. The file takes batches of
    any size; it is run and compared with the model before it is put in place.

    A detector becomes an ONNX model from uint8 images N×C×H×W to score and map; the threshold is
    metadata.

    \b
    Example: convae-zoo export runs/first --part encoder --out encoder.onnx
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.export.export import export_model
    from convae_zoo.weights.load import load_model

    with claimed(out, models=[model], overwrite=overwrite):
        if _is_detector(model):
            if format_ != "onnx" or part != "all":
                raise UsageError("a detector is exported whole, to ONNX")
            _export_detector(model, out, size)
            return
        if size is not None:
            raise UsageError("--size goes with a detector that scores pictures by tiles")
        loaded = load_model(model)
        difference = export_model(loaded, out, format=format_, part=part)
    print_line(f"{out}  {part} of {loaded.name}, within {difference:.1g} of the model")


def _is_detector(model: str) -> bool:
    from convae_zoo.weights.load import read_metadata

    return is_path(model) and Path(model).is_file() and "kind" in read_metadata(model)


def _export_detector(path: str, out: str, size: str | None) -> None:
    from convae_zoo.export.detector import export_detector
    from convae_zoo.tasks.detect import AnomalyDetector

    detector = AnomalyDetector.load(path, device="cpu")
    difference = export_detector(detector, out, size=None if size is None else _size(size))
    print_line(
        f"{out}  detector with score {detector.score}, within {difference:.1g} of Python's; "
        f"threshold {detector.threshold_:.4g}"
    )


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().replace("×", "x").partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise UsageError(f"--size takes HxW, such as 480x640, got {text!r:.40}")
    return int(height), int(width)
