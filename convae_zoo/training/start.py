"""What a run starts from: fresh weights, stored ones, or a model in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.files import is_path
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.plan import Plan, plan_model
from convae_zoo.registry import get_registry
from convae_zoo.weights.load import load_model, read_metadata
from convae_zoo.weights.load_state import is_finite


@attrs.frozen(kw_only=True)
class Start:
    """A model to train.

    Attributes:
        plan: of the model.
        model: the model itself; None if it is still to be built with fresh weights.
        weights: name and sha256 of the weights, as `RunRecord.started_from` has them.
    """

    plan: Plan
    model: Autoencoder | None = None
    weights: dict[str, str] | None = None


def find_start(
    model: Autoencoder | str | Path, overrides: Mapping[str, Any], *, fresh: bool
) -> Start:
    """Find the model and the weights that a run starts from.

    Args:
        model: a model's name (fresh weights); ``NAME.TAG``, a run folder or a weights file (those
            weights); or a model in memory, compiled or not (its own weights).
        overrides: config values of a model with fresh weights.
        fresh: use fresh weights in any case.

    Raises:
        UsageError: it is none of these, or the options do not go with it.
        ZooError: as `load_model` and `plan_model` do.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if isinstance(model, Autoencoder):
        if overrides or fresh:
            raise UsageError("overrides and fresh go with a model's name, not with a built model")
        return Start(
            plan=model.plan, model=model, weights={"name": "of a model in memory", "sha256": ""}
        )
    if not isinstance(model, str | Path):
        raise UsageError(f"model must be a name, a path or an Autoencoder, got {model!r:.80}")
    name = str(model)
    in_file = name not in get_registry().entries["model"] and is_path(model)
    if not in_file and (fresh or "." not in name):
        return Start(plan=plan_model(name, **overrides))
    if overrides:
        raise UsageError(
            f"overrides go with fresh weights, and {name!r} has its own"
            + ("" if in_file else "; pass fresh (--fresh) for fresh ones")
        )
    loaded = load_model(model)
    if fresh:
        return Start(plan=loaded.plan)
    sha256 = read_metadata(model)["sha256"]
    return Start(plan=loaded.plan, model=loaded, weights={"name": name, "sha256": sha256})


def init_from_data(model: Autoencoder, images: Tensor) -> None:
    """Let the parts of a fresh model set their weights from training images, uint8 N×C×H×W.

    Raises:
        TrainingError: the images are too few for that.
    """
    model.start_from_data(images)
    if not all(is_finite(value) for value in model.state_dict().values()):
        raise TrainingError(
            f"the first weights of {model.name}, which it takes from the training images, are not "
            f"finite; {len(images)} images are too few for it"
        )
