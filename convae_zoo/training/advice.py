"""Warnings about a run: too few steps, memorised images, a diverging loss."""

import math
from collections.abc import Sequence

from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.history import Epoch

ENOUGH_STEPS = 1000
"""Optimiser steps below which the models of the zoo are far from converged."""

RISEN = 1.05
"""Ratio to the lowest validation loss above which it counts as risen."""

DIVERGED = 1000
"""Ratio to the first loss above which a loss counts as diverged."""


def few_steps(images: int, recipe: Recipe) -> str | None:
    """Return what to do about a run with few optimiser steps; None if there are enough.

    Args:
        images: those of an epoch.
        recipe: of the run.
    """
    per_epoch = math.ceil(images / recipe.batch_size)
    steps = per_epoch * recipe.epochs
    if steps >= ENOUGH_STEPS:
        return None
    more = math.ceil(ENOUGH_STEPS / steps)
    crops = ""
    if "crop" not in recipe.augment:
        crops = f", or, if the pictures are larger than the model's, --augment 'crop(count={more})'"
    return (
        f"only {steps:,} optimiser steps: {images:,} images per epoch, {recipe.batch_size} per "
        f"step, epochs {recipe.epochs}; a model needs about {ENOUGH_STEPS:,}: --epochs "
        f"{recipe.epochs * more}{crops}"
    )


def memorised(epochs: Sequence[Epoch]) -> str | None:
    """Return a warning if the validation loss has risen while the training loss fell.

    It is given two epochs after the best one at the earliest.
    """
    best = min(epochs, key=lambda epoch: epoch.val_loss)
    last = epochs[-1]
    if (
        last.epoch - best.epoch < 2  # noqa: PLR2004 - one epoch may be chance
        or last.val_loss < RISEN * best.val_loss
        or last.train_loss >= best.train_loss
    ):
        return None
    return (
        f"the model memorises the training images: since epoch {best.epoch} the training loss "
        f"fell from {best.train_loss:.5f} to {last.train_loss:.5f}, while the validation loss "
        f"rose from {best.val_loss:.5f} to {last.val_loss:.5f}; more images, --augment crop or "
        "dihedral, or a start from trained weights help"
    )


def diverged(losses: Sequence[float], first: float, step: int, rate: float) -> str | None:
    """Return what to do if one of the losses is not finite, or far above the first one.

    Args:
        losses: of the latest steps.
        first: the loss of the run's first step.
        step: the number of the first of the latest steps.
        rate: the learning rate.
    """
    for number, loss in enumerate(losses, step):
        if math.isfinite(loss) and not loss > DIVERGED * first > 0:
            continue
        return (
            f"the loss became {loss:.4g} at step {number}, with a learning rate of {rate:.3g}; try "
            f"a tenth of it, --learning-rate {rate / 10:.2g}, or another loss"
        )
    return None
