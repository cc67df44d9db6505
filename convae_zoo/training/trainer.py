"""The training loop: steps, epochs, validation, checkpoints, resuming."""

import math
import signal
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from convae_zoo.data import ImageSet
from convae_zoo.data.corrupt import Corrupted, Corruption, keyed_generator
from convae_zoo.data.order import epoch_order
from convae_zoo.data.training_images import TrainingImages
from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.checkpoint import (
    load_weights_state,
    random_state,
    set_random_state,
    weights_state,
)
from convae_zoo.runs.history import Epoch
from convae_zoo.runs.record import RunRecord
from convae_zoo.runs.run_folder import RunFolder
from convae_zoo.runtime.stop import StopRequest, stop_requests
from convae_zoo.training.advice import diverged, memorised
from convae_zoo.training.engine import Engine
from convae_zoo.training.progress import Progress
from convae_zoo.training.recorder import NullRecorder
from convae_zoo.training.resume import read_checkpoint
from convae_zoo.training.schedule import learning_rate_at

READ_EVERY = 50
"""Steps between two readings of the loss: reading waits for the device."""

VALIDATED_AT_ONCE = 256
"""Images per batch of the validation: larger ones are no faster."""


class Trainer:
    """Trains a model by a recipe; it can be stopped after any step and resumed.

    Args:
        engine: takes the steps.
        recipe: what to do.
        images: those to train on.
        val_set: images to validate on after each epoch.
        corruption: of the model's input, in training and in validation.
        recorder: writes the files of the run; by default none.
        progress: shows the progress; by default nothing.
        checkpoint_every: steps between two checkpoints; each epoch ends with one, too.
    """

    def __init__(
        self,
        engine: Engine,
        recipe: Recipe,
        images: TrainingImages,
        val_set: ImageSet,
        *,
        corruption: Corruption | None = None,
        recorder: NullRecorder | None = None,
        progress: Progress | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.engine, self.recipe, self.world = engine, recipe, engine.world
        self.images, self.val_set = images, val_set
        self.corruption = corruption
        self.recorder = recorder or NullRecorder()
        self.progress = progress or Progress()
        self.checkpoint_every = checkpoint_every
        self.steps_per_epoch = math.ceil(len(images) / recipe.batch_size)
        self.epoch, self.step, self.seconds = 1, 0, 0.0  # of the epoch: steps done, and their time
        self.state = "failed"
        self._unread: list[Tensor] = []
        self._started = 0.0
        self._warned = False
        self._stop = StopRequest()
        self._agreed: int | None = None

    def train(self) -> None:
        """Train from the present state to the end of the recipe.

        Raises:
            TrainingError: the loss is not finite, the step is named; or SIGTERM came.
            KeyboardInterrupt: Ctrl-C came.
        """
        self.recorder.start(self.epoch - 1)
        self.world.seed_rank()  # or all shards would get the same noise
        self.engine.model.train()
        self.progress.start(self.recipe.epochs * len(self.images), self._images_done)
        try:
            with stop_requests() as self._stop:
                while self.epoch <= self.recipe.epochs:
                    self._started = time.perf_counter()
                    for images, weight in self._batches():
                        self.train_step(images, weight)
                    self._end_epoch()
        except KeyboardInterrupt:
            self.state = "interrupted"
            raise
        self.state = "finished"

    def train_step(self, images: Tensor, weight: float = 1.0) -> None:
        """Take the next optimiser step; then read losses, write a checkpoint or stop if due.

        Args:
            images: this process's shard of the batch, uint8 N×C×H×W.
            weight: the shard's fraction of the batch.
        """
        done = (self.epoch - 1) * self.steps_per_epoch + self.step
        total = self.recipe.epochs * self.steps_per_epoch
        self.engine.set_learning_rate(learning_rate_at(self.recipe, done, total))
        self._unread.append(self.engine.step(images, weight, self._corrupt(images)))
        self.step += 1
        is_last = self.step == self.steps_per_epoch
        saves = self.step % self.checkpoint_every == 0 and not is_last
        stops = self.world.size == 1 and self._stop_signal is not None
        if len(self._unread) == READ_EVERY or is_last or saves or stops:
            self._read_losses()
            if saves and self._stop_signal is None:
                self.recorder.checkpoint(self.state_dict)
            if not is_last:
                self._stop_if_asked()
            self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on; between two steps, when losses are read."""
        return {
            "position": {"epoch": self.epoch, "step": self.step, "seconds": self.seconds},
            "steps": len(self.recorder.history.steps),
            "model": weights_state(self.engine.model),
            "engine": self.engine.state_dict(),
            "random": random_state(self.engine.device),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            UsageError: it is beyond the end of the recipe.
            TrainingError: it is not the state of such a run.
        """
        try:
            self._set_position(**state["position"], steps=state["steps"])
            load_weights_state(self.engine.model, state["model"])
            self.engine.load_state_dict(state["engine"])
            set_random_state(state["random"], self.engine.device)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise TrainingError(
                f"the checkpoint does not fit this run: {reason:.200}; start again with --overwrite"
            ) from error
        if self.epoch + bool(self.step) > self.recipe.epochs + 1:
            raise UsageError(
                f"the run is in epoch {self.epoch}, and {self.recipe.epochs} epochs are asked for; "
                "resume it with more, or choose another --out"
            )

    def resume(self, folder: RunFolder, record: RunRecord) -> None:
        """Restore the newest intact checkpoint of a run, or stay at its beginning without one."""
        state, damaged = read_checkpoint(folder, record)
        for line in damaged:
            self.progress.say(line)
        if state is not None:
            self.load_state_dict(state)
        steps = 0 if state is None else state["steps"]
        digest = None if state is None else state.get("history")  # older checkpoints have none
        self.recorder.resume(folder.history, epochs=self.epoch - 1, steps=steps, digest=digest)
        self.progress.say(f"resuming {folder.path} at epoch {self.epoch}, step {self.step}")

    def close(self) -> None:
        """End the run; it is recorded as failed or interrupted unless `train` has finished."""
        self.engine.release()
        self.recorder.close(self.state)

    def _set_position(self, *, epoch: int, step: int, seconds: float, steps: int) -> None:
        is_count = type(epoch) is type(step) is int and epoch > 0 and step >= 0
        done = (epoch - 1) * self.steps_per_epoch + step
        if not is_count or step >= self.steps_per_epoch or done != steps or not seconds >= 0:
            raise ValueError(f"it is of step {step!r:.20} of epoch {epoch!r:.20} ({steps!r:.20})")
        self.epoch, self.step, self.seconds = epoch, step, float(seconds)

    def _batches(self) -> Iterator[tuple[Tensor, float]]:
        """Yield the rest of the epoch: this process's shard of each batch, and its weight."""
        order = epoch_order(
            len(self.images), epoch=self.epoch, seed=self.recipe.seed, shuffle=self.recipe.shuffle
        )
        batches = torch.split(order.to(self.images.index_device), self.recipe.batch_size)
        shards = [self._shard(batch) for batch in batches[self.step :]]
        loaded = self.images.batches(self.epoch, [indices for indices, _ in shards])
        for images, (_, weight) in zip(loaded, shards, strict=True):
            yield images, weight

    def _corrupt(self, images: Tensor) -> Corrupted | None:
        """Corrupt a batch with random numbers that depend on seed, epoch, step and rank alone."""
        if self.corruption is None:
            return None
        key = (self.recipe.seed, self.epoch, self.step, self.world.rank)
        return self.corruption(images, keyed_generator(*key, device=images.device))

    def _shard(self, batch: Tensor) -> tuple[Tensor, float]:
        shard = self.world.shard(batch)
        if len(shard) == 0:  # fewer images than processes: this one takes part with weight 0
            return batch[:1], 0.0
        return shard, len(shard) / len(batch)

    def _read_losses(self) -> None:
        """Wait for the device and record the losses since the last reading."""
        asked = torch.tensor([float(self._stop.signal or 0)], device=self.engine.device)
        sums = self.world.sum(torch.cat([torch.stack(self._unread).float(), asked])).tolist()
        self._unread.clear()
        losses = sums[:-1]
        if sums[-1]:
            self._agreed = self._stop.signal or signal.SIGTERM
        self.seconds += time.perf_counter() - self._started
        history = self.recorder.history
        history.add_steps(self.epoch, losses)
        step = len(history.steps) - len(losses) + 1
        if line := diverged(losses, history.steps[0], step, self.recipe.learning_rate):
            raise TrainingError(line)
        self.progress.step(self._epoch_name, self._images_done, losses[-1])

    def _end_epoch(self) -> None:
        """Validate, record the epoch, and start the next."""
        history, count = self.recorder.history, len(self.images)
        val_loss = self._validation_loss()
        if not math.isfinite(val_loss):
            raise TrainingError(
                f"the validation loss became {val_loss} at step {len(history.steps)}, the end of "
                f"epoch {self.epoch}; lower the learning rate, --learning-rate "
                f"{self.recipe.learning_rate / 10:.2g}, or choose another loss"
            )
        losses = history.steps[-self.steps_per_epoch :]
        sizes = [len(batch) for batch in torch.split(torch.arange(count), self.recipe.batch_size)]
        epoch = Epoch(
            epoch=self.epoch,
            train_loss=math.fsum(n * x for n, x in zip(sizes, losses, strict=True)) / count,
            val_loss=val_loss,
            seconds=self.seconds,
            images_per_second=count / self.seconds,
        )
        self.progress.say(
            f"{self._epoch_name}: loss {epoch.train_loss:.5f} on {self.images.split}, "
            f"{val_loss:.5f} on {self.val_set.split}, {epoch.images_per_second:,.0f} images/s"
        )
        self.recorder.end_epoch(epoch, self.engine)
        if not self._warned and (line := memorised(history.epochs)):
            self.progress.say(line)
            self._warned = True
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.recorder.checkpoint(self.state_dict)
        if self.epoch <= self.recipe.epochs:
            self._stop_if_asked()

    def _validation_loss(self) -> float:
        """Return the mean loss over the validation images."""
        total = torch.zeros((), dtype=torch.float64)
        shard = self.world.shard(torch.arange(len(self.val_set)))
        # Without gradients a few batches at once take less memory than one does in training.
        size = max(self.recipe.batch_size, min(4 * self.recipe.batch_size, VALIDATED_AT_ONCE))
        with self.engine.evaluating():
            for chosen in torch.split(shard, size) if len(shard) else ():
                images = self.val_set.images[chosen]
                corrupted = None
                if self.corruption is not None:
                    corrupted = self.corruption.fixed(images, chosen.tolist())
                loss, _ = self.engine.validate(images, corrupted)
                total += loss.double().cpu() * len(chosen)
        return float(self.world.sum(total.to(self.engine.device))) / len(self.val_set)

    def _stop_if_asked(self) -> None:
        """Stop after a checkpoint if a signal came."""
        if self._stop_signal is None:
            return
        if self.step:
            self.recorder.checkpoint(self.state_dict)
        if self._stop_signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise TrainingError(f"stopped by {signal.Signals(self._stop_signal).name}")

    @property
    def _stop_signal(self) -> int | None:
        """The signal to stop at; that of several processes is the one that all have read."""
        return self._stop.signal if self.world.size == 1 else self._agreed

    @property
    def _images_done(self) -> int:
        """The images of the run that were trained on; those of earlier epochs count again."""
        images = len(self.images)
        return (self.epoch - 1) * images + min(self.step * self.recipe.batch_size, images)

    @property
    def _epoch_name(self) -> str:
        return f"epoch {self.epoch}/{self.recipe.epochs}"
