"""`train`: from names and a recipe to a trained model and its run folder."""

import contextlib
import inspect
import json
import random
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import nn

from convae_zoo.data import ImageSet, PictureSet
from convae_zoo.data.augment import Augmentation
from convae_zoo.data.load import describe_sets, training_sets
from convae_zoo.data.training_images import TrainingImages
from convae_zoo.errors import ConfigError, UsageError, device_failures
from convae_zoo.evaluation.records import Records
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.create import build_plan
from convae_zoo.models.loss_check import check_calls
from convae_zoo.models.losses import create_training_loss
from convae_zoo.models.plan import label_of
from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.history import Epoch
from convae_zoo.runs.record import RunRecord
from convae_zoo.runs.run_folder import RunFolder, check_run_folder, open_run_folder
from convae_zoo.runtime.device import choose_device, describe_device
from convae_zoo.runtime.distributed import World, join_world, was_restarted
from convae_zoo.runtime.modes import default_modes
from convae_zoo.training.advice import few_steps
from convae_zoo.training.engine import Engine, check_trainable
from convae_zoo.training.progress import open_progress
from convae_zoo.training.recipe import (
    check_loss_module,
    choose_recipe,
    create_training_corruption,
)
from convae_zoo.training.recorder import NullRecorder, Recorder
from convae_zoo.training.resume import check_same_run, resumed_recipe
from convae_zoo.training.start import Start, find_start, init_from_data
from convae_zoo.training.trainer import Trainer

if TYPE_CHECKING:
    from convae_zoo.visuals import Drawing

_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def _own_state() -> Iterator[None]:
    """Let a run have PyTorch's and Python's global state to itself; restore it afterwards."""
    with _ONE_AT_A_TIME, torch.random.fork_rng(), default_modes():
        state = random.getstate()
        try:
            yield
        finally:
            random.setstate(state)


@attrs.frozen(kw_only=True)
class TrainResult(Records):
    """The result of a training run.

    Attributes:
        model: the trained model, in eval mode.
        train_losses: one per optimiser step.
        val_losses: one per epoch: the mean over the images of the validation split.
        epochs: each epoch's losses and speed.
        images: how many were trained on, those of every epoch counted again.
        run_dir: the run folder, or None where none was asked for.
    """

    model: Autoencoder
    train_losses: list[float]
    val_losses: list[float]
    epochs: list[Epoch]
    images: int
    run_dir: Path | None

    def to_records(self) -> list[dict[str, Any]]:
        """Return the figures of each epoch."""
        return [attrs.asdict(epoch) for epoch in self.epochs]

    def figure(self) -> "Drawing":
        """Draw the losses of each step and epoch.

        Raises:
            UsageError: there are none.
        """
        from convae_zoo import visuals  # imports matplotlib

        return visuals.save_curves(None, self.train_losses, self.val_losses, title=self.model.name)

    def __repr__(self) -> str:
        """Return what was trained, how long, and how it ended."""
        loss = f", val_loss {self.val_losses[-1]:.5f}" if self.val_losses else ""
        folder = "" if self.run_dir is None else f", in {self.run_dir}"
        return f"TrainResult({self.model.name}, {len(self.epochs)} epochs{loss}{folder})"


def train(
    model: Autoencoder | str | Path,
    *,
    dataset: str | tuple[ImageSet | PictureSet, ImageSet],
    recipe: Recipe | str | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    fresh: bool = False,
    checkpoint_every: int = 1000,
    data: str | Path | None = None,
    download: bool = False,
    overrides: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    **changes: Any,
) -> TrainResult:
    """Train a model on a dataset by a recipe.

    Two calls in two threads run one after the other, because PyTorch's random state is common to
    all threads; the state outside is left as it was.

    Args:
        model: a model's name, for fresh weights drawn from the seed; ``NAME.TAG``, a run folder
            or a weights file, to start from those weights; or a model, which is trained in place.
        dataset: a dataset's name, or the images to train on and those to validate on. Whole
            pictures to train on go with the recipe's ``augment="crop"``.
        recipe: a recipe; or the name of a model or of registered weights, for theirs; by default
            the model's own.
        device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for CUDA if this machine has it.
        out: the run folder; without it nothing is written.
        resume: continue the run in `out` from its last checkpoint; on a CPU the result is,
            bit for bit, that of a run that was never stopped. Start one if there is none.
        overwrite: replace a run in `out`.
        fresh: start from fresh weights although `model` names stored ones.
        checkpoint_every: optimiser steps between two checkpoints; each epoch ends with one, too.
        data: the folder that holds the data, for datasets that read one.
        download: download missing data, for datasets that can.
        overrides: config values of a model with fresh weights.
        progress: show a progress bar; by default in a notebook, or if stderr is a terminal.
        changes: values of the recipe's fields, as `Recipe` describes them. The loss may also be a
            module that maps (reconstruction, target) to a scalar.

    Raises:
        UsageError: a name, a setting, a model or a folder that cannot be used, or a run that is
            resumed with other settings than its own; nothing was trained.
        TrainingError: the loss became NaN or infinite, or SIGTERM came, or a file could not be
            written or read. The last finished epoch is in the run folder.
        DeviceError: memory ran out, or the device failed.
    """
    if checkpoint_every < 1:
        raise ConfigError(f"checkpoint_every must be at least 1, got {checkpoint_every}")
    if (resume or overwrite) and out is None:
        raise UsageError("resume and overwrite need out, the run folder")
    resume = resume or was_restarted()
    with _own_state(), contextlib.ExitStack() as stack:
        start = find_start(model, overrides or {}, fresh=fresh)
        recipe, given = choose_recipe(
            start.plan, recipe, changes, inspect.signature(train).parameters
        )
        stored = (
            check_run_folder(out, overwrite=overwrite, resume=resume) if out is not None else None
        )
        if stored is not None:
            recipe = resumed_recipe(stored, given)
        corruption = create_training_corruption(recipe, start.plan)
        world, place = stack.enter_context(join_world(choose_device(device)))

        torch.manual_seed(recipe.seed)
        built = build_plan(start.plan) if start.model is None else start.model
        loss = stack.enter_context(_loss(recipe, built, changes.get("loss")))
        train_set, val_set = _images(dataset, built, recipe, data=data, download=download)
        images = TrainingImages(train_set, recipe, built.image_shape, place)
        if start.model is None:
            init_from_data(built, images.for_start())
        check_shards(world, len(images), recipe)
        check_trainable(built)
        built.corruption = recipe.corruption
        stack.enter_context(
            device_failures(f"training {built.name} on {place}", "choose a smaller batch size")
        )
        engine = Engine(built.to(place), loss, recipe, world, stored.precision if stored else None)

        record = _record(start, engine, recipe, describe_sets(train_set, val_set), stored)
        recorder = NullRecorder()
        if out is not None and world.is_main:
            folder = stack.enter_context(open_run_folder(out, overwrite=overwrite, resumed=stored))
            recorder = Recorder(folder, record, val_set, corruption)
        world.wait()
        shown = stack.enter_context(open_progress(enabled=progress if world.is_main else False))
        trainer = Trainer(
            engine,
            recipe,
            images,
            val_set,
            corruption=corruption,
            recorder=recorder,
            progress=shown,
            checkpoint_every=checkpoint_every,
        )
        if stored is not None and out is not None:
            trainer.resume(RunFolder(Path(out)), stored)
        for line in _summary(record, train_set, val_set):
            shown.say(line)
        # The advice names options of `convae-zoo train`, which takes a dataset by name.
        if isinstance(dataset, str) and (advice := few_steps(len(images), recipe)):
            shown.say(advice)
        with contextlib.closing(trainer):
            trainer.train()
        history = trainer.recorder.history
        del trainer, engine  # nothing may hold a part of the process group when that ends
    return TrainResult(
        model=built.eval(),
        train_losses=history.steps,
        val_losses=[e.val_loss for e in history.epochs],
        epochs=history.epochs,
        images=len(history.epochs) * len(images),
        run_dir=Path(out) if out is not None else None,
    )


