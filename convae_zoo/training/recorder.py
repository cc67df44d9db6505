"""What a run leaves behind: losses, checkpoints, weights and pictures."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from convae_zoo import files
from convae_zoo.data import ImageSet, pixels
from convae_zoo.data.corrupt import Corruption
from convae_zoo.models.plan import label_of
from convae_zoo.runs.history import Epoch, History, read_history
from convae_zoo.runs.record import RunRecord
from convae_zoo.runs.run_folder import RunFolder
from convae_zoo.training.engine import Engine
from convae_zoo.training.resume import run_key
from convae_zoo.weights.save import save_model


class NullRecorder:
    """Keeps the losses in memory and writes nothing."""

    def __init__(self) -> None:
        self.history = History()

    def resume(self, history: Path, *, epochs: int, steps: int, digest: str | None) -> None:
        """Go on with a history after so many epochs and steps, of that digest if one is known."""
        self.history = read_history(history, epochs=epochs, steps=steps, digest=digest)

    def start(self, epochs_done: int) -> None:
        """Record that the run has started or continues."""

    def end_epoch(self, epoch: Epoch, engine: Engine) -> None:  # noqa: ARG002 - a `Recorder` uses it
        """Record an epoch, with the model as it is then."""
        self.history.add_epoch(epoch)

    def checkpoint(self, get_state: Callable[[], dict[str, Any]]) -> None:
        """Keep the trainer's state, which `get_state` returns."""

    def close(self, state: str) -> None:  # noqa: ARG002 - a `Recorder` uses it
        """Record the state in which the run has ended, one of `record.STATES`."""
        self.history.close()


class Recorder(NullRecorder):
    """Writes a run folder.

    Args:
        folder: open and locked.
        record: of the run.
        val_set: the images of which some are drawn after each epoch.
        corruption: of the model's input.
    """

    def __init__(
        self,
        folder: RunFolder,
        record: RunRecord,
        val_set: ImageSet,
        corruption: Corruption | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.record, self.val_set = folder, record, val_set
        self.history = History(folder.history)
        self.corruption = corruption

    def resume(self, history: Path, *, epochs: int, steps: int, digest: str | None) -> None:
        """Go on with the folder's own history, cut back to so many epochs and steps."""
        self.history = read_history(history, epochs=epochs, steps=steps, digest=digest, rewind=True)

    def start(self, epochs_done: int) -> None:
        """Write ``run.json``."""
        self._update(state="running", epochs_done=epochs_done)

    def end_epoch(self, epoch: Epoch, engine: Engine) -> None:
        """Write the epoch's losses, the weights and a picture."""
        super().end_epoch(epoch, engine)
        save_model(
            engine.model,
            self.folder.model,
            recipe=self.record.recipe,
            dataset=self.record.dataset,
            metrics={"epoch": epoch.epoch, "val_loss": epoch.val_loss},
            license=None,
        )
        if epoch.epoch == 1:
            self._keep(self.folder.first_epoch)
        if epoch.val_loss == min(e.val_loss for e in self.history.epochs):
            self._keep(self.folder.best)
        self._draw(epoch, engine)
        self._update(epochs_done=epoch.epoch)

    def checkpoint(self, get_state: Callable[[], dict[str, Any]]) -> None:
        """Write a checkpoint."""
        self.history.sync()
        state = {**get_state(), "run": run_key(self.record), "history": self.history.digest}
        self.folder.checkpoints.write(state["steps"], state)

    def close(self, state: str) -> None:
        """Write the run's state; after a finished run draw its curves and keep one checkpoint."""
        super().close(state)
        self._update(state=state)
        if state == "finished":
            from convae_zoo import visuals

            self.folder.checkpoints.remove(keep=1)
            visuals.save_curves(
                self.folder.curves,
                self.history.steps,
                [e.val_loss for e in self.history.epochs],
                title=f"{label_of(self.record.model)} on {self.record.dataset['name']}",
            )

    def _keep(self, path: Path) -> None:
        """Keep the present weights under another name; they take no space twice where links work.

        A link stays what it is: the weights file is replaced after an epoch, never changed.
        """
        with files.atomic_path(path) as copy:
            try:
                os.link(self.folder.model, copy)
            except OSError:
                shutil.copyfile(self.folder.model, copy)

    def _draw(self, epoch: Epoch, engine: Engine) -> None:
        from convae_zoo import visuals  # imports matplotlib

        chosen = self.val_set.exemplars()
        originals = self.val_set.images[chosen]
        corrupted = inputs = None
        if self.corruption is not None:
            corrupted = self.corruption.fixed(originals, chosen.tolist())
            inputs = pixels.to_uint8(corrupted.images, (0, 255))
        with engine.evaluating():
            _, images = engine.validate(originals, corrupted)
        visuals.save_grid(
            self.folder.picture(epoch.epoch),
            originals,
            engine.model.postprocess(images).cpu(),
            inputs=inputs,
            names=[self.val_set.label_name(i) for i in chosen.tolist()],
            title=f"{engine.model.name} on {self.val_set.name}, epoch {epoch.epoch}: "
            f"{self.record.recipe.loss} {epoch.val_loss:.5f} on the validation split",
        )

    def _update(self, **changes: Any) -> None:
        self.record = attrs.evolve(self.record, **changes)
        self.folder.write(self.record)
