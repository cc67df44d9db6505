"""A training run: from names and a recipe to a trained model and its run folder."""

import contextlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from convae_zoo import files, visuals
from convae_zoo.data import ImageSet
from convae_zoo.data.load import train_and_val
from convae_zoo.errors import ConfigError, UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.create import build_plan
from convae_zoo.models.losses import create_training_loss
from convae_zoo.models.plan import Plan, plan_model
from convae_zoo.registry import get_registry, model_info
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.device import choose_device, describe_device
from convae_zoo.runtime.distributed import World, join_world, was_restarted
from convae_zoo.training.checkpoint import random_state, set_random_state
from convae_zoo.training.engine import Engine
from convae_zoo.training.history import Epoch, History, read_history, rewind_history
from convae_zoo.training.loop import Loop, Position
from convae_zoo.training.progress import Progress
from convae_zoo.training.resume import resumed_recipe
from convae_zoo.training.run_folder import (
    RunFolder,
    describe_run,
    look_at,
    open_run_folder,
)
from convae_zoo.training.signals import stop_requests
from convae_zoo.weights.save import save_model


@attrs.frozen(kw_only=True)
class TrainResult:
    """What training gave.

    Attributes:
        model: the trained model, in eval mode.
        train_losses: one an optimiser step.
        val_losses: one an epoch: the mean over the images of the validation split.
        epochs: each epoch's losses and speed.
        run_dir: the run folder, or None where none was asked for.
    """

    model: Autoencoder
    train_losses: list[float]
    val_losses: list[float]
    epochs: list[Epoch]
    run_dir: Path | None


