"""The training loop: epochs of steps, a validation and a record after each."""

import math
import signal
import time
from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from convae_zoo.data import ImageSet
from convae_zoo.data.large import is_mapped
from convae_zoo.errors import TrainingError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.distributed import World
from convae_zoo.training.augment import epoch_poses, show
from convae_zoo.training.engine import Engine
from convae_zoo.training.feed import Feed
from convae_zoo.training.history import Epoch, History
from convae_zoo.training.order import epoch_order
from convae_zoo.training.progress import Progress
from convae_zoo.training.schedule import learning_rate_at
from convae_zoo.training.signals import StopRequest

READ_EVERY = 50
"""Steps between two readings of the loss: reading waits for the device."""


@attrs.define
class Position:
    """How far a run has come.

    Attributes:
        epoch: the epoch at hand, from 1.
        step: steps of that epoch that are done.
        seconds: time that they took.
    """

    epoch: int = 1
    step: int = 0
    seconds: float = 0.0


@attrs.define(kw_only=True)
class Loop:
    """Trains from a position to the end of the recipe.

    Attributes:
        save: called to keep the state, every `save_every` steps and after each epoch.
        after_epoch: called with what each epoch gave, before the state is kept.
        stop: asked after every step; a stop keeps the state first.
    """

    engine: Engine
    train: ImageSet
    val: ImageSet
    recipe: Recipe
    history: History
    progress: Progress
    world: World
    stop: StopRequest
    save: Callable[[Position], None]
    after_epoch: Callable[[Epoch], None]
    save_every: int
    position: Position = attrs.field(factory=Position)

    def run(self) -> None:
        """Train.

        Raises:
            TrainingError: the loss is no longer finite, the step is named; or SIGTERM came.
            KeyboardInterrupt: Ctrl-C came.
        """
        images = self.train.images
        feed = Feed(images, self.engine.device, streamed=is_mapped(images))
        while self.position.epoch <= self.recipe.epochs:
            self._train_epoch(feed)
            record = self._record()
            self.history.add_epoch(record)
            self.progress.epoch(record)
            self.after_epoch(record)
            self.position = Position(epoch=record.epoch + 1)
            self.save(self.position)
            self._stop_if_asked()

    def _train_epoch(self, feed: Feed) -> None:
        here, size, recipe = self.position, self.recipe.batch_size, self.recipe
        count, draw = len(self.train), {"epoch": here.epoch, "seed": recipe.seed}
        order = epoch_order(count, **draw, shuffle=recipe.shuffle).to(feed.index_device)
        poses = epoch_poses(count, **draw, augment=recipe.augment)
        steps = math.ceil(len(order) / size)
        unread: list[Tensor] = []
        started = time.perf_counter()
        begins = range(here.step * size, len(order), size)
        shares = [self._share(order[begin : begin + size]) for begin in begins]
        batches = feed.batches([indices for indices, _ in shares])
        for step, (indices, weight) in enumerate(shares, here.step + 1):
            done = (here.epoch - 1) * steps + step - 1
            rate = learning_rate_at(self.recipe, done, self.recipe.epochs * steps)
            self.engine.set_learning_rate(rate)
            images = next(batches)
            if poses is not None:
                images = show(images, poses[indices.cpu()])
            unread.append(self.engine.step(images, weight))
            saves = step % self.save_every == 0 and step < steps
            alone_and_asked = self.world.size == 1 and self.stop.signal is not None
            if len(unread) == READ_EVERY or step == steps or saves or alone_and_asked:
                self._read(unread)
                unread.clear()
                here.step, here.seconds = step, here.seconds + time.perf_counter() - started
                self.progress.step(min(step * size, len(order)), self.history.steps[-1])
                if saves and self.stop.signal is None:
                    self.save(here)
                if step < steps:
                    self._stop_if_asked()
                started = time.perf_counter()

    def _share(self, batch: Tensor) -> tuple[Tensor, float]:
        """Return this process's share of a batch, and the share's weight."""
        share = self.world.share(batch)
        if len(share) == 0:  # fewer images than processes: this one goes along with weight 0
            return batch[:1], 0.0
        return share, len(share) / len(batch)

    def _read(self, unread: list[Tensor]) -> None:
        asked = torch.tensor([float(self.stop.signal or 0)], device=self.engine.device)
        sums = self.world.sum(torch.cat([torch.stack(unread).float(), asked])).tolist()
        losses = sums[:-1]
        if sums[-1] and self.stop.signal is None:
            self.stop.signal = signal.SIGTERM
        self.history.add_steps(self.position.epoch, losses)
        for index, loss in enumerate(losses):
            if not math.isfinite(loss):
                step = len(self.history.steps) - len(losses) + index + 1
                raise TrainingError(
                    f"the loss became {loss} at step {step} (epoch {self.position.epoch}); "
                    "lower the learning rate or choose another loss"
                )

    def _record(self) -> Epoch:
        count, size = len(self.train), self.recipe.batch_size
        steps = math.ceil(count / size)
        losses = self.history.steps[-steps:]
        sizes = [size] * (steps - 1) + [count - size * (steps - 1)]
        seconds, epoch = self.position.seconds, self.position.epoch
        val_loss = validation_loss(self.engine, self.val, size, self.world)
        if not math.isfinite(val_loss):
            raise TrainingError(
                f"the validation loss became {val_loss} at step {len(self.history.steps)} "
                f"(the end of epoch {epoch}); lower the learning rate or choose another loss"
            )
        return Epoch(
            epoch=epoch,
            train_loss=math.fsum(n * x for n, x in zip(sizes, losses, strict=True)) / count,
            val_loss=val_loss,
            seconds=seconds,
            images_per_second=count / seconds,
        )

    def _stop_if_asked(self) -> None:
        if self.stop.signal is None or self.position.epoch > self.recipe.epochs:
            return
        if self.position.step:
            self.save(self.position)
        if self.stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise TrainingError(f"stopped by {signal.Signals(self.stop.signal).name}")


def validation_loss(engine: Engine, val: ImageSet, batch_size: int, world: World) -> float:
    """Return the mean loss over a set's images: each counts the same, whatever its batch."""
    total = torch.zeros((), dtype=torch.float64)
    with engine.evaluating():
        share = world.share(torch.arange(len(val)))
        for start in range(0, len(share), batch_size):
            chosen = share[start : start + batch_size]
            loss, _ = engine.validate(val.images[chosen])
            total += loss.double().cpu() * len(chosen)
    return float(world.sum(total.to(engine.device))) / len(val)
