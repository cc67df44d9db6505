"""Train a model: from names and a recipe to a trained model and its run folder."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from convae_zoo import files, visuals
from convae_zoo.autoencoder import Autoencoder
from convae_zoo.build import Plan, plan_model
from convae_zoo.data import ImageSet
from convae_zoo.data.load import dataset_for
from convae_zoo.errors import ConfigError, UsageError
from convae_zoo.losses import create_training_loss
from convae_zoo.registry import get_registry, model_info
from convae_zoo.specs import Recipe
from convae_zoo.training.device import choose_device, describe_device
from convae_zoo.training.engine import Engine
from convae_zoo.training.history import Epoch, History
from convae_zoo.training.loop import train_epochs
from convae_zoo.training.progress import Progress
from convae_zoo.training.run_folder import (
    RunFolder,
    describe_run,
    open_run_folder,
    refuse_occupied,
)
from convae_zoo.weights import save_model


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
    optimizer: str | None = None,
    seed: int | None = None,
    shuffle: bool | None = None,
    precision: str | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    overwrite: bool = False,
    path: str | None = None,
    download: bool = False,
    overrides: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> TrainResult:
    """Train a model on a dataset; what is not given comes from the model's recipe.

    Args:
        model: a model's name, built with fresh weights drawn from the seed; or a model, which is
            trained in place from the weights that it has.
        dataset: a dataset's name, or the images to train on and those to validate on.
        loss: a loss's name, or a weighted sum as in ``"0.8*l1 + 0.2*ssim"``.
        epochs: passes over the train split.
        batch_size: images an optimiser step.
        learning_rate: of the optimiser.
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        seed: of the start weights and the order.
        shuffle: a fresh order an epoch; else the data's own.
        precision: ``fp32``, ``bf16``, or ``auto`` for what pays on this machine.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is one.
        out: the run folder; without it nothing is written.
        overwrite: replace a run that is in `out`.
        path: the folder that holds the data, for datasets that read one.
        download: fetch the data if it is not there, for datasets that can.
        overrides: config values of a model that is given by name.
        progress: show a progress bar on stderr; by default where that is a terminal.

    Raises:
        UsageError: a name, a setting or a folder that cannot be used; nothing was trained.
        TrainingError: the loss became NaN or infinite, or a file could not be written. The last
            finished epoch is in the run folder.
    """
    recipe = _recipe(
        model,
        loss=loss,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        seed=seed,
        shuffle=shuffle,
        precision=precision,
    )
    plan = _plan(model, overrides or {})
    where = choose_device(device)
    if out is not None:
        refuse_occupied(out, overwrite=overwrite)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        built = plan.build() if isinstance(model, str) else model
        criterion = create_training_loss(recipe.loss, plan.value_range)
        train_set, val_set = _images(dataset, plan, path=path, download=download)
        folder = open_run_folder(out) if out is not None else None
        run = _Run(Engine(built.to(where), criterion, recipe), recipe, train_set, val_set, folder)
        shown = sys.stderr.isatty() if progress is None else progress
        with Progress(recipe.epochs, len(train_set), shown=shown) as bars:
            run.train(bars)
    history = run.history
    return TrainResult(
        model=built.eval(),
        train_losses=history.steps,
        val_losses=[e.val_loss for e in history.epochs],
        epochs=history.epochs,
        run_dir=folder.path if folder else None,
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

    def train(self, progress: Progress) -> None:
        """Train; leave the folder with the state that the run ended in."""
        self._begin(progress)
        state = "failed"
        self.engine.model.train()
        try:
            train_epochs(
                self.engine,
                self.train_set,
                self.val_set,
                self.recipe,
                self.history,
                progress,
                self._after_epoch,
            )
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        finally:
            self.history.close()
            self._end(state)

    def _begin(self, progress: Progress) -> None:
        device = describe_device(self.engine.device)
        if self.folder is not None:
            self.folder.write(
                describe_run(
                    model=self.engine.model.plan.describe(),
                    recipe=self.recipe,
                    dataset=self.dataset,
                    device=device,
                    precision=self.engine.precision,
                )
            )
        progress.say(
            f"training {self.engine.model.name} on {len(self.train_set):,} images of "
            f"{self.train_set.name}, {device}, {self.engine.precision}"
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


def _recipe(model: Autoencoder | str, **given: Any) -> Recipe:
    name = model if isinstance(model, str) else model.plan.name
    known = name is not None and name in get_registry().entries["model"]
    recipe = model_info(name).recipe if known and name is not None else Recipe()
    try:
        return attrs.evolve(recipe, **{k: v for k, v in given.items() if v is not None})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"training: {error}") from error


def _plan(model: Autoencoder | str, overrides: Mapping[str, Any]) -> Plan:
    if isinstance(model, str):
        return plan_model(model, **overrides)
    if overrides:
        raise UsageError("overrides go with a model's name; this model is built already")
    return model.plan


def _images(
    dataset: str | tuple[ImageSet, ImageSet], plan: Plan, *, path: str | None, download: bool
) -> tuple[ImageSet, ImageSet]:
    if isinstance(dataset, str):
        train_set, val_set = (
            dataset_for(dataset, split, plan.image_shape, path=path, download=download)
            for split in ("train", "val")
        )
        return train_set, val_set
    train_set, val_set = dataset
    return train_set.fitted(plan.image_shape), val_set.fitted(plan.image_shape)