def train(
    model: Autoencoder | str,
    *,
    dataset: str | tuple[ImageSet, ImageSet],
    loss: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    warmup_steps: int | None = None,
    optimizer: str | None = None,
    seed: int | None = None,
    shuffle: bool | None = None,
    augment: str | None = None,
    precision: str | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_every: int = 1000,
    data: str | Path | None = None,
    download: bool = False,
    overrides: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> TrainResult:
    """Train a model on a dataset; what is not given comes from the model's recipe.

    Args:
        model: a model's name, built with fresh weights drawn from the seed; or a model, which is
            trained in place from the weights that it has.
        dataset: a dataset's name, or the images to train on and those to validate on.
        loss: a loss's name, or a weighted sum as in ``"0.8*l1 + 0.2*ssim(window=7)"``.
        epochs: passes over the train split.
        batch_size: images an optimiser step.
        learning_rate: of the optimiser, at its highest.
        schedule: ``constant``, or ``cosine``: falling to zero at the end.
        warmup_steps: optimiser steps over which the learning rate rises to its highest.
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        seed: of the start weights and the order.
        shuffle: a fresh order an epoch; else the data's own.
        augment: ``none``, ``flip`` or ``dihedral``: training images mirrored and turned at random.
        precision: ``fp32``, on a CPU a plain loop's arithmetic to the bit; ``bf16``; or ``auto``
            for the fastest on this machine.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is one.
        out: the run folder; without it nothing is written.
        resume: go on with the run that is in `out` from its last checkpoint; on the CPU the result
            is, bit for bit, that of a run that was never stopped. Starts anew where there is none.
        overwrite: replace a run that is in `out`.
        checkpoint_every: optimiser steps between two checkpoints; each epoch ends with one too.
        data: the folder that holds the data, for datasets that read one.
        download: download missing data, for datasets that can.
        overrides: config values of a model that is given by name.
        progress: show a progress bar on stderr; by default where that is a terminal.

    Raises:
        UsageError: a name, a setting or a folder that cannot be used, or a run that is resumed
            with other settings than its own; nothing was trained.
        TrainingError: the loss became NaN or infinite, or SIGTERM came, or a file could not be
            written. The last finished epoch is in the run folder.
    """
    given = {
        "loss": loss,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "warmup_steps": warmup_steps,
        "optimizer": optimizer,
        "seed": seed,
        "shuffle": shuffle,
        "augment": augment,
        "precision": precision,
    }
    plan = _plan(model, overrides or {})
    recipe = _recipe(plan, given)
    if checkpoint_every < 1:
        raise ConfigError(f"checkpoint_every must be at least 1, got {checkpoint_every}")
    if (resume or overwrite) and out is None:
        raise UsageError("resume and overwrite need out, the run folder")
    resume = resume or was_restarted()
    record = look_at(out, overwrite=overwrite, resume=resume) if out is not None else None
    with (
        torch.random.fork_rng(),
        join_world(choose_device(device)) as (world, where),
        contextlib.ExitStack() as stack,
    ):
        torch.manual_seed(recipe.seed)
        built = build_plan(plan) if isinstance(model, str) else model
        criterion = create_training_loss(recipe.loss, plan.value_range, plan.image_shape[0])
        train_set, val_set = _images(dataset, plan, data=data, download=download)
        _check_shares(world, train_set, recipe)
        if isinstance(model, str):
            built.start_from_data(train_set.images)
        if record is not None:
            recipe = resumed_recipe(record, recipe, given, plan.describe(), train_set)
        folder = None
        if out is not None and world.is_main:
            folder = stack.enter_context(open_run_folder(out, keep=record is not None))
        world.wait()
        run = _Run(
            Engine(built.to(where), criterion, recipe, world), recipe, train_set, val_set, folder
        )
        shown = world.is_main and (sys.stderr.isatty() if progress is None else progress)
        bars = stack.enter_context(Progress(recipe.epochs, len(train_set), shown=shown))
        run.train(bars, checkpoint_every, RunFolder(Path(out)) if record and out else None)
        history = run.history
        del run  # the world ends here, and so must what holds a part of it
    return TrainResult(
        model=built.eval(),
        train_losses=history.steps,
        val_losses=[e.val_loss for e in history.epochs],
        epochs=history.epochs,
        run_dir=Path(out) if out is not None else None,
    )


class _Run:
    """One run: the loop, and what is written after each epoch."""

    def __init__(
        self,
        engine: Engine,
        recipe: Recipe,
        train_set: ImageSet,
        val_set: ImageSet,
        folder: RunFolder | None,
    ) -> None:
        self.engine, self.recipe, self.folder = engine, recipe, folder
        self.train_set, self.val_set = train_set, val_set
        self.history = History(folder.history if folder else None)
        self.dataset = {
            "name": train_set.name,
            "fingerprint": train_set.fingerprint,
            "val_fingerprint": val_set.fingerprint,
            "images": len(train_set),
            "val_images": len(val_set),
        }

    def train(self, progress: Progress, save_every: int, resumed: RunFolder | None) -> None:
        """Train; leave the folder with the state that the run ended in.

        Args:
            progress: shown to a person.
            save_every: steps between two checkpoints.
            resumed: the folder of the run to go on with.
        """
        position = self._go_back(resumed, progress) if resumed is not None else Position()
        self._begin(progress, position)
        self.engine.world.draw_apart()  # or the noise in one share would be that in all
        state = "failed"
        self.engine.model.train()
        try:
            with stop_requests() as stop:
                Loop(
                    engine=self.engine,
                    train=self.train_set,
                    val=self.val_set,
                    recipe=self.recipe,
                    history=self.history,
                    progress=progress,
                    world=self.engine.world,
                    stop=stop,
                    save=self._save,
                    after_epoch=self._after_epoch,
                    save_every=save_every,
                    position=position,
                ).run()
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        finally:
            self.engine.release()
            self.history.close()
            self._end(state)

    def _go_back(self, resumed: RunFolder, progress: Progress) -> Position:
        """Take up the newest whole checkpoint; stay at the beginning where there is none."""
        state, damaged = resumed.checkpoints.read_latest()
        for line in damaged:
            progress.say(line)
        position = Position(**state["position"]) if state else Position()
        steps = state["steps"] if state else 0
        if state:
            self.engine.model.load_state_dict(state["model"])
            self.engine.load_state(state["engine"])
            set_random_state(state["random"], self.engine.device)
        if self.folder is not None:
            self.history = rewind_history(
                self.folder.history, epochs=position.epoch - 1, steps=steps
            )
        else:
            self.history = read_history(resumed.history).cut(position.epoch - 1, steps)
        progress.say(f"resuming {resumed.path} at epoch {position.epoch}, step {position.step}")
        return position

    def _save(self, position: Position) -> None:
        if self.folder is None:
            return
        self.history.sync()
        steps = len(self.history.steps)
        state = {
            "position": attrs.asdict(position),
            "steps": steps,
            "model": self.engine.model.state_dict(),
            "engine": self.engine.state(),
            "random": random_state(self.engine.device),
        }
        self.folder.checkpoints.write(steps, state)

    def _begin(self, progress: Progress, position: Position) -> None:
        device = describe_device(self.engine.device)
        if self.folder is not None:
            self.folder.write(
                describe_run(
                    model=self.engine.model.plan.describe(),
                    recipe=self.recipe,
                    dataset=self.dataset,
                    device=device,
                    precision=self.engine.precision,
                    processes=self.engine.world.size,
                    epochs_done=position.epoch - 1,
                )
            )
        processes = self.engine.world.size
        shares = f" in {processes} processes" if processes > 1 else ""
        progress.say(
            f"training {self.engine.model.name} on {len(self.train_set):,} images of "
            f"{self.train_set.name}, {device}, {self.engine.precision}, batch "
            f"{self.recipe.batch_size}{shares}, learning rate {self.recipe.learning_rate:g}"
        )
        for line in (*self.train_set.skipped, *self.val_set.skipped):
            progress.say(f"skipped {line}")

    def _after_epoch(self, epoch: Epoch) -> None:
        if self.folder is None:
            return
        save_model(
            self.engine.model,
            self.folder.model,
            recipe=self.recipe,
            dataset=self.dataset,
            metrics={"epoch": epoch.epoch, "val_loss": epoch.val_loss},
            license=None,
        )
        if epoch.epoch == 1:
            with files.atomic_path(self.folder.first_epoch) as copy:
                shutil.copyfile(self.folder.model, copy)
        self._draw(epoch)
        self.folder.update(epochs_done=epoch.epoch)

    def _draw(self, epoch: Epoch) -> None:
        if self.folder is None:
            return
        chosen = self.val_set.exemplars()
        originals = self.val_set.images[chosen]
        with self.engine.evaluating():
            _, images = self.engine.validate(originals)
        visuals.save_grid(
            self.folder.picture(epoch.epoch),
            originals,
            self.engine.model.postprocess(images).cpu(),
            names=[self.val_set.label_name(i) for i in chosen.tolist()],
            title=f"{self.engine.model.name} on {self.val_set.name}, epoch {epoch.epoch}: "
            f"{self.recipe.loss} {epoch.val_loss:.5f} on the validation split",
        )

    def _end(self, state: str) -> None:
        if self.folder is None:
            return
        self.folder.update(state=state)
        if state == "finished":
            visuals.save_curves(
                self.folder.curves,
                self.history.steps,
                [e.val_loss for e in self.history.epochs],
                title=f"{self.engine.model.name} on {self.train_set.name}",
            )


def _recipe(plan: Plan, given: Mapping[str, Any]) -> Recipe:
    known = plan.name is not None and plan.name in get_registry().entries["model"]
    recipe = model_info(plan.name).recipe if known and plan.name is not None else Recipe()
    try:
        return attrs.evolve(recipe, **{k: v for k, v in given.items() if v is not None})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"training: {error}") from error


def _check_shares(world: World, train_set: ImageSet, recipe: Recipe) -> None:
    least = min(len(train_set), recipe.batch_size)
    if world.size > least:
        raise UsageError(
            f"{world.size} processes are more than the {least} images of a batch; "
            "start fewer, or pass a larger --batch-size"
        )


def _plan(model: Autoencoder | str, overrides: Mapping[str, Any]) -> Plan:
    if isinstance(model, str):
        return plan_model(model, **overrides)
    if overrides:
        raise UsageError("overrides go with a model's name; this model is built already")
    return model.plan


def _images(
    dataset: str | tuple[ImageSet, ImageSet],
    plan: Plan,
    *,
    data: str | Path | None,
    download: bool,
) -> tuple[ImageSet, ImageSet]:
    if isinstance(dataset, str):
        return train_and_val(dataset, plan.image_shape, data=data, download=download)
    train_set, val_set = dataset
    return train_set.fitted(plan.image_shape), val_set.fitted(plan.image_shape)