def _record(
    start: Start,
    engine: Engine,
    recipe: Recipe,
    dataset: dict[str, Any],
    stored: RunRecord | None,
) -> RunRecord:
    """Return the record of a run; of a resumed one the stored record with what may change.

    Raises:
        UsageError: the run is resumed with another model, other weights or other images.
    """
    record = RunRecord(
        model=json.loads(json.dumps(start.plan.describe())),
        started_from=start.weights,
        recipe=recipe,
        dataset=dataset,
        device=describe_device(engine.device),
        precision=engine.precision,
        processes=engine.world.size,
    )
    if stored is None:
        return record
    check_same_run(stored, record)
    return attrs.evolve(
        stored,
        recipe=recipe,
        device=record.device,
        processes=record.processes,
        versions=record.versions,
    )


def _images(
    dataset: str | tuple[ImageSet | PictureSet, ImageSet],
    model: Autoencoder,
    recipe: Recipe,
    *,
    data: str | Path | None,
    download: bool,
) -> tuple[ImageSet | PictureSet, ImageSet]:
    """Return the images to train on, whole if the recipe crops them, and those to validate on."""
    shape = model.image_shape
    if isinstance(dataset, str):
        return training_sets(dataset, recipe.augment, shape, data=data, download=download)
    if data is not None or download:
        raise UsageError("data and download are for datasets by name; leave them out for a pair")
    crops = Augmentation.parse(recipe.augment).crop is not None
    try:
        train_set, val_set = dataset
        return train_set if crops else train_set.fitted(shape), val_set.fitted(shape)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"dataset must be a name, or a pair of ImageSets, got {dataset!r:.80}"
        ) from error


@contextlib.contextmanager
def _loss(recipe: Recipe, model: Autoencoder, given: object) -> Iterator[nn.Module]:
    """Give the recipe's loss, or the module that was given for it, which is checked in use."""
    check_loss_module(recipe, given)
    if not isinstance(given, nn.Module):
        yield create_training_loss(recipe.loss, model.value_range, model.image_shape[0])
        return
    handles = check_calls(given, lambda problem: UsageError(f"loss {recipe.loss}: {problem}"))
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()


def check_shards(world: World, images: int, recipe: Recipe) -> None:
    """Refuse more processes than a batch has images.

    Raises:
        UsageError: there are more.
    """
    smallest = min(images, recipe.batch_size)
    if world.size > smallest:
        raise UsageError(
            f"{world.size} processes are more than the {smallest} images of a batch; "
            "start fewer, or pass a larger --batch-size"
        )


def _summary(
    record: RunRecord, train_set: ImageSet | PictureSet, val_set: ImageSet
) -> Iterator[str]:
    recipe = record.recipe
    if record.started_from is not None:
        yield f"starting from the weights {record.started_from['name']}"
    shards = f" in {record.processes} processes" if record.processes > 1 else ""
    yield (
        f"training {label_of(record.model)} on {len(train_set):,} images of {train_set.name}, "
        f"{record.device}, {record.precision}, batch {recipe.batch_size}{shards}, learning rate "
        f"{recipe.learning_rate:g}"
    )
    for line in (*train_set.skipped, *val_set.skipped):
        yield f"skipped {line}"
