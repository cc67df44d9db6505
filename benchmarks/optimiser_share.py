"""The optimiser's share of a training step: ``python -m benchmarks.optimiser_share``.

Each model is trained for some steps on random images, with Adam and with Muon in turn, in the
precision that ``auto`` chooses. Times are medians, so run it on an idle machine.
"""

import itertools
import statistics
from time import perf_counter as clock
from typing import Any

import attrs
import click
import torch

import convae_zoo as zoo
from benchmarks.conftest import device_name
from convae_zoo.models.losses import create_training_loss
from convae_zoo.registry import find_model
from convae_zoo.runtime.device import choose_device
from convae_zoo.training.engine import Engine

OPTIMIZERS = ("adam", "muon")
WARM_UP = 5


class Trained:
    """An engine that trains, and the seconds of its steps and of the optimiser in them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.steps: list[float] = []
        self.updates: list[float] = []
        engine.optimizer.register_step_pre_hook(lambda *_: self.updates.append(-clock()))
        engine.optimizer.register_step_post_hook(lambda *_: self._add(clock()))

    def step(self, images: torch.Tensor) -> None:
        """Take one step."""
        started = clock()
        self.engine.step(images)
        self.steps.append(clock() - started)

    def _add(self, seconds: float) -> None:
        self.updates[-1] += seconds

    def row(self) -> dict[str, Any]:
        """Return the medians in milliseconds, and the share."""
        step, update = (
            1e3 * statistics.median(seconds[WARM_UP:]) for seconds in (self.steps, self.updates)
        )
        return {"step": step, "optimiser": update, "share": update / step}


def measure(name: str, batch_size: int, steps: int) -> dict[str, dict[str, Any]]:
    """Time the steps of a model with each optimiser, interleaved."""
    spec, _ = find_model(name)
    trained: dict[str, Trained] = {}
    for optimizer in OPTIMIZERS:
        recipe = attrs.evolve(spec.recipe, optimizer=optimizer, learning_rate=1e-3)
        model = zoo.create_model(name).to(choose_device("cpu"))
        loss = create_training_loss(recipe.loss, model.value_range, model.image_shape[0])
        trained[optimizer] = Trained(Engine(model, loss, recipe))
    size = (batch_size, *model.image_shape)
    images = torch.randint(256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for _, each in itertools.product(range(WARM_UP + steps), trained.values()):
        each.step(images)
    return {optimizer: each.row() for optimizer, each in trained.items()}


@click.command()
@click.argument("models", nargs=-1)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--steps", default=40, show_default=True)
def main(models: tuple[str, ...], batch_size: int, steps: int) -> None:
    """Print the optimiser's share of a step of MODELS."""
    click.echo(f"{device_name(torch.device('cpu'))}, {torch.get_num_threads()} threads")
    for name in models or ("convae-200", "linear-residual-200"):
        for optimizer, row in measure(name, batch_size, steps).items():
            click.echo(
                f"{name:20} {optimizer:5} step {row['step']:6.1f} ms, "
                f"optimiser {row['optimiser']:6.1f} ms, share {row['share']:.2f}"
            )


if __name__ == "__main__":
    main()
