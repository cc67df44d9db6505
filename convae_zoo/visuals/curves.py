"""Loss curves: each step, the running mean, and the validation loss of each epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from convae_zoo.errors import UsageError
from convae_zoo.visuals.figure import DPI, INK, PAPER, Drawing, finished, style
from convae_zoo.visuals.text import drawable

_POINTS = 2000  # more steps are drawn as a band from minimum to maximum
_SIZE = 8, 4.8  # inches
_AXES = 0.105, 0.115, 0.885, 0.81  # left, bottom, width and height, as shares of it
_LOG_FROM = 5.0  # spread of the losses above which the axis is logarithmic


def save_curves(
    path: str | Path | None,
    train_losses: Sequence[float],
    val_losses: Sequence[float],
    *,
    title: str = "",
    steps_per_epoch: int | None = None,
) -> Drawing:
    """Draw the training loss of each step, its running mean, and the validation loss of each epoch.

    Args:
        path: where to write, ending in ``.png``; a missing folder is created. None for nowhere.
        train_losses: one per optimiser step.
        val_losses: one per epoch; may be empty.
        title: above all.
        steps_per_epoch: optimiser steps per epoch; by default from the two lengths.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UsageError: there is no loss to draw.
        FileError: the file cannot be written.
    """
    train, val = (np.asarray(v, dtype=np.float64) for v in (train_losses, val_losses))
    if not np.isfinite(train).any():
        raise UsageError("there are no training losses to draw")
    steps = steps_per_epoch or (len(train) // len(val) if len(val) else 0)
    per_epoch = max(steps, 1)
    at = np.arange(1, len(train) + 1) / per_epoch
    window = 2 * max(len(train) // 100, min(len(train) // 20, 4)) + 1
    smooth = _running_mean(train, window)

    figure = Drawing(figsize=_SIZE, dpi=DPI, facecolor=PAPER)
    axes = figure.add_axes(_AXES)  # a layout that matplotlib finds takes as long as drawing
    if len(train) > _POINTS:
        middle, low, high = _envelope(at, train)
        axes.fill_between(
            middle, low, high, color="#9ecae1", alpha=0.6, lw=0, label="training, each step"
        )
    else:
        dot = "o" if len(train) == 1 else ""
        axes.plot(at, train, color="#9ecae1", lw=0.8, marker=dot, label="training, each step")
    if window > 1:
        mean = f"training, mean of {window:,} steps"
        axes.plot(at, smooth, color="#08519c", lw=1.6, label=mean)
    if len(val):
        epochs = np.arange(1, len(val) + 1)
        axes.plot(
            epochs, val, color="#d94801", lw=1.6, marker="o", ms=5, label="validation, each epoch"
        )
    _scale(axes, np.concatenate([smooth, val, np.nanquantile(train, [0.005, 0.995])]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(0, max(at[-1], len(val)) * 1.02)
    axes.set_xlabel(f"epoch (of {steps:,} optimiser steps)" if steps else "optimiser step")
    axes.set_ylabel("loss")
    axes.set_title(drawable(title), fontsize=12, color=INK, parse_math=False)
    style(axes)
    axes.legend(frameon=False)
    return finished(figure, path)


def _scale(axes: Any, losses: NDArray[np.float64]) -> None:
    """Show all of the smoothed losses; on a logarithmic axis where they spread far."""
    finite = losses[np.isfinite(losses)]
    low, high = finite.min(), finite.max()
    if low > 0 and high / low >= _LOG_FROM:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.1, high * 1.2)
        if high / low < 100:  # noqa: PLR2004 - two decades have too few powers of ten
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_ylim(low - room, high + 2 * room)


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Average each value with the finite ones of `window` around it."""
    finite = np.isfinite(values)
    sums, counts = (
        uniform_filter1d(part.astype(np.float64), window, mode="constant")
        for part in (np.where(finite, values, 0), finite)
    )
    mean: NDArray[np.float64] = sums / np.maximum(counts, 0.5 / window)
    return mean


def _envelope(
    at: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Cut a long line into bins: the middle, minimum and maximum of each."""
    bins = [np.array_split(array, _POINTS // 2) for array in (at, values)]
    return (
        np.array([part.mean() for part in bins[0]]),
        np.array([part.min() for part in bins[1]]),
        np.array([part.max() for part in bins[1]]),
    )
