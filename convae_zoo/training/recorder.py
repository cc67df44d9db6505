"""What a run leaves behind: losses, checkpoints, weights and pictures."""

import os
import shutil
from collections.abc import Callable
from functools import partial
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
from convae_zoo.training.background import Background
from convae_zoo.training.engine import Engine
from convae_zoo.training.resume import run_key
from convae_zoo.weights.save import pack_model


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

    def finish(self) -> None:
        """Complete the records of a run that has reached its end."""

    def close(self, state: str) -> None:  # noqa: ARG002 - a `Recorder` uses it
        """Record the state in which the run has ended, one of `record.STATES`."""
        self.history.close()


class Recorder(NullRecorder):
    """Writes a run folder, its larger files beside the training.

    What a file holds is copied at once; it is written in a thread, in the order of the calls. So an
    error of writing is raised by a later call, by `finish` at the latest.

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
        self._background = Background()

    def resume(self, history: Path, *, epochs: int, steps: int, digest: str | None) -> None:
        """Go on with the folder's own history, cut back to so many epochs and steps."""
        self.history = read_history(history, epochs=epochs, steps=steps, digest=digest, rewind=True)

    def start(self, epochs_done: int) -> None:
        """Write ``run.json``."""
        self._update(state="running", epochs_done=epochs_done)

    def end_epoch(self, epoch: Epoch, engine: Engine) -> None:
        """Write the epoch's losses, the weights and a picture."""
        super().end_epoch(epoch, engine)
        weights = pack_model(
            engine.model,
            recipe=self.record.recipe,
            dataset=self.record.dataset,
            metrics={"epoch": epoch.epoch, "val_loss": epoch.val_loss},
            license=None,
        )
        is_best = epoch.val_loss == min(e.val_loss for e in self.history.epochs)
        draw = self._prepare_picture(epoch, engine)

        def write() -> None:
            files.write_bytes(self.folder.model, *weights)
            if epoch.epoch == 1:
                self._keep(self.folder.first_epoch)
            if is_best:
                self._keep(self.folder.best)
            draw()
            self._update(epochs_done=epoch.epoch)

        self._background.run(write)

    def checkpoint(self, get_state: Callable[[], dict[str, Any]]) -> None:
        """Write a checkpoint."""
        state = {**get_state(), "run": run_key(self.record), "history": self.history.digest}
        write_state = self.folder.checkpoints.prepare(state["steps"], state)

        def write() -> None:
            self.history.sync()
            write_state()

        self._background.run(write)

    def finish(self) -> None:
        """Draw the curves, and wait until everything is written."""
        from convae_zoo import visuals

        visuals.save_curves(
            self.folder.curves,
            self.history.steps,
            [e.val_loss for e in self.history.epochs],
            title=f"{label_of(self.record.model)} on {self.record.dataset['name']}",
        )
        self._background.wait()

    def close(self, state: str) -> None:
        """Write the run's state; of a finished run keep one checkpoint."""
        try:
            self._background.close()
        finally:
            super().close(state)
            self._update(state=state)
        if state == "finished":
            self.folder.checkpoints.remove(keep=1)

    def _keep(self, path: Path) -> None:
        """Keep the present weights under another name; they take no space twice where links work.

        A link stays what it is: the weights file is replaced after an epoch, never changed.
        """
        with files.atomic_path(path) as copy:
            try:
                os.link(self.folder.model, copy)
            except OSError:
                shutil.copyfile(self.folder.model, copy)

    def _prepare_picture(self, epoch: Epoch, engine: Engine) -> Callable[[], object]:
        """Reconstruct some images, and return the function that draws them."""
        from convae_zoo import visuals  # imports matplotlib

        chosen = self.val_set.exemplars()
        originals = self.val_set.images[chosen]
        corrupted = inputs = None
        if self.corruption is not None:
            corrupted = self.corruption.fixed(originals, chosen.tolist())
            inputs = pixels.to_uint8(corrupted.images, (0, 255))
        with engine.evaluating():
            _, images = engine.validate(originals, corrupted)
        return partial(
            visuals.save_grid,
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
