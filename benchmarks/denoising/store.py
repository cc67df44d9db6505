"""Store a trained denoiser with its card: ``python -m benchmarks.denoising.store --help``."""

import hashlib
import json
import tempfile
from pathlib import Path

import click

import convae_zoo as zoo
from benchmarks.denoising.train import MODEL
from convae_zoo.files import write_bytes
from convae_zoo.registry import find_model
from convae_zoo.registry.shipped_weights import replacing

TAG = "photographs"
LICENSES = (
    "plasma-workspace-wallpapers LGPL-3, CC-BY-SA-4.0; gcompris-qt-data GPL-3+, CC-BY, CC-BY-SA, "
    "public domain; kphotoalbum GPL-2+; scikit-image and scikit-learn: astronaut, rocket public "
    "domain, china, flower CC BY 2.0, motorcycle not stated"
)
"""Of the training photographs."""


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("results", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--steps", type=int, required=True, help="Optimiser steps of the training.")
@click.option("--minutes", type=float, multiple=True, required=True, help="Time of each run.")
def main(model: Path, results: Path, folder: Path, steps: int, minutes: tuple[float, ...]) -> None:
    """Write MODEL to FOLDER in half precision, with the figures that RESULTS has of it."""
    colour = json.loads(results.read_text("utf-8"))["colour"]
    metrics = colour["summary"]["zoo"] | {"images": len(colour["results"]["zoo"]) // 3}
    dataset = {"name": "image-folder", "license": LICENSES}
    training = {
        "command": "python -m benchmarks.denoising.train",
        "device": "cpu (1 threads)",
        "runs_minutes": list(minutes),
        "seconds": 60 * sum(minutes),
        "steps": steps,
    }
    name = f"{MODEL}.{TAG}"
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch, f"{name}.safetensors")
        zoo.save_model(
            zoo.load_model(model),
            written,
            dtype="fp16",
            recipe=find_model(MODEL)[0].recipe,
            dataset=dataset,
            metrics=metrics,
            license="Apache-2.0",
            extra={"training": training},
        )
        data = written.read_bytes()
    storage = {"bytes": len(data), "dtype": "fp16"}
    card = {"dataset": dataset, "storage": storage, "training": training}
    digest = hashlib.sha256(data).hexdigest()
    with replacing(folder, name, {"sha256": digest, "metrics": metrics, "card": card}):
        write_bytes(folder / f"{name}.safetensors", data)


if __name__ == "__main__":
    main()
