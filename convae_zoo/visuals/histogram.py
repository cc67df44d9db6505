"""Histograms of the scores of normal and of anomalous images."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from convae_zoo.visuals.figure import COLOURS, DPI, INK, PAPER, Drawing, finished, style
from convae_zoo.visuals.text import drawable

_BINS = 60
_BEYOND = 0.995  # the quantile of the scores that the axis ends at; the last bar holds the rest


def save_histogram(
    path: str | Path | None,
    normal: Tensor,
    anomalous: Tensor,
    threshold: float,
    *,
    title: str = "",
) -> Drawing:
    """Draw the scores of normal and anomalous images as histograms, with the threshold as a line.

    Each histogram is of fractions of its own images. The first and the last bar hold what is beyond
    them.

    Args:
        path: where to write, ending in ``.png``; a missing folder is created. None for nowhere.
        normal: scores, N; higher is more anomalous.
        anomalous: scores, M.
        threshold: an image with a higher score is an alarm.
        title: above the picture.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UsageError: the path is not that of a picture.
        FileError: the file cannot be written.
    """
    figure = Drawing(figsize=(9, 4.2), dpi=DPI, facecolor=PAPER, layout="constrained")
    axes = figure.subplots()
    style(axes)
    both = np.concatenate((normal.numpy(), anomalous.numpy(), [threshold]))
    low, high = np.quantile(both, (1 - _BEYOND, _BEYOND))
    low, high = min(low, threshold), max(high, threshold)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for scores, name, colour in (
        (normal.numpy(), "normal", COLOURS[0]),
        (anomalous.numpy(), "anomalous", COLOURS[1]),
    ):
        counts, _ = np.histogram(scores.clip(edges[0], edges[-1]), edges)
        above = float((scores > threshold).mean())
        label = f"{name}, {len(scores):,} images: {above:.1%} above the threshold"
        axes.stairs(counts / len(scores), edges, fill=True, color=colour, alpha=0.45, label=label)
        axes.stairs(counts / len(scores), edges, color=colour, lw=1)
    axes.axvline(threshold, color=INK, lw=1.2, ls="--", label=f"threshold {threshold:.3g}")
    axes.set_xlabel("anomaly score")
    axes.set_ylabel("fraction of the images")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(drawable(title), loc="left", fontsize=12, color=INK, parse_math=False)
    return finished(figure, path)
