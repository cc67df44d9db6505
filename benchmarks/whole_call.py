"""How much of a ``zoo.train`` call its steps take: ``python -m benchmarks.whole_call --out FILE``.

A call trains for one epoch of `photos` in a process in which everything is imported and cached: it
loads the images, builds the model, trains, validates, and writes the losses, the weights, a
picture, a checkpoint and the curves. Its images per second are compared with those of its steps,
and with those of an engine that only takes steps, in turns.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import torch

import convae_zoo as zoo
from benchmarks.denoising.compare import conditions
from convae_zoo.files import write_text
from convae_zoo.models.losses import create_training_loss
from convae_zoo.registry import find_model
from convae_zoo.training.engine import Engine

DATASET = "photos"
STEPS = 100


def call_seconds(model: str, folder: Path) -> tuple[float, float]:
    """Return the seconds of a call, and of its steps."""
    started = time.perf_counter()
    result = zoo.train(model, dataset=DATASET, epochs=1, out=folder, progress=False)
    return time.perf_counter() - started, result.epochs[0].seconds


def engine_rate(model: str) -> float:
    """Return the images per second of an engine's steps, after some to warm up."""
    recipe = find_model(model)[0].recipe
    built = zoo.create_model(model)
    loss = create_training_loss(recipe.loss, built.value_range, built.image_shape[0])
    engine = Engine(built.train(), loss, recipe)
    size = (recipe.batch_size, *built.image_shape)
    images = torch.randint(256, size, dtype=torch.uint8)
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        engine.step(images)
        seconds.append(time.perf_counter() - started)
    return recipe.batch_size / statistics.median(seconds)


def measure(model: str, rounds: int) -> dict[str, Any]:
    """Measure calls and engines in turns, after one of each."""
    count = len(zoo.load_dataset(DATASET))
    calls, rates = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            calls.append(call_seconds(model, Path(folder) / str(number)))
            rates.append(engine_rate(model))
    medians = {
        "call": count / statistics.median(whole for whole, _ in calls[1:]),
        "steps": count / statistics.median(steps for _, steps in calls[1:]),
        "engine": statistics.median(rates[1:]),
    }
    return {
        "images_per_second": {name: round(value, 1) for name, value in medians.items()},
        "share_in_steps": round(statistics.median(s / whole for whole, s in calls[1:]), 4),
        "call_to_engine": round(medians["call"] / medians["engine"], 4),
        "calls": [[round(seconds, 3) for seconds in call] for call in calls],
    }


@click.command()
@click.option("--model", default="convae-200", show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Calls, after one to warm up.")
@click.option("--out", type=click.Path(path_type=Path), help="The results.")
def main(model: str, rounds: int, out: Path | None) -> None:
    """Compare the speed of whole calls with that of their steps."""
    found = {"measured": conditions(), "model": model, "dataset": DATASET, **measure(model, rounds)}
    click.echo(json.dumps(found, indent=1))
    if out is not None:
        write_text(out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
