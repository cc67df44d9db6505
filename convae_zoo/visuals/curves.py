"""Loss curves: each step, their running mean, and each epoch's validation."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from convae_zoo.errors import UsageError
from convae_zoo.visuals.figure import DPI, INK, PAPER, write_figure
from convae_zoo.visuals.text import printable

_POINTS = 2000  # more steps than this are drawn as a band from least to greatest
_LOG_FROM = 5.0  # the losses' spread from which a logarithmic axis shows more
_TICKS_ON_TWO_DECADES = 2


def save_curves(
    path: str | Path,
    train_losses: Sequence[float],
    val_losses: Sequence[float],
    *,
    title: str = "",
    steps_per_epoch: int | None = None,
) -> None:
    """Draw the training loss of each step, its running mean, and the validation loss of each epoch.

    Args:
        path: where to write, ending in ``.png``; its folder is made where it is missing.
        train_losses: one an optimiser step.
        val_losses: one an epoch; may be empty.
        title: what stands above all.
        steps_per_epoch: optimiser steps an epoch; by default as the two lengths say.

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

    figure = Figure(figsize=(8, 4.8), dpi=DPI, facecolor=PAPER, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor(PAPER)
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
    axes.set_title(printable(title), fontsize=12, color=INK, parse_math=False)
    axes.grid(visible=True, which="major", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    write_figure(path, figure)


def _scale(axes: Any, losses: NDArray[np.float64]) -> None:
    """Show all of the smoothed losses; on a logarithmic axis where they spread far."""
    shown = losses[np.isfinite(losses)]
    least, greatest = shown.min(), shown.max()
    if least > 0 and greatest / least >= _LOG_FROM:
        axes.set_yscale("log")
        few = math.log10(greatest / least) < _TICKS_ON_TWO_DECADES
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        if few:
            plain = ScalarFormatter()
            plain.set_scientific(b=False)
            axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(least / 1.1, greatest * 1.2)
    else:
        room = 0.08 * (greatest - least) or 0.1 * abs(greatest) or 1.0
        axes.set_ylim(least - room, greatest + 2 * room)


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Average each value with its neighbours, `window` in all, or as many as there are."""
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    at = np.arange(len(values))
    first, end = np.maximum(at - window // 2, 0), np.minimum(at + window // 2 + 1, len(values))
    mean: NDArray[np.float64] = (sums[end] - sums[first]) / np.maximum(
        counts[end] - counts[first], 1
    )
    return mean


def _envelope(
    at: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Cut a long line into bins: their middle, least and greatest value."""
    edges = np.linspace(0, len(values), _POINTS // 2, endpoint=False).astype(int)
    sizes = np.diff([*edges, len(values)])
    return (
        np.add.reduceat(at, edges) / sizes,
        np.minimum.reduceat(values, edges),
        np.maximum.reduceat(values, edges),
    )
