"""The training loop: epochs of steps, a validation and a record after each."""

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from convae_zoo.data import ImageSet
from convae_zoo.errors import TrainingError
from convae_zoo.specs import Recipe
from convae_zoo.training.engine import Engine
from convae_zoo.training.history import Epoch, History
from convae_zoo.training.order import epoch_order
from convae_zoo.training.progress import Progress

READ_EVERY = 50
"""Steps between two readings of the loss: reading waits for the device."""


def batches(images: Tensor, order: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Give the images in an order, a batch at a time; the last may be smaller."""
    for chosen in order.split(batch_size):
        yield images[chosen]


def train_epochs(
    engine: Engine,
    train: ImageSet,
    val: ImageSet,
    recipe: Recipe,
    history: History,
    progress: Progress,
    after_epoch: Callable[[Epoch], None],
) -> None:
    """Train for the recipe's epochs; `after_epoch` is called with what each gave.

    Raises:
        TrainingError: the loss is no longer finite; the step is named.
    """
    images = train.images.to(engine.device)
    for epoch in range(len(history.epochs) + 1, recipe.epochs + 1):
        order = epoch_order(len(train), epoch=epoch, seed=recipe.seed, shuffle=recipe.shuffle)
        started = time.perf_counter()
        loss = _train_epoch(engine, images, order, recipe, epoch, history, progress)
        seconds = time.perf_counter() - started
        record = Epoch(
            epoch=epoch,
            train_loss=loss,
            val_loss=validation_loss(engine, val, recipe.batch_size),
            seconds=seconds,
            images_per_second=len(train) / seconds,
        )
        history.add_epoch(record)
        progress.epoch(record)
        after_epoch(record)


def _train_epoch(
    engine: Engine,
    images: Tensor,
    order: Tensor,
    recipe: Recipe,
    epoch: int,
    history: History,
    progress: Progress,
) -> float:
    unread: list[Tensor] = []
    total = 0.0
    order = order.to(images.device)
    for step, batch in enumerate(batches(images, order, recipe.batch_size), 1):
        unread.append(engine.step(batch))
        done = min(step * recipe.batch_size, len(order))
        if len(unread) == READ_EVERY or done == len(order):
            losses = torch.stack(unread).tolist()
            unread.clear()
            history.add_steps(epoch, losses)
            _check_finite(losses, epoch, len(history.steps))
            total += math.fsum(losses) * recipe.batch_size
            progress.step(done, losses[-1])
    last = len(order) % recipe.batch_size
    if last:
        total -= losses[-1] * (recipe.batch_size - last)
    return total / len(order)


def _check_finite(losses: list[float], epoch: int, steps: int) -> None:
    for index, loss in enumerate(losses):
        if not math.isfinite(loss):
            step = steps - len(losses) + index + 1
            raise TrainingError(
                f"the loss became {loss} at step {step} (epoch {epoch}); "
                "lower the learning rate or choose another loss"
            )


def validation_loss(engine: Engine, val: ImageSet, batch_size: int) -> float:
    """Return the mean loss over a set's images: each counts the same, whatever its batch."""
    total = torch.zeros((), dtype=torch.float64)
    with engine.evaluating():
        for batch in batches(val.images, torch.arange(len(val)), batch_size):
            loss, _ = engine.validate(batch)
            total += loss.double().cpu() * len(batch)
    return float(total) / len(val)
