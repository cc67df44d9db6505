"""What a resumed run must have in common with the run in the folder."""

from collections.abc import Mapping
from typing import Any

import attrs

from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.models.plan import label_of
from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.record import RunRecord
from convae_zoo.runs.run_folder import RunFolder

MAY_CHANGE = {"epochs"}
"""Settings that may change: training longer does not change what is trained already."""


def resumed_recipe(record: RunRecord, given: Mapping[str, Any]) -> Recipe:
    """Return the recipe of the run in a folder, with the epochs that are asked for now.

    Args:
        record: the run's.
        given: the settings that the user gave.

    Raises:
        UsageError: a setting differs; both values are named.
    """
    stored = record.recipe
    for name, value in given.items():
        before = record.precision if name == "precision" else getattr(stored, name)
        if value not in {"auto", before, getattr(stored, name)} and name not in MAY_CHANGE:
            _refuse(name, before, value)
    epochs = given.get("epochs", stored.epochs)
    if stored.schedule != "constant" and epochs != stored.epochs:
        _refuse("epochs", f"{stored.epochs} along a {stored.schedule} schedule", epochs)
    if epochs < record.epochs_done:
        raise UsageError(
            f"the run has trained {record.epochs_done} epochs, and {epochs} are asked for; "
            f"give --epochs {record.epochs_done} or more, or another --out"
        )
    return attrs.evolve(stored, epochs=epochs)


def check_same_run(stored: RunRecord, now: RunRecord) -> None:
    """Check that the model, its first weights and the images are those of the run in a folder.

    Args:
        stored: the run in the folder.
        now: the run that is asked for.

    Raises:
        UsageError: one of them differs; both are named.
    """
    if stored.model != now.model:
        _refuse("model", _model_text(stored), _model_text(now))
    before, value = _weights_of(stored), _weights_of(now)
    if stored.id and before["sha256"] != value["sha256"]:
        _refuse("weights", before["name"], value["name"])
    for key, kind in (("fingerprint", "dataset"), ("val_fingerprint", "validation set")):
        if stored.dataset.get(key) not in (None, now.dataset[key]):  # it may hold any JSON
            texts = (f"{_dataset_name(r)} ({r.dataset[key]!s:.12})" for r in (stored, now))
            _refuse(kind, *texts)


def read_checkpoint(
    folder: RunFolder, record: RunRecord
) -> tuple[dict[str, Any] | None, list[str]]:
    """Read the newest checkpoint that is intact, and check that it is this run's.

    Returns:
        The state, or None if there is none; and a line for each newer file that is damaged.

    Raises:
        TrainingError: it is another run's, or ``run.json`` was edited since.
    """
    state, damaged = folder.checkpoints.read_latest()
    # A run that is older than ids has no id, and its first checkpoints say nothing of their run.
    is_older = state is not None and not record.id and "run" not in state
    if state is not None and not is_older and state.get("run") != run_key(record):
        raise TrainingError(
            f"the checkpoint in {folder.path} is not of the run that run.json describes: one of "
            "them was copied or edited; put it back, or start again with --overwrite"
        )
    return state, damaged


def run_key(record: RunRecord) -> dict[str, str]:
    """Return what a checkpoint says of its run."""
    return {"id": record.id, "digest": record.digest}


def _refuse(what: str, before: object, now: object) -> None:
    raise UsageError(
        f"the run was started with {what} {before} but is resumed with {now}; "
        "resume it with its own, or choose another --out"
    )


def _weights_of(record: RunRecord) -> dict[str, str]:
    return record.started_from or {"name": "drawn from its seed", "sha256": "fresh"}


def _dataset_name(record: RunRecord) -> str:
    """Return a dataset's name with its config values, which older records lack."""
    return str(record.dataset.get("expression") or record.dataset["name"])


def _model_text(record: RunRecord) -> str:
    config = record.model["encoder"]["config"]
    return f"{label_of(record.model)} ({', '.join(f'{k}={v}' for k, v in config.items())})"
